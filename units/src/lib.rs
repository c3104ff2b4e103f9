//! Units of measure as hospitals write them, and exact conversions between those that are comparable.
//!
//! A unit is read from a code of UCUM or a common spelling ([`Unit::parse`]); a conversion takes a number's decimal digits
//! and rounds once ([`Conversion::apply`]), so that hospitals with different units get the same bits. What is
//! comparable is said in [`kind`]: by what is measured, and not by dimension.
//!
//! Left out on purpose: which analyte a column holds. Its molar mass and valence are stated by people ([`Analyte`]).

mod analyte;
mod atoms;
mod conversion;
mod decimal;
mod grammar;
pub mod kind;
mod quantity;
mod spelling;
mod unit;

pub use analyte::{Analyte, MolarMass, NotAConstant, Valence};
pub use conversion::Conversion;
pub use decimal::{Decimal, NotADecimal};
pub use kind::NotComparable;
pub use unit::{NoConversion, NotAUnit, Unit, conversion};
