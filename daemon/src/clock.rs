//! The only place that reads the wall clock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fedtwin_plan::time::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Returns the wall clock's time; a clock set before 1970 reads as 1970.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(0) + since_epoch()
}

/// Returns the wall clock in the form that TLS configurations take.
#[must_use]
pub fn for_tls() -> Arc<dyn TimeProvider> {
    Arc::new(WallClock)
}

#[derive(Debug)]
struct WallClock;

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(since_epoch()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one reading of the clock that everybody else is given")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
