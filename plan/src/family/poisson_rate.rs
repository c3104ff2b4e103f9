//! Poisson regression of a count over the encoded features of a table.

use super::{AdapterRank, FamilyTerms, Scores, SiteFit, linear, table};
use crate::architecture::Architecture;
use crate::cohort_need::DataNeed;
use crate::outcome::OutcomeKind;
use crate::plan::Loss;
use crate::text_file::Problem;

/// A log-linear model of how often something happens: one weight for each input, and a bias.
///
/// The expected count is the exponential of the output (McCullagh and Nelder 1989, section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoissonRate;

impl PoissonRate {
    /// Returns the parameters over so many encoded inputs, missing-value indicators included.
    #[must_use]
    pub fn architecture(self, inputs: usize) -> Architecture {
        linear(self.name(), inputs)
    }
}

impl FamilyTerms for PoissonRate {
    fn name(&self) -> &'static str {
        "poisson-rate"
    }

    fn resolve(&self, data: &DataNeed, _adapter_rank: Option<AdapterRank>) -> Result<Architecture, Problem> {
        Ok(self.architecture(table(data, OutcomeKind::Count)?.inputs()))
    }

    fn losses(&self) -> &'static [Loss] {
        &[Loss::Poisson]
    }

    fn scores(&self) -> Scores {
        Scores::AtSite
    }

    fn stays_at_site(&self) -> SiteFit {
        SiteFit::Intercept
    }
}

#[cfg(test)]
mod tests {
    use crate::plan::Draft;
    use crate::text_file::parse;

    const FALLS: &str = include_str!("../../../examples/plans/falls.toml");

    #[test]
    fn plans_of_counts_have_their_own_outcome_and_loss() {
        let draft: Draft = parse("falls.toml", FALLS).unwrap();
        assert_eq!((draft.architecture().family(), draft.architecture().values()), ("poisson-rate", 8));
        assert!(draft.model.family.has_scores() && draft.model.family.histogram().is_none());
        for (line, changed, expected) in [
            (
                "outcome.count = \"falls\"",
                "outcome = \"falls\"",
                "data.table.outcome is yes or no, expected a count",
            ),
            (
                "loss = \"poisson\"",
                "loss = \"bce\"",
                "training.loss expected \"poisson\", the loss of poisson-rate",
            ),
            (
                "[privacy.local]",
                "[metrics]\nepsilon = 1.0\ndelta = 1e-3\n[privacy.local]",
                "metrics expected a model whose scores are counted",
            ),
        ] {
            let refused = parse::<Draft>("falls.toml", &FALLS.replace(line, changed)).unwrap_err().message;
            assert!(refused.starts_with(expected), "{refused}");
        }
    }
}
