//! Public limits of a cohort, declared by people: what plans are held against.

use fedtwin_plan::cohort_need::ImageNeed;
use fedtwin_plan::numbers::Count;
use fedtwin_plan::record::VolumeRecord;
use serde::Deserialize;

use crate::mismatch::Mismatch;

/// What people say of every record of a cohort; public, like the number of patients.
///
/// A record beyond a limit is the cohort's fault, whatever a plan asks. Without a limit, a plan is not held against
/// it, and a patient whose record does not fit the plan has an empty place in that study.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The largest slice of any patient, after slices are taken across their axis.
    pub slice_max: Option<SliceSize>,
    /// The most slices of any patient.
    pub slices_max: Option<Count<1, 32_767>>,
    /// The most records of any patient; today one line or one scan a patient is read.
    pub records_max: Option<Count<1, 1>>,
}

/// Rows and columns of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceSize {
    /// Rows.
    pub height: Count<1, 32_767>,
    /// Columns.
    pub width: Count<1, 32_767>,
}

impl Limits {
    /// Holds a plan against what is declared.
    pub(crate) fn fit(&self, need: ImageNeed) -> Result<(), Mismatch> {
        match self.slice_max {
            Some(SliceSize { height, width }) if !holds(need, [height.size(), width.size()]) => {
                Err(Mismatch::SliceSize {
                    plan: [need.height.get(), need.width.get()],
                    cohort: [height.get(), width.get()],
                })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Says what of a volume is beyond what is declared; sizes only, for the site's own people.
    pub(crate) fn exceeded_by(&self, volume: &VolumeRecord) -> Option<String> {
        let [slices, rows, columns] = volume.shape;
        if let Some(SliceSize { height, width }) = self.slice_max
            && (rows > height.size() || columns > width.size())
        {
            let (height, width) = (height.get(), width.get());
            return Some(format!(
                "has slices of {rows} x {columns}, limits.slice_max declares at most {height} x {width}"
            ));
        }
        match self.slices_max {
            Some(most) if slices > most.size() => {
                Some(format!("has {slices} slices, limits.slices_max declares at most {}", most.get()))
            }
            Some(_) | None => None,
        }
    }
}

/// Says whether a slice of `[rows, columns]` fits the plan's, or is cut by it.
pub(crate) fn holds(need: ImageNeed, [rows, columns]: [usize; 2]) -> bool {
    need.tiles || (rows <= need.height.size() && columns <= need.width.size())
}
