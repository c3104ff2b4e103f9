//! When an update leaves: at the next multiple of the plan's slot after the attempt's start, so that neither the
//! time of sending nor the one in the ledger tells how many patients were sampled.

use std::time::Duration;

use tokio::time::Instant;

/// Waits for the next slot of `slot_s` seconds after `started`; with 0 there is nothing to wait for.
pub(crate) async fn next(started: Instant, slot_s: u32) {
    if slot_s > 0 {
        tokio::time::sleep_until(started + end(started.elapsed(), slot_s)).await;
    }
}

/// Returns when the slot ends that `elapsed` lies in, from the start.
fn end(elapsed: Duration, slot_s: u32) -> Duration {
    let slots = elapsed.as_secs() / u64::from(slot_s) + 1;
    Duration::from_secs(slots * u64::from(slot_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_leave_at_multiples_of_the_slot_whatever_the_work_took() {
        for (millis, slot_s, leaves_s) in
            [(0, 2, 2), (1, 2, 2), (1999, 2, 2), (2000, 2, 4), (7100, 2, 8), (7100, 30, 30), (59_999, 30, 60)]
        {
            assert_eq!(
                end(Duration::from_millis(millis), slot_s),
                Duration::from_secs(leaves_s),
                "{millis} ms"
            );
        }
    }
}
