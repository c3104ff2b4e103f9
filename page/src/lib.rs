//! Pages for people: one self-contained file each, light or dark, on paper or on a telephone.
//!
//! A page is [`frame::page`] around markup of `maud`, which escapes every text; [`table::Table`] and the charts of
//! [`chart`] are values that render themselves into it. Nothing here knows what a figure means. Left out on purpose:
//! scripts, fonts, and whatever else would have to be fetched.

pub mod chart;
pub mod frame;
mod style;
pub mod table;
