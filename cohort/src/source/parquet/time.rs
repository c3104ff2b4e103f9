//! Dates and times as ISO 8601 writes them, with as many digits as their unit has.

use std::fmt::{self, Write as _};

/// The parts of a second that a time is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Milli,
    Micro,
    Nano,
}

/// Writes a day, counted from 1970-01-01.
pub(super) fn write_date(into: &mut String, day: i64) -> fmt::Result {
    let (year, month, day) = civil(day);
    if (0..=9999).contains(&year) {
        write!(into, "{year:04}-{month:02}-{day:02}")
    } else {
        // With a sign, as years of more or of fewer digits have in ISO 8601-1:2019, 5.2.2.3.
        write!(into, "{year:+06}-{month:02}-{day:02}")
    }
}

/// Writes the time of a day, counted in `unit`.
pub(super) fn write_time(into: &mut String, time: i64, unit: Unit) -> fmt::Result {
    let (per_second, digits) = unit.fraction();
    let (seconds, fraction) = (time.div_euclid(per_second), time.rem_euclid(per_second));
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(into, "{hour:02}:{minute:02}:{second:02}.{fraction:0digits$}")
}

/// Writes a time since 1970-01-01T00:00, counted in `unit`.
pub(super) fn write_timestamp(into: &mut String, time: i64, unit: Unit) -> fmt::Result {
    let per_day = DAY_S * unit.fraction().0;
    write_date(into, time.div_euclid(per_day))?;
    into.push('T');
    write_time(into, time.rem_euclid(per_day), unit)
}

impl Unit {
    /// Returns how many a second has, and how many digits they are.
    fn fraction(self) -> (i64, usize) {
        match self {
            Self::Milli => (1_000, 3),
            Self::Micro => (1_000_000, 6),
            Self::Nano => (1_000_000_000, 9),
        }
    }
}

/// Returns year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that a leap day is the last: in 400 years there are 146097 days, and 153 in each five
/// months (Richards 2013, "Calendars", in the Explanatory Supplement to the Astronomical Almanac, 15.11).
fn civil(day: i64) -> (i64, i64, i64) {
    let since_march_0 = day + 719_468;
    let (cycle, of_cycle) = (since_march_0.div_euclid(146_097), since_march_0.rem_euclid(146_097));
    let year = (of_cycle - of_cycle / 1460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next, month, of_month)
}

const DAY_S: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (day, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
            (19_782, "2024-02-29"),
            (2_932_896, "9999-12-31"),
            (2_932_897, "+10000-01-01"),
            (-719_528, "0000-01-01"),
            (-719_529, "-00001-12-31"),
        ] {
            let mut text = String::new();
            write_date(&mut text, day).unwrap();
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn times_have_the_digits_of_their_unit() {
        let write = |time, unit| {
            let mut text = String::new();
            write_timestamp(&mut text, time, unit).unwrap();
            text
        };
        assert_eq!(write(0, Unit::Milli), "1970-01-01T00:00:00.000");
        assert_eq!(write(-1, Unit::Micro), "1969-12-31T23:59:59.999999");
        assert_eq!(write(951_827_696_000_000_001, Unit::Nano), "2000-02-29T12:34:56.000000001");
        for time in [i64::MIN, i64::MAX] {
            for unit in [Unit::Milli, Unit::Micro, Unit::Nano] {
                assert!(write(time, unit).contains('T'));
            }
        }
    }
}
