//! What is kept of a signal's values for each row: one accumulator, whatever the number of events.

use super::events::{Events, Window};
use super::exact::{Grid, Trend};
use super::signal::Signal;
use super::statistic::{Statistic, Summary, Wanted};
use crate::table::row::Cell;

/// The accumulators of all rows and signals.
#[derive(Debug)]
pub(crate) struct Summaries {
    signals: Vec<Kept>,
    /// Those of a row's signals one behind the other, of 128 bytes each.
    sums: Vec<Sums>,
    summaries: Vec<Summary>,
    window: Window,
    units_an_hour: f64,
}

/// What is kept of one signal's values, besides the first and the last, the smallest and the largest.
#[derive(Debug)]
struct Kept {
    has_mean: bool,
    has_slope: bool,
    /// For sums of 2^32 values: 126 bits in all.
    sum_grid: Grid,
    /// For sums of 2^32 products with times: 126 bits in all.
    trend_grid: Grid,
    time_grid: Grid,
}

/// The accumulator of one row and signal.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    first: At,
    last: At,
    min: f64,
    max: f64,
    /// On the signal's [`Kept::sum_grid`].
    sum: i128,
    trend: Trend,
}

/// A value at a time.
#[derive(Debug, Clone, Copy, Default)]
struct At {
    time: f64,
    value: f64,
}

impl Summaries {
    /// Makes room for so many rows; nothing if there is too little memory.
    pub(crate) fn new(wanted: &Wanted, signals: &[&Signal], events: &Events, rows: usize) -> Option<Self> {
        let Window { from, to } = events.window;
        let kept = signals.iter().enumerate().map(|(nth, signal)| Kept {
            has_mean: wanted.has(nth, Statistic::Mean),
            has_slope: wanted.has(nth, Statistic::Slope),
            sum_grid: Grid::new(signal.bound(), 94),
            trend_grid: Grid::new(signal.bound(), 62),
            time_grid: Grid::new(to - from, 32),
        });
        let count = rows.checked_mul(signals.len())?;
        let mut sums = Vec::new();
        sums.try_reserve_exact(count).ok()?;
        sums.resize(count, Sums::default());
        Some(Self {
            signals: kept.collect(),
            sums,
            summaries: wanted.summaries.clone(),
            window: events.window,
            units_an_hour: events.units_an_hour().unwrap_or(1.0),
        })
    }

    /// Adds a plausible value of a signal at a time within the window, if there is one.
    #[inline]
    pub(crate) fn add(&mut self, row: usize, signal: usize, time: f64, value: Option<f64>) {
        let Some(value) = value else { return };
        // The two zeros are one value.
        let at = At { time: time + 0.0, value: value + 0.0 };
        let kept = &self.signals[signal];
        let sums = &mut self.sums[row * self.signals.len() + signal];
        sums.add(at);
        if kept.has_mean {
            sums.sum += kept.sum_grid.whole(at.value);
        }
        if kept.has_slope {
            let time = kept.time_grid.small(at.time - self.window.from);
            sums.trend.add(time, kept.trend_grid.small(at.value));
        }
    }

    /// Returns the columns' names, in the order of [`Self::cells`].
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.summaries.iter().map(|summary| summary.column.as_str())
    }

    /// Returns the cells of a row; nothing for a row that is not there.
    pub(crate) fn cells(&self, row: usize, cells: &mut Vec<Cell<'static>>) -> Option<()> {
        cells.clear();
        for Summary { signal, statistic, .. } in &self.summaries {
            let sums = self.sums.get(row.checked_mul(self.signals.len())? + signal)?;
            cells.push(self.cell(sums, &self.signals[*signal], *statistic));
        }
        Some(())
    }

    fn cell(&self, sums: &Sums, kept: &Kept, statistic: Statistic) -> Cell<'static> {
        let Sums { first, last, min, max, sum, trend } = *sums;
        let count = trend.count;
        if count == 0 && statistic != Statistic::Count {
            return Cell::NOTHING;
        }
        let number = match statistic {
            Statistic::Count => return Cell::Whole(i64::from(count)),
            Statistic::Last => last.value,
            Statistic::First => first.value,
            Statistic::Min => min,
            Statistic::Max => max,
            // The grid may be coarser than the smallest values: equal ones are their own mean all the same.
            Statistic::Mean => kept.sum_grid.mean(sum, count).clamp(min, max),
            Statistic::Age => self.window.to - last.time,
            Statistic::Slope => match trend.slope(kept.time_grid, kept.trend_grid) {
                Some(slope) => slope * self.units_an_hour,
                None => return Cell::NOTHING,
            },
        };
        if number.is_finite() { Cell::Number(number) } else { Cell::NOTHING }
    }
}

impl Sums {
    #[inline]
    fn add(&mut self, at: At) {
        self.trend.count = self.trend.count.saturating_add(1);
        if self.trend.count == 1 {
            *self = Self { first: at, last: at, min: at.value, max: at.value, ..*self };
            return;
        }
        if at.is_before(self.first) {
            self.first = at;
        }
        if self.last.is_before(at) {
            self.last = at;
        }
        self.min = self.min.min(at.value);
        self.max = self.max.max(at.value);
    }
}

impl At {
    /// Says which of two is first: the earlier one, and of one time the smaller.
    #[inline]
    fn is_before(self, other: Self) -> bool {
        self.time < other.time || (self.time <= other.time && self.value < other.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accumulator_has_the_bytes_that_are_stated() {
        assert_eq!(size_of::<Sums>(), 128);
    }
}
