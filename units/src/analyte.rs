//! What has to be known of a substance to tell its mass from its amount.

use dashu_ratio::RBig;

use crate::decimal::Decimal;

/// A substance's constants, as far as people state them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Analyte {
    /// Grams in a mole; above 0.
    pub molar_mass: Option<MolarMass>,
    /// Charges of one ion, by which equivalents are counted; above 0.
    pub valence: Option<Valence>,
}

/// Grams in a mole, above 0: 180.156 of glucose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MolarMass(Decimal);

/// Equivalents in a mole, from 1 to 9: 2 of calcium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Valence(u8);

/// A number that is no constant of a substance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAConstant {
    /// A molar mass that is not above 0, or beyond all molecules.
    #[error("is no molar mass, expected grams in a mole above 0 and up to 1e9")]
    MolarMass,
    /// A valence that no ion has.
    #[error("is no valence, expected a whole number from 1 to 9")]
    Valence,
}

impl MolarMass {
    pub(crate) fn ratio(&self) -> RBig {
        self.0.ratio()
    }
}

impl TryFrom<f64> for MolarMass {
    type Error = NotAConstant;

    /// Takes the shortest decimal: what was written as 180.156 is exactly that.
    fn try_from(grams: f64) -> Result<Self, NotAConstant> {
        match Decimal::try_from(grams) {
            Ok(decimal) if grams > 0.0 && grams <= MOLAR_MASS_MAX => Ok(Self(decimal)),
            Ok(_) | Err(_) => Err(NotAConstant::MolarMass),
        }
    }
}

impl Valence {
    pub(crate) fn ratio(self) -> RBig {
        RBig::from(self.0)
    }
}

impl TryFrom<u8> for Valence {
    type Error = NotAConstant;

    fn try_from(charges: u8) -> Result<Self, NotAConstant> {
        if (1..=9).contains(&charges) { Ok(Self(charges)) } else { Err(NotAConstant::Valence) }
    }
}

/// Far above the largest proteins, whose molecules have some millions.
const MOLAR_MASS_MAX: f64 = 1e9;
