//! Times to an event: how long patients are followed, in which intervals, and what each record says of them.
//!
//! A plan cuts the time from an origin that all patients have (an operation, an admission) into intervals, which are public.
//! The model learns the hazard of each: the probability that it happens in the interval to somebody to whom it has not
//! happened before. What a patient's record adds to an interval is a rule stated here, and depends on that record alone.

use crate::text_file::Problem;

/// The intervals in which a plan looks for an event.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowUp {
    /// The unit of all times, as a feature has one.
    pub unit: String,
    /// The landmark: where the first interval begins. Whoever was followed less, or had the event by then, adds nothing.
    pub from: f64,
    /// The ends of the intervals, ascending; the last one is the horizon. An interval holds its end and not its beginning,
    /// but for a first one that begins at 0, which holds that as well.
    pub until: Vec<f64>,
}

/// How long a patient was followed, in the plan's unit since the origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed {
    /// When the patient came under observation, at least 0: an event before it would not have been seen (left truncation).
    pub entry: f64,
    /// When the event happened, or when the patient was last known to be without it: at least `entry`.
    pub time: f64,
    /// Whether it happened; if not, the patient is censored.
    pub happened: bool,
}

/// What a record says of one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InInterval {
    /// Nothing: the patient was not, or not long enough, under observation in it.
    Unknown,
    /// The patient came through without the event.
    Survived,
    /// It happened in this interval.
    Happened,
}

impl FollowUp {
    /// Returns the horizon, beyond which nothing is asked: whoever was followed for longer is censored there.
    ///
    /// # Panics
    /// Without an interval, which no checked plan has.
    #[must_use]
    pub fn horizon(&self) -> f64 {
        *self.until.last().expect("a checked plan has an interval")
    }

    /// Says whether somebody was still followed, and without the event, at the landmark: others are not asked about.
    #[must_use]
    pub fn includes(&self, observed: Observed) -> bool {
        let Observed { entry, time, happened } = observed;
        entry <= time && time >= self.from && !(happened && time <= self.from && self.from > 0.0)
    }

    /// Returns what a record says of each interval, in their order.
    ///
    /// An interval counts for whoever came under observation in its first half, and was then followed to its middle at least
    /// (Gensheimer and Narasimhan 2019, section 2.2) or had the event in it. An event after the horizon is none before it. A
    /// time that is no number says nothing of any interval.
    #[must_use]
    pub fn intervals(&self, observed: Observed) -> Vec<InInterval> {
        let Observed { entry, time, happened } = observed;
        let is_out = !self.includes(observed);
        let mut begin = self.from;
        let of_interval = |&end: &f64| {
            let (middle, first) = (begin.midpoint(end), begin <= 0.0);
            let in_it = time <= end && (time > begin || first);
            begin = end;
            let survived = if happened { time > end } else { time >= middle };
            match () {
                () if is_out || entry > middle => InInterval::Unknown,
                () if happened && in_it => InInterval::Happened,
                () if survived => InInterval::Survived,
                () => InInterval::Unknown,
            }
        };
        self.until.iter().map(of_interval).collect()
    }

    pub(crate) fn check(&self) -> Result<(), Problem> {
        let refuse = |key: &str, message: String| {
            Err(Problem::new(format!("data.table.outcome.event.{key}"), message))
        };
        if !(self.from.is_finite() && self.from >= 0.0) {
            return refuse("from", format!("is {}, expected a time from 0 on", self.from));
        }
        if self.until.is_empty() || self.until.len() > INTERVALS_MAX {
            return refuse("until", format!("has {} ends, expected 1 to {INTERVALS_MAX}", self.until.len()));
        }
        let mut before = self.from;
        for &end in &self.until {
            if !(end.is_finite() && end > before) {
                return refuse("until", format!("has {end} after {before}, expected times that ascend"));
            }
            before = end;
        }
        Ok(())
    }
}

/// Enough for a day by the hour and a decade by the month.
const INTERVALS_MAX: usize = 240;

#[cfg(test)]
mod tests {
    use super::InInterval::{Happened, Survived, Unknown};
    use super::*;

    fn of(from: f64, until: &[f64], entry: f64, time: f64, happened: bool) -> Vec<InInterval> {
        let follow_up = FollowUp { unit: "d".into(), from, until: until.to_vec() };
        follow_up.check().unwrap();
        follow_up.intervals(Observed { entry, time, happened })
    }

    #[test]
    fn an_event_ends_what_a_record_says() {
        let until = [10.0, 20.0, 30.0];
        for (time, expected) in [
            (0.0, [Happened, Unknown, Unknown]),
            (10.0, [Happened, Unknown, Unknown]),
            (10.001, [Survived, Happened, Unknown]),
            (30.0, [Survived, Survived, Happened]),
            (30.001, [Survived; 3]),
            (f64::INFINITY, [Survived; 3]),
        ] {
            assert_eq!(of(0.0, &until, 0.0, time, true), expected, "{time}");
        }
    }

    #[test]
    fn whoever_is_censored_has_survived_what_lies_half_behind() {
        let until = [10.0, 20.0, 30.0];
        for (time, expected) in [
            (0.0, [Unknown; 3]),
            (4.9, [Unknown; 3]),
            (5.0, [Survived, Unknown, Unknown]),
            (20.0, [Survived, Survived, Unknown]),
            (25.0, [Survived; 3]),
            (1e300, [Survived; 3]),
        ] {
            assert_eq!(of(0.0, &until, 0.0, time, false), expected, "{time}");
        }
    }

    #[test]
    fn whoever_comes_late_adds_nothing_to_what_was_before() {
        let until = [10.0, 20.0, 30.0];
        for (entry, time, happened, expected) in [
            (5.0, 25.0, false, [Survived; 3]),
            (5.1, 25.0, false, [Unknown, Survived, Survived]),
            (16.0, 25.0, true, [Unknown, Unknown, Happened]),
            // Others who came as late and had no event by the end do not count either.
            (18.0, 19.0, true, [Unknown; 3]),
            (12.0, 14.0, true, [Unknown, Happened, Unknown]),
            (25.0, 19.0, true, [Unknown; 3]),
            (f64::NAN, 19.0, true, [Unknown; 3]),
            (0.0, f64::NAN, false, [Unknown; 3]),
        ] {
            assert_eq!(of(0.0, &until, entry, time, happened), expected, "{entry} to {time}");
        }
    }

    #[test]
    fn a_landmark_leaves_out_what_happened_by_then() {
        let until = [40.0, 60.0];
        for (time, happened, expected) in [
            (20.0, true, [Unknown; 2]),
            (20.0, false, [Unknown; 2]),
            (10.0, true, [Unknown; 2]),
            (29.0, false, [Unknown; 2]),
            (30.0, false, [Survived, Unknown]),
            (20.5, true, [Happened, Unknown]),
            (70.0, true, [Survived; 2]),
        ] {
            assert_eq!(of(20.0, &until, 0.0, time, happened), expected, "{time}");
        }
    }

    #[test]
    fn intervals_must_ascend() {
        let refused = |from: f64, until: &[f64]| {
            let follow_up = FollowUp { unit: "d".into(), from, until: until.to_vec() };
            follow_up.check().unwrap_err().to_string()
        };
        assert!(refused(0.0, &[]).contains("has 0 ends, expected 1 to 240"));
        assert!(refused(0.0, &[5.0, 5.0]).contains("has 5 after 5, expected times that ascend"));
        assert!(refused(9.0, &[5.0]).contains("has 5 after 9"));
        assert!(refused(0.0, &[f64::NAN]).contains("has NaN after 0"));
        assert!(refused(-1.0, &[5.0]).contains("event.from is -1, expected a time from 0 on"));
    }
}
