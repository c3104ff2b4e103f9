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

/// Other sites' ledgers that one site remembers, or is told of in one message.
pub const WITNESSED_MAX: usize = 64;

/// Studies of which a site asks, when it subscribes, whether they are over.
pub const RUNNING_MAX: usize = 1024;

/// Longest note of a checkpoint: with a cosignature of 200 bytes by each of [`WITNESSED_MAX`] sites, and as many
/// notes still fit one message.
pub const NOTE_BYTES_MAX: usize = 1 << 14;

/// Changes of one site's identity key that are told: one a year, for longer than keys are in use.
pub const KEY_CHANGES_MAX: usize = 32;

/// Hashes in a proof over a log of at most 2^64 entries: at most one left and one right of each level.
pub const PROOF_HASHES_MAX: usize = 128;
