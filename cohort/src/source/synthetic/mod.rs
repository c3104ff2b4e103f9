//! The built-in synthetic federation: four sites that differ in equipment and case mix; and hippocampi to
//! pre-train on.
//!
//! Every patient is made from the federation's seed, the site and the patient's number alone, so that no
//! patient depends on another, and cohorts need no files. The numbers are invented; no real patient's
//! data went into them.

mod draw;
mod field;
mod hippocampus;
mod phantom;
mod records;

use std::path::{Path, PathBuf};

use fedtwin_plan::numbers::Count;
use fedtwin_plan::record::VolumeRecord;
use fedtwin_plan::text_file;
use serde::Deserialize;

use crate::declared::Declared;
use crate::error::CohortError;
use crate::image::scan::{Found, ScanRead, Visit};
use crate::limits::SliceSize;
use crate::reader::rows::RowSource;
use crate::reader::scans::ScanSource;
use crate::split::pattern::PatientPattern;
use crate::table::row::{Row, Rows, Texts};
use crate::table::schema::TableSchema;
use crate::table::sheet::Sheet;

/// One site of the built-in synthetic federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSource {
    /// The federation's seed, the same at all its sites.
    pub seed: u64,
    /// Which site: it decides scanner or laboratory, and case mix.
    pub site: Count<0, 3>,
    /// Patients of both parts.
    pub patients: Count<1, 100_000>,
    /// The patients of this many sites, beginning with `site`, in equal shares one after the other: what a
    /// demonstration compares a federation with.
    #[serde(default = "one_site")]
    pub pooled_sites: Count<1, 4>,
}

/// Invented hippocampi of any form and brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HippocampiSource {
    /// Another seed makes other volumes.
    pub seed: u64,
    /// Volumes of both parts.
    pub patients: Count<1, 100_000>,
}

impl RowSource for SyntheticSource {
    fn open(&self, declared: &Declared, _schema: &TableSchema) -> Result<Sheet, CohortError> {
        let columns = records::COLUMNS.map(str::to_owned).to_vec();
        let rows = InventedRows { source: *self, patient: 0, texts: Texts::default() };
        Ok(Sheet::of_rows(&declared.cohort_file, columns, rows))
    }

    fn files(&self, _cohort_file: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        None
    }
}

/// The invented health records of a site's patients.
struct InventedRows {
    source: SyntheticSource,
    /// The patient whose row was made last, counted from 1.
    patient: u32,
    texts: Texts,
}

impl Rows for InventedRows {
    fn advance(&mut self) -> Result<bool, CohortError> {
        if self.patient == self.source.patients.get() {
            return Ok(false);
        }
        self.patient += 1;
        self.texts.clear();
        for text in records::line(self.source, self.patient) {
            self.texts.add(&text);
        }
        Ok(true)
    }

    fn row(&self) -> Row<'_> {
        Row::of_texts(u64::from(self.patient), "", &self.texts)
    }
}

impl ScanSource for SyntheticSource {
    fn scans(&self, cohort_file: &Path, visit: Visit<'_>) -> Result<(), CohortError> {
        invented(cohort_file, self.patients.get(), &|number| phantom::volume(*self, number), visit)
    }

    fn files(&self, _cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        Ok(Vec::new())
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        None
    }

    fn slice_max(&self) -> Option<SliceSize> {
        Some(slice(phantom::SHAPE_MAX))
    }
}

impl ScanSource for HippocampiSource {
    fn scans(&self, cohort_file: &Path, visit: Visit<'_>) -> Result<(), CohortError> {
        invented(cohort_file, self.patients.get(), &|number| hippocampus::volume(*self, number), visit)
    }

    fn files(&self, _cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError> {
        Ok(Vec::new())
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        None
    }

    fn slice_max(&self) -> Option<SliceSize> {
        Some(slice(hippocampus::SHAPE_MAX))
    }
}

impl SyntheticSource {
    /// Returns the site that a patient of the cohort comes from, and the patient's number there, from 1.
    pub(crate) fn locate(self, patient: u32) -> (Self, u32) {
        let share = (self.patients.get() / self.pooled_sites.get()).max(1);
        let site = (self.site.get() + (patient - 1) / share).min(3);
        let site = Count::try_from(i64::from(site)).expect("the site is at most 3");
        (Self { site, ..self }, (patient - 1) % share + 1)
    }
}

/// Returns the schema of the invented health records: the heart schema that the examples ship.
pub(super) fn schema() -> TableSchema {
    text_file::parse("heart.schema.toml", HEART_SCHEMA).expect("a test parses the built-in schema")
}

/// Shows the patients from 1 to `count`, each made when it is read; the cohort file stands for their images.
fn invented(
    cohort_file: &Path,
    count: u32,
    volume: &dyn Fn(u32) -> VolumeRecord,
    visit: Visit<'_>,
) -> Result<(), CohortError> {
    (1..=count).try_for_each(|number| {
        let id = &format!("phantom-{number}");
        let read = &|| Ok(ScanRead { volume: volume(number), labels: None });
        visit(Found::Scan { id, file: cohort_file, read })
    })
}

fn slice([_, rows, columns]: [usize; 3]) -> SliceSize {
    let size = |axis: usize| {
        let size = i64::try_from(axis).ok().and_then(|axis| axis.try_into().ok());
        size.expect("invented slices have a few dozen pixels")
    };
    SliceSize { height: size(rows), width: size(columns) }
}

fn one_site() -> Count<1, 4> {
    Count::try_from(1).expect("1 is in range")
}

const HEART_SCHEMA: &str = include_str!("../../../../examples/cohorts/heart.schema.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooled_patients_are_those_of_the_sites_in_turn() {
        let source = SyntheticSource {
            seed: 1,
            site: Count::try_from(0).unwrap(),
            patients: Count::try_from(30).unwrap(),
            pooled_sites: Count::try_from(3).unwrap(),
        };
        for (patient, site, number) in [(1, 0, 1), (10, 0, 10), (11, 1, 1), (30, 2, 10)] {
            let (at, there) = source.locate(patient);
            assert_eq!((at.site.get(), there), (site, number));
        }
    }
}
