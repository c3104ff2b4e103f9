//! What the programs share: configuration, telemetry, TLS transport, shutdown, backoff, output and tables.
//!
//! Reads the clock for everybody, so that all protocol logic can take `now` as an argument. Knows no message of the
//! protocol: services and clients live with their programs.

pub mod backoff;
pub mod clock;
pub mod config;
pub mod output;
pub mod program;
pub mod shutdown;
pub mod table;
pub mod telemetry;
pub mod transport;
