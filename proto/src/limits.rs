//! Bounds on what a peer can make this side hold in memory.

use fedtwin_plan::signed::PLAN_BYTES_MAX;

/// Bytes in one chunk of a file or an update: large enough that framing costs little (64 KiB take some 100 µs
/// of both ends), small enough that the handful of chunks in each stream does not add up over the sites.
pub const CHUNK_BYTES: usize = 1 << 16;

/// Largest gRPC message either side decodes: a signed plan with its certificate.
pub const MESSAGE_BYTES_MAX: usize = PLAN_BYTES_MAX + (1 << 17);

/// Largest histogram of metrics: twice the largest that plans have.
pub const METRICS_CELLS_MAX: usize = 80;

/// Longest text that a peer may give as a reason.
pub const REASON_BYTES_MAX: usize = 2000;
