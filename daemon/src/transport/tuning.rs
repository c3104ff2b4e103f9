//! The numbers that both ends share, with their reasons.

use std::io;
use std::time::Duration;

use fedtwin_certs::HandshakeError;
use tonic::transport::{Endpoint, Server};
use tower::layer::util::{Identity, Stack};

use super::calls::CountCalls;

/// Applies the transport's settings to a server.
#[must_use]
pub fn tune_server(server: Server) -> Server<Stack<CountCalls, Identity>> {
    server
        .layer(CountCalls)
        .initial_stream_window_size(SERVER_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(SERVER_CONNECTION_WINDOW_BYTES)
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
pub(super) fn refusal(error: &io::Error) -> Option<HandshakeError> {
    error.get_ref()?.downcast_ref::<rustls::Error>().map(HandshakeError::from)
}

// Medians of four streams of 1 MiB messages over loopback TLS, both ends on 2 busy cores: 375 MB/s with the
// defaults of HTTP/2 (64 KiB windows, 16 KiB frames), 450 with windows of some MiB alone, 520 with frames of
// 256 KiB too. Frames of 1 MiB gave 420; larger windows or TLS buffers gave nothing beyond chance.

/// What the coordinator may have under way to a site on one stream: 67 MB/s at a round trip of 30 ms.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
/// What the coordinator may have under way to a site: two streams' worth.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// What a site may have under way on one stream, unread in the coordinator's memory: a coordinator that is
/// busy holds this much for every site. 9 MB/s at a round trip of 15 ms, a hospital's 70 Mbit/s.
const SERVER_STREAM_WINDOW_BYTES: u32 = 128 << 10;
/// What a site may have under way altogether: two streams' worth.
const SERVER_CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes read from a socket at once. rustls by itself reads 4 KiB at a time, four calls for each record.
pub(super) const READ_BYTES: usize = 32 << 10;
/// The largest HTTP/2 frame taken, see above.
const FRAME_BYTES_MAX: u32 = 256 << 10;
/// Calls at once on one connection: an agent uses a handful, and more wait on its side. A peer that reads nothing
/// has up to 400 KiB of answers to each waiting here, hyper's bound for what it has written of a stream.
const STREAMS_MAX: u32 = 16;
/// Well below the minutes after which firewalls forget a silent connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long an answer to a keepalive may take before the connection counts as dead.
const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(10);
/// TCP, TLS and the first bytes of HTTP/2: some round trips.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
