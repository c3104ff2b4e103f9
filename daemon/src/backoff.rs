//! How long to wait before trying again: exponential, capped, with full jitter.
//!
//! M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), the variant "Full Jitter": the wait is
//! uniform between zero and the cap of the attempt, so that sites cut off together do not come back together.

use std::time::Duration;

/// Successive upper bounds of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first wait; each further one doubles.
    pub first: Duration,
    /// The bound that is never passed.
    pub longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Makes a backoff that has seen no failure.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Counts a failure and returns how long to wait; `random` is a uniform draw of 32 bits.
    #[must_use]
    pub fn wait(&mut self, random: u32) -> Duration {
        let bound =
            self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        // At most the bound, because `random` is less than 2^32.
        let nanoseconds = (bound.as_nanos() * u128::from(random)) >> 32;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Forgets the failures after what was tried has held for as long as the longest wait.
    ///
    /// Less proves nothing: a connection that ends as soon as it stands, because of what comes over it or
    /// because somebody else takes its place, would be dialled again for ever at the first wait.
    pub fn held(&mut self, duration: Duration) {
        if duration >= self.longest {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_start_over_after_what_held() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let half = 1 << 31;
        let waits: Vec<u128> = (0..6).map(|_| backoff.wait(half).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 500, 500]);
        for _ in 0..100 {
            assert!(backoff.wait(u32::MAX) < Duration::from_secs(1));
        }
        assert_eq!(backoff.wait(0), Duration::ZERO);
        backoff.held(Duration::from_millis(999));
        assert_eq!(backoff.wait(half), Duration::from_millis(500), "it did not hold long enough to count");
        backoff.held(Duration::from_secs(1));
        assert_eq!(backoff.wait(half), Duration::from_millis(50));
    }
}
