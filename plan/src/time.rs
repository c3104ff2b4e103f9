//! Points in time, as arguments: no code below the programs reads a clock.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Returns how long after `earlier` this is, or zero.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(ms))
    }
}

/// A calendar day in UTC, written `2027-06-30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A text that is no date from 1970 on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a date from 1970 on, written like \"2027-06-30\"")]
pub struct NotADate;

impl Date {
    /// Returns the first moment after the day.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp((self.days_since_epoch() + 1) * MS_PER_DAY)
    }

    /// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`, for years from 1970 on.
    fn days_since_epoch(self) -> u64 {
        let month = u64::from(self.month);
        let year = u64::from(self.year) - u64::from(month <= 2);
        let year_of_era = year % 400;
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + u64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        year / 400 * 146_097 + day_of_era - 719_468
    }

    fn days_in_month(year: u16, month: u8) -> u8 {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

impl FromStr for Date {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let mut parts = text.splitn(3, '-');
        let mut part = |digits: usize| {
            let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()));
            part.and_then(|p| p.parse::<u16>().ok()).ok_or(NotADate)
        };
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let month = u8::try_from(month).map_err(|_too_large| NotADate)?;
        let day = u8::try_from(day).map_err(|_too_large| NotADate)?;
        let valid = year >= 1970
            && (1..=12).contains(&month)
            && (1..=Self::days_in_month(year, month)).contains(&day);
        if valid { Ok(Self { year, month, day }) } else { Err(NotADate) }
    }
}

impl TryFrom<String> for Date {
    type Error = NotADate;

    fn try_from(text: String) -> Result<Self, NotADate> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> Self {
        date.to_string()
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

const MS_PER_DAY: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_where_the_next_begins() {
        for (date, end_ms) in
            [("1970-01-01", 86_400_000), ("2000-02-29", 951_868_800_000), ("2026-11-22", 1_795_392_000_000)]
        {
            assert_eq!(date.parse::<Date>().unwrap().end(), Timestamp(end_ms), "{date}");
        }
    }

    #[test]
    fn impossible_dates_are_refused() {
        for bad in [
            "",
            "2027",
            "2027-02-29",
            "2027-13-01",
            "2027-00-10",
            "2027-1-01",
            "1969-12-31",
            "2027-06-31",
            "2027-06-30T",
        ] {
            assert_eq!(bad.parse::<Date>(), Err(NotADate), "{bad}");
        }
    }
}
