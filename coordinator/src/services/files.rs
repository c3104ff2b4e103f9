//! Files as streams of chunks.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use fedtwin_proto::limits::CHUNK_BYTES;
use fedtwin_proto::wire;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// A stream of a file's chunks.
pub(super) type FileStream = ReceiverStream<Result<wire::FileChunk, Status>>;

/// Streams a file; a blocking thread reads it, at most a few chunks ahead of the peer.
pub(super) fn stream(path: &Path, what: &str) -> Result<FileStream, Status> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Status::not_found(format!("there is no {what}")),
        _ => Status::internal(format!("the {what} cannot be read")),
    })?;
    let (sender, receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::task::spawn_blocking(move || {
        loop {
            let chunk = match read_chunk(&mut file) {
                Ok(chunk) if chunk.is_empty() => return,
                Ok(chunk) => Ok(wire::FileChunk { data: chunk }),
                Err(error) => {
                    tracing::error!(%error, "a file cannot be read to its end");
                    Err(Status::internal("the file cannot be read to its end"))
                }
            };
            let last = chunk.is_err();
            if sender.blocking_send(chunk).is_err() || last {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(receiver))
}

fn read_chunk(file: &mut File) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    file.take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}

/// Chunks that wait for the peer, while another is read: the peer's window holds many more.
const CHUNKS_AHEAD: usize = 1;
