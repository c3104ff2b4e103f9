//! Typed patient records: what `cohort` yields and `models` learns from.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// A patient's place in a cohort, counted from 0: the unit of privacy at one site.
///
/// Never an identifier from the hospital's files, which no other crate needs to see. It is also the
/// patient's slot in every batch, so that one patient's place never depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PatientId(pub u32);

/// One value of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number in the feature's unit.
    Number(f64),
    /// The index of a category in the plan's list.
    Category(u32),
    /// Not recorded.
    Missing,
}

/// One patient's row.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRecord {
    /// The values, in the order of the plan's features.
    pub values: Vec<Value>,
    /// The outcome, of the kind that the plan predicts.
    pub outcome: Outcome,
}

/// One patient's image and mask.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeRecord {
    /// `[slices, height, width]`, before padding.
    pub shape: [usize; 3],
    /// The distance between neighbouring voxels along each axis, in millimetres.
    pub spacing_mm: [f64; 3],
    /// Intensities normalised by this volume alone, row-major in `shape`.
    pub image: Vec<f32>,
    /// 1 inside the organ and 0 outside, row-major in `shape`.
    pub mask: Vec<u8>,
}

impl VolumeRecord {
    /// Returns a volume without a slice, which contributes nothing.
    #[must_use]
    pub fn null() -> Self {
        Self { shape: [0, 1, 1], spacing_mm: [1.0; 3], image: Vec::new(), mask: Vec::new() }
    }

    /// Says whether there is no slice.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.shape[0] == 0
    }
}

/// The records of one part of a cohort, one per patient, in the order of [`PatientId`].
#[derive(Debug, Clone, PartialEq)]
pub enum Records {
    /// Rows of a table.
    Table(Vec<TableRecord>),
    /// Volumes with masks.
    Volumes(Vec<VolumeRecord>),
}

impl Records {
    /// Returns the number of patients.
    #[must_use]
    pub fn patients(&self) -> usize {
        match self {
            Self::Table(rows) => rows.len(),
            Self::Volumes(volumes) => volumes.len(),
        }
    }

    /// Returns how many of the patients have a volume without a slice.
    #[must_use]
    pub fn null_volumes(&self) -> usize {
        match self {
            Self::Table(_) => 0,
            Self::Volumes(volumes) => volumes.iter().filter(|volume| volume.is_null()).count(),
        }
    }
}

/// The part of a cohort: a patient is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Patients that contribute to updates.
    Train,
    /// Patients on whom the finished model is scored, at the site and for the site.
    Test,
}
