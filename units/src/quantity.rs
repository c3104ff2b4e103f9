//! What an expression of units measures: its size, and powers of what cannot be told by other things.

use std::collections::BTreeMap;

use dashu_ratio::RBig;

/// A product of powers of atoms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantity {
    /// How many of the base units it is.
    pub(crate) scale: RBig,
    /// For each base unit its powers above and below the line.
    pub(crate) bases: BTreeMap<&'static str, [i32; 2]>,
    /// Annotations of units, as in `g{creat}`, with their powers.
    notes: BTreeMap<String, i32>,
    /// Annotations that stand for a unit or go with a number, as in `{beats}/min`, `/{HPF}` and `/100{WBC}`.
    counted: BTreeMap<String, i32>,
    /// Whether a percentage or the like is among the units.
    has_share: bool,
}

/// What two units must have in common so that numbers of one are numbers of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Powers of base units above and below the line; of most, one of both is 0.
    pub(crate) bases: BTreeMap<&'static str, [i32; 2]>,
    /// What is counted or measured, in words of whoever wrote the unit.
    pub(crate) notes: BTreeMap<String, i32>,
    /// What it is counted by.
    pub(crate) divisors: BTreeMap<String, i32>,
    /// Whether it is a share of a whole: a percentage, or litres in a litre.
    pub(crate) is_share: bool,
}

impl Quantity {
    /// A number of nothing.
    pub(crate) fn number(scale: RBig) -> Self {
        let (bases, notes, counted) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { scale, bases, notes, counted, has_share: false }
    }

    /// One unit of a quantity of its own.
    pub(crate) fn base(code: &'static str) -> Self {
        Self { bases: BTreeMap::from([(code, [1, 0])]), ..Self::number(RBig::ONE) }
    }

    pub(crate) fn share(scale: RBig) -> Self {
        Self { has_share: true, ..Self::number(scale) }
    }

    /// Something that is named and counted.
    pub(crate) fn counted(what: &str) -> Self {
        Self { counted: BTreeMap::from([(what.to_owned(), 1)]), ..Self::number(RBig::ONE) }
    }

    /// The unit with words about what is measured.
    pub(crate) fn annotated(mut self, what: &str) -> Self {
        *self.notes.entry(what.to_owned()).or_default() += 1;
        self
    }

    /// Multiplies by a power of another one.
    pub(crate) fn times(&mut self, other: &Self, power: i32) {
        self.scale *= raised(&other.scale, power);
        for (code, [above, below]) in &other.bases {
            let own = self.bases.entry(*code).or_default();
            let (above, below) = if power < 0 { (below, above) } else { (above, below) };
            own[0] += above * power.abs();
            own[1] += below * power.abs();
        }
        let add = |own: &mut BTreeMap<String, i32>, others: &BTreeMap<String, i32>| {
            others.iter().for_each(|(what, count)| *own.entry(what.clone()).or_default() += count * power);
        };
        add(&mut self.notes, &other.notes);
        add(&mut self.counted, &other.counted);
        self.has_share |= other.has_share;
    }

    /// Returns its kind.
    pub(crate) fn kind(&self) -> Kind {
        let mut bases = self.bases.clone();
        for (_, [above, below]) in bases.iter_mut().filter(|(code, _)| !SPLIT.contains(code)) {
            (*above, *below) = ((*above - *below).max(0), (*below - *above).max(0));
        }
        bases.retain(|_, powers| *powers != [0, 0]);
        let mut notes: BTreeMap<_, _> = self.notes.clone();
        let mut divisors = BTreeMap::new();
        for (what, &power) in &self.counted {
            if power < 0 {
                divisors.insert(what.clone(), -power);
            } else {
                *notes.entry(what.clone()).or_default() += power;
            }
        }
        notes.retain(|_, power| *power != 0);
        let is_share = bases.is_empty() && (self.has_share || !self.bases.is_empty());
        Kind { bases, notes, divisors, is_share }
    }
}

fn raised(x: &RBig, power: i32) -> RBig {
    let size = power.unsigned_abs() as usize;
    let raised = RBig::from_parts(x.numerator().pow(size), x.denominator().pow(size));
    if power < 0 { RBig::ONE / raised } else { raised }
}

/// What stays above and below the line: a mass in a mass is no share of any other thing, nor is an amount in an amount.
const SPLIT: [&str; 4] = ["g", "mol", "eq", "osm"];
