//! Which units are comparable: by what they measure, and not by their dimension alone.
//!
//! For UCUM a mole is a number, and so are percentages, counts, annotations and the units of vaccines: by dimension 10*9/L is
//! mmol/L, and a percentage is a score. Here two units are comparable if all of this holds.
//!
//! 1. They have the same powers of the same base units. Moles, equivalents, osmoles, becquerels, grays, sieverts, degrees
//!    of angle, each arbitrary unit (`[iU]`, `[arb'U]`), each logarithm (`[pH]`, bel, neper) and fields of a microscope
//!    are base units of their own. Enzyme units are moles by time (U is umol/min), so that U/L is comparable with kat/L.
//! 2. Masses, moles, equivalents and osmoles above and below the line stay there: mmol/mol is comparable with no
//!    percentage (haemoglobin A1c has both, by two methods), nor is mg/g. Lengths and times cancel: L/L is the number 1,
//!    and comparable with a percentage.
//! 3. A mass is comparable with an amount of substance where the molar mass is stated, and equivalents where the valence is.
//!    Nothing makes osmoles of moles, or a concentration of a pH.
//! 4. Two annotations are equal, or one unit has none: vital signs are written as `/min` and as `{beats}/min`, and
//!    `{breaths}/min` is something else than `{beats}/min`. What is counted below the line, as in `/{HPF}`, `/100{WBC}` and
//!    `mL/min/{1.73_m2}`, is a divisor, and is the same on both sides.
//! 5. A share of a whole (`%`, `[ppm]`, L/L) is no annotated number: `%` is comparable with `1` and not with `{score}`.

use std::collections::{BTreeMap, BTreeSet};

use dashu_ratio::RBig;

use crate::analyte::Analyte;
use crate::quantity::Kind;

/// Why numbers in one unit cannot become numbers in another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotComparable {
    /// They measure different things.
    #[error("one is measured in {from}, the other in {to}")]
    Kinds {
        /// The base units of one.
        from: String,
        /// The base units of the other.
        to: String,
    },
    /// A mass and an amount of substance.
    #[error("one is a mass and the other an amount of substance: state the molar_mass, in g/mol")]
    MolarMassNeeded,
    /// Equivalents and something else than equivalents.
    #[error("one is in equivalents: state the valence, the charges of one ion")]
    ValenceNeeded,
    /// Equivalents and a mass.
    #[error("one is in equivalents and the other a mass: state valence and molar_mass")]
    ValenceAndMolarMassNeeded,
    /// Annotations that differ.
    #[error("{{{from}}} is something else than {{{to}}}")]
    Annotations {
        /// What one counts.
        from: String,
        /// What the other counts.
        to: String,
    },
    /// Numbers by different things.
    #[error("one is by {from}, the other by {to}")]
    Divisors {
        /// What one is divided by.
        from: String,
        /// What the other is divided by.
        to: String,
    },
    /// A share and a number that is none.
    #[error("a share of a whole is no {{{0}}}")]
    Share(String),
}

/// Returns the factor that the analyte brings between two kinds, which is 1 where they are one kind.
pub(crate) fn compared(from: &Kind, to: &Kind, analyte: &Analyte) -> Result<RBig, NotComparable> {
    let factor = substance(from, to, analyte)?;
    if from.divisors != to.divisors {
        return Err(NotComparable::Divisors { from: named(&from.divisors), to: named(&to.divisors) });
    }
    match (from.notes.is_empty(), to.notes.is_empty()) {
        (false, false) if from.notes != to.notes => {
            Err(NotComparable::Annotations { from: named(&from.notes), to: named(&to.notes) })
        }
        (true, false) if from.is_share && !to.is_share => Err(NotComparable::Share(named(&to.notes))),
        (false, true) if to.is_share && !from.is_share => Err(NotComparable::Share(named(&from.notes))),
        (_, _) => Ok(factor),
    }
}

/// Compares base units, where one may be a mass, an amount or equivalents of one substance.
fn substance(from: &Kind, to: &Kind, analyte: &Analyte) -> Result<RBig, NotComparable> {
    let kinds = || NotComparable::Kinds { from: described(from), to: described(to) };
    let codes: BTreeSet<_> = from.bases.keys().chain(to.bases.keys()).collect();
    let powers = |kind: &Kind, code: &str| kind.bases.get(code).copied().unwrap_or_default();
    let mut changes = Vec::new();
    for code in codes {
        for (side, (a, b)) in powers(from, code).into_iter().zip(powers(to, code)).enumerate() {
            if a != b {
                changes.push((*code, side, a - b));
            }
        }
    }
    let (side, gone, come) = match changes[..] {
        [] => return Ok(RBig::ONE),
        [(gone, side, 1), (come, other, -1)] | [(come, other, -1), (gone, side, 1)] if side == other => {
            (side, gone, come)
        }
        _ => return Err(kinds()),
    };
    let molar_mass = analyte.molar_mass.as_ref().map(|mass| mass.ratio());
    let valence = analyte.valence.map(|valence| valence.ratio());
    let needs_both = NotComparable::ValenceAndMolarMassNeeded;
    let both = molar_mass.clone().zip(valence.clone());
    let factor = match (gone, come) {
        ("g", "mol") => RBig::ONE / molar_mass.ok_or(NotComparable::MolarMassNeeded)?,
        ("mol", "g") => molar_mass.ok_or(NotComparable::MolarMassNeeded)?,
        ("eq", "mol") => RBig::ONE / valence.ok_or(NotComparable::ValenceNeeded)?,
        ("mol", "eq") => valence.ok_or(NotComparable::ValenceNeeded)?,
        ("eq", "g") => both.map(|(mass, valence)| mass / valence).ok_or(needs_both)?,
        ("g", "eq") => both.map(|(mass, valence)| valence / mass).ok_or(needs_both)?,
        (_, _) => return Err(kinds()),
    };
    Ok(if side == 0 { factor } else { RBig::ONE / factor })
}

/// Writes the base units of a kind as UCUM does.
fn described(kind: &Kind) -> String {
    let write = |code: &str, power: i32| if power == 1 { code.to_owned() } else { format!("{code}{power}") };
    let part = |side: usize| {
        let powers = kind.bases.iter().map(move |(code, powers)| (code, powers[side]));
        powers.filter(|(_, power)| *power > 0).map(|(code, power)| write(code, power)).collect::<Vec<_>>()
    };
    let (above, below) = (part(0), part(1));
    let above = if above.is_empty() && below.is_empty() { "1".to_owned() } else { above.join(".") };
    below.iter().fold(above, |text, unit| format!("{text}/{unit}"))
}

fn named(words: &BTreeMap<String, i32>) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    words.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
