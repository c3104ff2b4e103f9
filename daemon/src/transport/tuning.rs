//! The numbers that both ends share, with their reasons.

use std::io;
use std::time::Duration;

use fedtwin_certs::Refusal;
use tonic::transport::{Endpoint, Server};

/// Applies the transport's settings to a server.
#[must_use]
pub fn tune_server(server: Server) -> Server {
    server
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIME_MAX))
}

/// Applies the transport's settings to a client's endpoint.
pub(super) fn tune_endpoint(endpoint: Endpoint) -> Endpoint {
    endpoint
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIME_MAX)
        .keep_alive_while_idle(true)
}

/// Finds what rustls says inside of an IO error.
pub(super) fn refusal(error: &io::Error) -> Option<Refusal> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(Refusal::from)
}

// Medians of four streams of 1 MiB messages over loopback TLS, both ends on 2 busy cores: 375 MB/s with the
// defaults of HTTP/2 (64 KiB windows, 16 KiB frames), 450 with windows of some MiB alone, 520 with frames of
// 256 KiB too. Frames of 1 MiB gave 420; larger windows or TLS buffers gave nothing beyond chance.

/// What a sender may have under way on one stream: two messages of 1 MiB; 67 MB/s at a round trip of 30 ms.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// What a sender may have under way on one connection: two streams' worth; 64 MiB over 16 connections at the very most.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// The largest HTTP/2 frame taken, see above.
const FRAME_BYTES_MAX: u32 = 256 << 10;
/// Calls at once on one connection: an agent uses a handful.
const STREAMS_MAX: u32 = 64;
/// Well below the minutes after which firewalls forget a silent connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long an answer to a keepalive may take before the connection counts as dead.
const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(10);
/// TCP, TLS and the first bytes of HTTP/2: some round trips.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
