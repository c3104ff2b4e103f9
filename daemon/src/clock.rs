//! The only place that reads clocks: the wall clock, and one that no hand can set.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fedtwin_plan::time::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Returns the wall clock's time; a clock set before 1970 reads as 1970.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(0) + since_epoch()
}

/// Returns the time for deadlines: the wall clock's when this was first called, and since then what a
/// monotonic clock counts. Setting the wall clock moves no deadline; certificates and logs go by [`now`].
#[must_use]
pub fn steady() -> Timestamp {
    static CLOCK: OnceLock<SteadyClock> = OnceLock::new();
    let at = monotonic();
    CLOCK.get_or_init(|| SteadyClock { began: now(), at }).read(at)
}

/// Where a steady clock began, on both clocks.
#[derive(Debug, Clone, Copy)]
struct SteadyClock {
    began: Timestamp,
    at: Instant,
}

impl SteadyClock {
    fn read(&self, at: Instant) -> Timestamp {
        self.began + at.saturating_duration_since(self.at)
    }
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

#[expect(clippy::disallowed_methods, reason = "the one reading of the clock that everybody else is given")]
fn monotonic() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_clock_counts_from_its_beginning_whatever_the_wall_clock_says() {
        let at = monotonic();
        let clock = SteadyClock { began: Timestamp(5_000), at };
        for (elapsed_ms, expected) in [(0, 5_000), (1, 5_001), (86_400_000, 86_405_000)] {
            assert_eq!(clock.read(at + Duration::from_millis(elapsed_ms)), Timestamp(expected));
        }
        let (first, second) = (steady(), steady());
        assert!(first <= second && second.since(first) < Duration::from_secs(60));
    }
}
