//! Logistic regression over the encoded features of a table.

use super::{AdapterRank, FamilyTerms, Scores, SiteFit, linear, table};
use crate::architecture::Architecture;
use crate::cohort_need::DataNeed;
use crate::histogram::Histogram;
use crate::outcome::OutcomeKind;
use crate::plan::Loss;
use crate::text_file::Problem;

/// A linear risk model: one weight for each input, and a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearRisk;

impl LinearRisk {
    /// Returns the parameters over so many encoded inputs, missing-value indicators included.
    #[must_use]
    pub fn architecture(self, inputs: usize) -> Architecture {
        linear(self.name(), inputs)
    }
}

impl FamilyTerms for LinearRisk {
    fn name(&self) -> &'static str {
        "linear-risk"
    }

    fn resolve(&self, data: &DataNeed, _adapter_rank: Option<AdapterRank>) -> Result<Architecture, Problem> {
        Ok(self.architecture(table(data, OutcomeKind::YesNo)?.inputs()))
    }

    fn losses(&self) -> &'static [Loss] {
        &[Loss::Bce]
    }

    fn scores(&self) -> Scores {
        Scores::Counted(Histogram::Risk)
    }

    fn stays_at_site(&self) -> SiteFit {
        SiteFit::Intercept
    }
}
