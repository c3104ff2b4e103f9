//! Series as columns: tables of events, summarised in a window that ends at a landmark.
//!
//! An event is a value of a signal at a time: a heart rate at hour 3. [`events`] says how people describe a table of them,
//! [`statistic`] which summaries there are and which of them a schema reads, [`reading`] walks over the events once and
//! [`summary`] has what is kept of them. All sums are exact ([`exact`]), so that no result depends on the order of lines. In
//! [`rows`], the table's rows get the summaries as further cells.
//!
//! Left out on purpose: times of day and dates, whose origin nobody stated, and filling of gaps, which is a model's choice.

pub(crate) mod events;
mod exact;
pub(crate) mod reading;
pub(crate) mod rows;
pub(crate) mod signal;
pub(crate) mod statistic;
mod summary;
