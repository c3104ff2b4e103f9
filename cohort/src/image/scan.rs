//! How scans are shown, wherever they come from: one by one, and read only by whom they are shown to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fedtwin_plan::inventory::LeftOutReason;
use fedtwin_plan::record::VolumeRecord;

use crate::error::CohortError;

/// What is found where scans are.
pub(crate) enum Found<'a> {
    /// A patient's scan.
    Scan {
        /// The hospital's identifier.
        id: &'a str,
        /// The image, or what stands for it.
        file: &'a Path,
        read: Read<'a>,
    },
    /// What belongs to nobody of the cohort, and how many of it.
    LeftOut(LeftOutReason, u32),
}

/// To whom it is shown.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(Found<'_>) -> Result<(), CohortError>;

/// How to read one patient's scan.
pub(crate) type Read<'a> = &'a dyn Fn() -> Result<ScanRead, CohortError>;

/// One patient's scan as it was read.
pub(crate) struct ScanRead {
    pub(crate) volume: VolumeRecord,
    /// The mask, and two at most of its labels from 1 on: none where people declare which are organ.
    pub(crate) labels: Option<(PathBuf, BTreeSet<i64>)>,
}
