//! A unit of measure, read from a text that people wrote.

use dashu_ratio::RBig;

use crate::analyte::Analyte;
use crate::atoms::{self, Meaning};
use crate::conversion::Conversion;
use crate::grammar::{self, Fault};
use crate::kind::{self, NotComparable};
use crate::quantity::Quantity;
use crate::spelling::{self, Hint};

/// A unit of measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    code: String,
    quantity: Quantity,
    /// What the base unit's 0 is below its own, in itself: of temperatures alone.
    zero: RBig,
}

/// A text that is no unit, with what might be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAUnit {
    /// Nothing, or more than units take.
    #[error("a unit has 1 to {} letters", spelling::LENGTH_MAX)]
    Length,
    /// A symbol that is none of UCUM's.
    #[error("{unit:?} is no known unit{}", meant(.nearest.as_deref()))]
    Unknown {
        /// The whole text.
        unit: String,
        /// The nearest unit in use.
        nearest: Option<String>,
    },
    /// A text that is a unit for UCUM, and another one for whoever wrote it.
    #[error("{unit:?} {hint}")]
    Ambiguous {
        /// The whole text.
        unit: String,
        /// What to write.
        hint: &'static str,
    },
    /// A text that is not put together as units are.
    #[error("{unit:?} {fault}{}", meant(.nearest.as_deref()))]
    Form {
        /// The whole text.
        unit: String,
        /// What is wrong.
        fault: &'static str,
        /// The nearest unit in use.
        nearest: Option<String>,
    },
    /// A temperature in an expression.
    #[error("{unit:?} has {scale} within, whose 0 lies elsewhere than at no warmth: differences are in K")]
    Scale {
        /// The whole text.
        unit: String,
        /// The scale.
        scale: &'static str,
    },
}

/// Why there is no conversion between two texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoConversion {
    /// One of them is no unit.
    #[error(transparent)]
    NotAUnit(#[from] NotAUnit),
    /// They are units of different kinds.
    #[error(transparent)]
    NotComparable(#[from] NotComparable),
}

impl Unit {
    /// Reads a unit: a code of UCUM, or one of the spellings that this crate knows besides.
    ///
    /// # Errors
    /// Says what is no unit, and what might be meant.
    pub fn parse(text: &str) -> Result<Self, NotAUnit> {
        let text = text.trim();
        if text.is_empty() || text.len() > spelling::LENGTH_MAX {
            return Err(NotAUnit::Length);
        }
        let code = spelling::code(text).map_err(|Hint(hint)| {
            let unit = text.to_owned();
            NotAUnit::Ambiguous { unit, hint }
        })?;
        Self::read(&code).map_err(|fault| {
            let (unit, nearest) = (text.to_owned(), spelling::nearest(text));
            match fault {
                Fault::Unknown(_) => NotAUnit::Unknown { unit, nearest },
                Fault::Scale(scale) => NotAUnit::Scale { unit, scale },
                Fault::Form(fault) => NotAUnit::Form { unit, fault, nearest },
            }
        })
    }

    fn read(code: &str) -> Result<Self, Fault> {
        let (symbol, note) = match code.split_once('{') {
            Some((symbol, note)) => {
                (symbol, note.strip_suffix('}').filter(|note| !note.is_empty() && !note.contains(['{', '}'])))
            }
            None => (code, None),
        };
        let scale = atoms::find(symbol).and_then(|(_, atom)| match atom.meaning {
            Meaning::Scale { degree: [above, below], zero } => Some((above, below, zero)),
            Meaning::Own | Meaning::Of(_, _) | Meaning::Share(_) => None,
        });
        let Some((above, below, zero)) = scale.filter(|_| code == symbol || note.is_some()) else {
            return Ok(Self { code: code.to_owned(), quantity: grammar::read(code)?, zero: RBig::ZERO });
        };
        let mut quantity = Quantity::number(atoms::number(above) / atoms::number(below));
        quantity.times(&Quantity::base("K"), 1);
        if let Some(note) = note {
            quantity = quantity.annotated(note);
        }
        Ok(Self { code: code.to_owned(), quantity, zero: atoms::number(zero) })
    }

    /// Returns its code as UCUM writes it.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Says whether a half of a number of it is a half of what is measured: not of temperatures above freezing, nor of
    /// logarithms.
    #[must_use]
    pub fn has_true_zero(&self) -> bool {
        self.zero.is_zero() && !self.quantity.bases.keys().any(|code| LOGARITHMS.contains(code))
    }

    /// Finds the way of numbers in this unit to another one.
    ///
    /// # Errors
    /// Says why there is none.
    pub fn conversion_to(&self, to: &Self, analyte: &Analyte) -> Result<Conversion, NotComparable> {
        let factor = kind::compared(&self.quantity.kind(), &to.quantity.kind(), analyte)?;
        let scale = &self.quantity.scale * factor / &to.quantity.scale;
        let shift = &self.zero * &scale - &to.zero;
        Ok(Conversion::new(scale, shift))
    }
}

/// Finds the way of numbers from one unit to another, both as people wrote them.
///
/// # Errors
/// Says which of them is no unit, or why they are not comparable.
pub fn conversion(from: &str, to: &str, analyte: &Analyte) -> Result<Conversion, NoConversion> {
    Ok(Unit::parse(from)?.conversion_to(&Unit::parse(to)?, analyte)?)
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; {nearest} is one")).unwrap_or_default()
}

const LOGARITHMS: [&str; 8] = ["[pH]", "Np", "B", "B[SPL]", "B[V]", "B[mV]", "B[uV]", "B[W]"];
