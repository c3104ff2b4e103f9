//! When an attempt leaves: at the end of its slot, as an update or as a decline, whatever became of it.
//!
//! The slot begins just before data is read and lasts `slot_s` of the plan, so that neither the time of sending nor
//! the one in the ledger tells who was sampled or how long that took. Work that needs longer has the slot of this
//! study doubled, for all attempts after it as well: so a study tells that it is slow no more often than its
//! deadline has doublings of `slot_s`, instead of once in each attempt.

use std::time::Duration;

use fedtwin_plan::Plan;

/// How long attempts of a study take, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    slot: Duration,
    longest: Duration,
    /// The plan has no slots: what is ready leaves at once.
    at_once: bool,
}

/// What there is to do about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Wait until then.
    At(Duration),
    /// It leaves, as what it has come to.
    Now,
    /// It leaves, and has come to nothing.
    TooLate,
}

impl Pace {
    /// Takes the plan's slot and the plan's own deadline; an invitation's is the coordinator's to choose.
    pub(crate) fn of(plan: &Plan) -> Self {
        let (slot, deadline) = (Duration::from_secs(plan.rounds.slot_s.get().into()), plan.deadline());
        Self { slot, longest: slot.max(deadline), at_once: slot.is_zero() }
    }

    /// Says what to do at `now` about an attempt that began at `began` and came to what it is at `ready`.
    ///
    /// Not even a caller that comes late learns whether it was ready in between: what was not ready at the slot's end
    /// waits for the next one.
    pub(crate) fn due(&mut self, began: Duration, ready: Option<Duration>, now: Duration) -> Due {
        if self.at_once {
            return match ready {
                Some(_) => Due::Now,
                None if now >= began + self.longest => Due::TooLate,
                None => Due::At(began + self.longest),
            };
        }
        loop {
            let end = began + self.slot;
            if now < end {
                return Due::At(end);
            }
            if ready.is_some_and(|ready| ready <= end) {
                return Due::Now;
            }
            if self.slot >= self.longest {
                return Due::TooLate;
            }
            self.slot = (self.slot * 2).min(self.longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Duration = Duration::from_millis(700);

    fn pace(slot_s: u64, deadline_s: u64) -> Pace {
        let (slot, longest) = (Duration::from_secs(slot_s), Duration::from_secs(deadline_s.max(slot_s)));
        Pace { slot, longest, at_once: slot_s == 0 }
    }

    /// When an attempt leaves that is ready after so many milliseconds, in milliseconds after it began.
    fn leaves(pace: &mut Pace, ready_ms: u64) -> (u128, Due) {
        let ready = BEGAN + Duration::from_millis(ready_ms);
        let mut now = BEGAN;
        loop {
            match pace.due(BEGAN, Some(ready).filter(|ready| *ready <= now), now) {
                Due::At(then) if ready > now => now = then.min(ready),
                Due::At(then) => now = then,
                due @ (Due::Now | Due::TooLate) => return ((now - BEGAN).as_millis(), due),
            }
        }
    }

    #[test]
    fn attempts_leave_at_the_end_of_the_slot_whatever_the_work_took() {
        for ready_ms in [0, 1, 1999, 2000] {
            assert_eq!(leaves(&mut pace(2, 30), ready_ms), (2000, Due::Now), "{ready_ms} ms");
        }
        for (ready_ms, left_ms) in [(2001, 4000), (4001, 8000), (16_001, 30_000), (30_000, 30_000)] {
            assert_eq!(leaves(&mut pace(2, 30), ready_ms), (left_ms, Due::Now), "{ready_ms} ms");
        }
        assert_eq!(leaves(&mut pace(2, 30), 30_001), (30_000, Due::TooLate));
        assert_eq!(leaves(&mut pace(40, 30), 39_000), (40_000, Due::Now), "a slot longer than the deadline");
    }

    #[test]
    fn a_slot_that_was_too_short_stays_doubled() {
        let mut pace = pace(2, 30);
        let left: Vec<_> = [100, 2500, 100, 3999, 7000, 100].map(|ms| leaves(&mut pace, ms).0).into();
        assert_eq!(left, [2000, 4000, 4000, 4000, 8000, 8000]);
    }

    #[test]
    fn who_looks_late_learns_no_more_than_who_looked_at_the_slots_end() {
        let (ready, late) = (BEGAN + Duration::from_millis(2100), BEGAN + Duration::from_millis(2200));
        let due = pace(2, 30).due(BEGAN, Some(ready), late);
        assert_eq!(due, Due::At(BEGAN + Duration::from_secs(4)));
    }

    #[test]
    fn without_slots_what_is_ready_leaves_at_once_and_what_never_is_at_the_plans_deadline() {
        assert_eq!(leaves(&mut pace(0, 30), 1234), (1234, Due::Now));
        assert_eq!(leaves(&mut pace(0, 30), 30_001), (30_000, Due::TooLate));
    }
}
