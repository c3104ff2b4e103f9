//! What a peer with a certificate can send that no program of a federation sends, and what it costs the coordinator.

use std::fs;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio_stream::{StreamExt, iter, pending};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::Channel;
use tower::ServiceExt;

use crate::testbed::Testbed;

/// Calls a path of HTTP with a message that announces so many bytes and lacks its last one, and returns what the
/// coordinator says, if it says anything.
///
/// # Errors
/// Fails where the connection does.
pub async fn call_unfinished(mut channel: Channel, path: &str, bytes: u32) -> anyhow::Result<Status> {
    let prefix = [&[0], &bytes.to_be_bytes()[..]].concat();
    let piece = Bytes::from(vec![b'x'; PIECE_BYTES]);
    let pieces = bytes as usize / PIECE_BYTES;
    let rest = Bytes::from(vec![b'x'; (bytes as usize % PIECE_BYTES).saturating_sub(1)]);
    let sent = std::iter::once(Bytes::from(prefix)).chain(std::iter::repeat_n(piece, pieces)).chain([rest]);
    let body = iter(sent).chain(pending()).map(|data| Ok::<_, Status>(Frame::data(data)));
    let request =
        http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    let request = request.body(Body::new(StreamBody::new(body)))?;
    let response = channel.ready().await?.call(request).await?;
    Status::from_header_map(response.headers()).context("the answer has no status")
}

/// Checks that the coordinator has never used more memory than a quiet one and 64 MiB.
///
/// # Errors
/// Says how much it was.
pub fn assert_small(testbed: &Testbed) -> anyhow::Result<()> {
    let peak_mib = peak_mib(testbed)?;
    ensure!(peak_mib <= QUIET_MIB + 64, "the coordinator used {peak_mib} MiB");
    Ok(())
}

/// Returns the most memory that the coordinator has used, in MiB.
///
/// # Errors
/// Fails where the coordinator is gone.
pub fn peak_mib(testbed: &Testbed) -> anyhow::Result<u64> {
    let process = testbed.federation.process_ids()[0];
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib >> 10)
}

const PIECE_BYTES: usize = 1 << 14;
/// A coordinator that has just started has 12 to 16 MiB.
const QUIET_MIB: u64 = 12;
