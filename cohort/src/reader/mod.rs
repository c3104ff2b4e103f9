//! Readers: they check what a cohort holds and show its records one by one.
//!
//! There is one reader for each kind of records: [`rows`] of tables, and [`scans`] with their masks. A source of one of these
//! kinds says where its records are and how one of them is read; who is who, who is in which part, and what a plan may
//! ask for is the reader's.

pub(crate) mod rows;
pub(crate) mod scans;

use std::fmt;
use std::path::{Path, PathBuf};

use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::record::{Part, Records};

use crate::declared::Declared;
use crate::error::CohortError;
use crate::limits::Limits;
use crate::mismatch::Mismatch;
use crate::table::measured::Converted;
use crate::tally::Tally;

/// The records of a cohort, which stay where they are until they are read.
pub(crate) trait Reader: fmt::Debug + Send + Sync {
    /// Holds what a plan needs against what people declare; reads no file.
    fn fits(&self, need: &DataNeed, limits: &Limits) -> Result<(), Mismatch>;

    /// Says which columns are converted for a plan that fits; reads no file.
    fn conversions(&self, need: &DataNeed) -> Vec<Converted>;

    /// Lists the files beside `cohort_file` that the records are read from, without reading any with patients.
    fn files(&self, cohort_file: &Path) -> Result<Vec<PathBuf>, CohortError>;

    /// Says whether patients have the feature `name`.
    fn has_feature(&self, name: &str) -> bool;

    /// Counts what is there, one record at a time.
    fn count(&self, declared: &Declared) -> Result<Tally, CohortError>;

    /// Keeps the records of one part as a plan asks for them.
    fn read(&self, declared: &Declared, need: &DataNeed, part: Part) -> Result<Records, CohortError>;
}
