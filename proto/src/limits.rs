//! Bounds on what a peer can make this side hold in memory.

/// Bytes in one chunk of a file or an update: large enough that framing costs nothing, small enough
/// that a chunk per stream fits in memory.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Largest gRPC message either side decodes: a chunk or a signed plan, and their framing.
pub const MESSAGE_BYTES_MAX: usize = CHUNK_BYTES + (1 << 17);

/// Longest text that a peer may give as a reason.
pub const REASON_BYTES_MAX: usize = 2000;
