//! What is kept of a signal's values for each row: one accumulator, whatever the number of events.

use super::events::{Events, Window};
use super::exact::{Grid, Trend};
use super::signal::Signal;
use super::statistic::{Statistic, Summary, Wanted};
use crate::table::row::Cell;

/// The accumulators of all rows and signals.
#[derive(Debug)]
pub(crate) struct Summaries {
    signals: Vec<SignalSums>,
    summaries: Vec<Summary>,
    window: Window,
    units_an_hour: f64,
}

/// The accumulators of one signal, by row; what no column is made of is empty.
#[derive(Debug)]
struct SignalSums {
    /// 56 bytes a row.
    extremes: Vec<Extremes>,
    /// 16 bytes a row.
    sums: Vec<i128>,
    /// 64 bytes a row.
    trends: Vec<Trend>,
    /// For sums of 2^32 values: 126 bits in all.
    sum_grid: Grid,
    /// For sums of 2^32 products with times: 126 bits in all.
    trend_grid: Grid,
    time_grid: Grid,
}

/// The first and the last value, the smallest and the largest, and how many there are.
#[derive(Debug, Clone, Copy, Default)]
struct Extremes {
    count: u32,
    first: At,
    last: At,
    min: f64,
    max: f64,
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
        let made = signals.iter().enumerate().map(|(nth, signal)| {
            Some(SignalSums {
                extremes: zeros(rows)?,
                sums: zeros(if wanted.has(nth, Statistic::Mean) { rows } else { 0 })?,
                trends: zeros(if wanted.has(nth, Statistic::Slope) { rows } else { 0 })?,
                sum_grid: Grid::new(signal.bound(), 94),
                trend_grid: Grid::new(signal.bound(), 62),
                time_grid: Grid::new(to - from, 32),
            })
        });
        Some(Self {
            signals: made.collect::<Option<_>>()?,
            summaries: wanted.summaries.clone(),
            window: events.window,
            units_an_hour: events.units_an_hour().unwrap_or(1.0),
        })
    }

    /// Adds a plausible value of a signal at a time within the window.
    #[inline]
    fn add(&mut self, row: usize, signal: usize, time: f64, value: f64) {
        // The two zeros are one value.
        let at = At { time: time + 0.0, value: value + 0.0 };
        let SignalSums { extremes, sums, trends, sum_grid, trend_grid, time_grid } =
            &mut self.signals[signal];
        extremes[row].add(at);
        if let Some(sum) = sums.get_mut(row) {
            *sum += sum_grid.whole(at.value);
        }
        if let Some(trend) = trends.get_mut(row) {
            trend.add(time_grid.whole(at.time - self.window.from), trend_grid.whole(at.value));
        }
    }

    /// Adds a value if there is one.
    #[inline]
    pub(crate) fn add_met(&mut self, row: usize, signal: usize, time: f64, value: Option<f64>) {
        if let Some(value) = value {
            self.add(row, signal, time, value);
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
            cells.push(self.signals[*signal].cell(row, *statistic, self)?);
        }
        Some(())
    }
}

impl SignalSums {
    fn cell(&self, row: usize, statistic: Statistic, all: &Summaries) -> Option<Cell<'static>> {
        let Extremes { count, first, last, min, max } = *self.extremes.get(row)?;
        if count == 0 && statistic != Statistic::Count {
            return Some(Cell::NOTHING);
        }
        let number = match statistic {
            Statistic::Count => return Some(Cell::Whole(i64::from(count))),
            Statistic::Last => last.value,
            Statistic::First => first.value,
            Statistic::Min => min,
            Statistic::Max => max,
            // The grid may be coarser than the smallest values: equal ones are their own mean all the same.
            Statistic::Mean => self.sum_grid.mean(*self.sums.get(row)?, count).clamp(min, max),
            Statistic::Age => all.window.to - last.time,
            Statistic::Slope => match self.trends.get(row)?.slope(self.time_grid, self.trend_grid) {
                Some(slope) => slope * all.units_an_hour,
                None => return Some(Cell::NOTHING),
            },
        };
        Some(if number.is_finite() { Cell::Number(number) } else { Cell::NOTHING })
    }
}

impl Extremes {
    #[inline]
    fn add(&mut self, at: At) {
        if self.count == 0 {
            *self = Self { count: 1, first: at, last: at, min: at.value, max: at.value };
            return;
        }
        self.count = self.count.saturating_add(1);
        if at.key() < self.first.key() {
            self.first = at;
        }
        if at.key() > self.last.key() {
            self.last = at;
        }
        self.min = self.min.min(at.value);
        self.max = self.max.max(at.value);
    }
}

impl At {
    /// Returns what the first and the last are found by: of several at one time, the smallest is first and the largest last.
    fn key(self) -> (f64, f64) {
        (self.time, self.value)
    }
}

/// Makes room for so many accumulators of nothing.
fn zeros<T: Clone + Default>(count: usize) -> Option<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).ok()?;
    room.resize(count, T::default());
    Some(room)
}
