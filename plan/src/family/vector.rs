//! A bare vector of weights that only scripted sites train: for tests and benchmarks of the wire.

use serde::{Deserialize, Serialize};

use super::{AdapterRank, FamilyTerms, Scores, SiteFit};
use crate::architecture::{Architecture, ParameterSpec};
use crate::cohort_need::DataNeed;
use crate::numbers::Count;
use crate::plan::Loss;
use crate::text_file::Problem;

/// A vector of weights without a meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorSize {
    /// Number of weights.
    pub parameters: Count<1, 1_000_000_000>,
}

impl VectorSize {
    /// Returns the one parameter.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        Architecture::new(self.name(), vec![ParameterSpec::new("values", &[self.parameters.size()], 0)])
    }
}

impl FamilyTerms for VectorSize {
    fn name(&self) -> &'static str {
        "vector"
    }

    fn resolve(&self, _data: &DataNeed, _adapter_rank: Option<AdapterRank>) -> Result<Architecture, Problem> {
        Ok(self.architecture())
    }

    fn losses(&self) -> &'static [Loss] {
        &[Loss::Bce, Loss::Dice, Loss::BceDice]
    }

    fn scores(&self) -> Scores {
        Scores::None
    }

    fn stays_at_site(&self) -> SiteFit {
        SiteFit::Nothing
    }
}
