//! What was refused, for the audit log: one line for each caller and day, however often it tries.

use std::collections::BTreeMap;

use fedtwin_plan::Timestamp;
use fedtwin_proto::domain::as_reason;

use crate::record::Record;

/// The refusals of a day that have no line yet.
#[derive(Debug)]
pub struct Refusals {
    day: u64,
    by: BTreeMap<String, (u32, String)>,
}

impl Refusals {
    /// Begins with the day that `now` is in.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { day: now.0 / DAY_MS, by: BTreeMap::new() }
    }

    /// Takes note of a refusal.
    pub fn note(&mut self, who: &str, reason: &str) {
        let known = self.by.len() < CALLERS_MAX || self.by.contains_key(who);
        let who = if known { who } else { OTHERS };
        let (count, last) = self.by.entry(who.to_owned()).or_default();
        *count = count.saturating_add(1);
        *last = as_reason(reason);
    }

    /// Returns the lines of a day that is over; `now` is the wall clock's.
    #[must_use]
    pub fn of_an_earlier_day(&mut self, now: Timestamp) -> Vec<Record> {
        let today = now.0 / DAY_MS;
        // A clock that is set back makes the day longer, and no second line.
        if today <= self.day {
            return Vec::new();
        }
        let lines = self.take();
        self.day = today;
        lines
    }

    /// Returns the lines of the day so far, when the coordinator stops.
    #[must_use]
    pub fn take(&mut self) -> Vec<Record> {
        let day_ms = self.day * DAY_MS;
        let lines = std::mem::take(&mut self.by).into_iter();
        lines.map(|(who, (count, last))| Record::Refused { who, day_ms, count, last }).collect()
    }
}

/// All callers of a large federation, of whom few are refused.
const CALLERS_MAX: usize = 1000;
const OTHERS: &str = "others";
const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: u64) -> Timestamp {
        Timestamp(day * DAY_MS + 5)
    }

    #[test]
    fn each_caller_has_one_line_a_day_with_the_last_reason() {
        let mut refusals = Refusals::new(at(3));
        for number in 0..1000 {
            refusals.note("ada", &format!("reason\n{number}"));
        }
        refusals.note("ben", "too large");
        assert_eq!(refusals.of_an_earlier_day(at(3)), [], "the day is not over");
        assert_eq!(refusals.of_an_earlier_day(at(2)), [], "the clock was set back");
        let line = |who: &str, count, last: &str| Record::Refused {
            who: who.to_owned(),
            day_ms: 3 * DAY_MS,
            count,
            last: last.to_owned(),
        };
        let expected = [line("ada", 1000, "reason 999"), line("ben", 1, "too large")];
        assert_eq!(refusals.of_an_earlier_day(at(4)), expected);
        assert_eq!(refusals.take(), []);
    }

    #[test]
    fn memory_is_bounded_whoever_calls() {
        let mut refusals = Refusals::new(at(0));
        (0..10 * CALLERS_MAX).for_each(|number| refusals.note(&number.to_string(), "no"));
        assert_eq!(refusals.take().len(), CALLERS_MAX + 1);
    }
}
