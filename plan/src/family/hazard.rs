//! A hazard model of the time to an event, over the encoded features of a table.

use serde::{Deserialize, Serialize};

use super::{AdapterRank, FamilyTerms, Scores, SiteFit, hidden_layers, table};
use crate::architecture::{Architecture, ParameterSpec};
use crate::cohort_need::DataNeed;
use crate::numbers::{Count, Probability};
use crate::outcome::{AskedOutcome, OutcomeKind};
use crate::plan::Loss;
use crate::text_file::Problem;

/// A discrete-time hazard model: proportional odds of the event in each interval.
///
/// The logit of the probability that it happens in interval `k`, to somebody to whom it has not happened before, is
/// `baseline[k] + f(x)` (Cox 1972, section 6; Singer and Willett 1993). `f` is linear, or a perceptron with tanh after
/// each hidden layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HazardSize {
    /// Units of the hidden layers, from the inputs to the outcome; without any, `f` is linear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden: Vec<Count<1, 4096>>,
    /// A guess of the probability in one interval, where the baseline begins: public knowledge, never of the cohorts. The
    /// better it is, the fewer steps are paid for on the way from it.
    pub guess: Probability,
}

impl HazardSize {
    /// Returns the parameters over so many encoded inputs and intervals.
    #[must_use]
    pub fn architecture(&self, inputs: usize, intervals: usize) -> Architecture {
        let guess = self.guess.get();
        #[expect(clippy::cast_possible_truncation, reason = "a weight has single precision")]
        let logit = (guess / (1.0 - guess)).ln() as f32;
        let (mut parameters, units) = hidden_layers(&self.hidden, inputs);
        // A linear model begins at zero, as the risk model does: its optimum is the same from anywhere.
        let fan_in = if self.hidden.is_empty() { 0 } else { units };
        parameters.push(ParameterSpec::new("head.weight", &[1, units], fan_in));
        parameters.push(ParameterSpec::new("baseline", &[intervals], 0).beginning_at(logit));
        Architecture::new(self.name(), parameters)
    }
}

impl FamilyTerms for HazardSize {
    fn name(&self) -> &'static str {
        "hazard"
    }

    fn resolve(&self, data: &DataNeed, _adapter_rank: Option<AdapterRank>) -> Result<Architecture, Problem> {
        let table = table(data, OutcomeKind::Event)?;
        let intervals = match &table.outcome.asked {
            AskedOutcome::Event(follow_up) => follow_up.until.len(),
            AskedOutcome::YesNo | AskedOutcome::Count => 0,
        };
        super::check_hidden("model.family.hazard.hidden", 0, &self.hidden)?;
        Ok(self.architecture(table.inputs(), intervals))
    }

    fn losses(&self) -> &'static [Loss] {
        &[Loss::Hazard]
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
    use super::*;
    use crate::architecture::Initial;
    use crate::model_file::initial_values;
    use crate::plan::Draft;
    use crate::text_file::parse;

    const RELAPSE: &str = include_str!("../../../examples/plans/relapse.toml");

    fn size(hidden: &[i64]) -> HazardSize {
        let hidden = hidden.iter().map(|&units| units.try_into().unwrap()).collect();
        HazardSize { hidden, guess: 0.25.try_into().unwrap() }
    }

    #[test]
    fn the_baseline_begins_at_the_guess() {
        let linear = size(&[]).architecture(3, 2);
        assert_eq!((linear.values(), linear.family()), (5, "hazard"));
        assert_eq!(initial_values(&linear, 1)[3..], [(1.0_f32 / 3.0).ln(); 2]);
        let deep = size(&[4, 2]).architecture(3, 5);
        let names: Vec<_> = deep.parameters().iter().map(|p| (p.name.as_str(), p.shape.as_slice())).collect();
        let expected: [(&str, &[usize]); 6] = [
            ("layer0.weight", &[4, 3]),
            ("layer0.bias", &[4]),
            ("layer1.weight", &[2, 4]),
            ("layer1.bias", &[2]),
            ("head.weight", &[1, 2]),
            ("baseline", &[5]),
        ];
        assert_eq!(names, expected);
        assert_eq!(deep.parameters()[4].initial, Initial::FanIn(2));
    }

    #[test]
    fn plans_of_events_have_their_own_outcome_and_loss() {
        let draft: Draft = parse("relapse.toml", RELAPSE).unwrap();
        assert_eq!((draft.architecture().family(), draft.architecture().values()), ("hazard", 24));
        for (line, changed, expected) in [
            (
                "until = [",
                "until = [0, ",
                "data.table.outcome.event.until has 0 after 0, expected times that",
            ),
            ("loss = \"hazard\"", "loss = \"bce\"", "training.loss expected \"hazard\", the loss of hazard"),
            ("guess = 0.05", "guess = 1.0", "is 1, expected a probability strictly between 0 and 1"),
            ("guess = 0.05", "guess = 0.05, hidden = [0]", "is 0, expected an integer from 1"),
        ] {
            let refused =
                parse::<Draft>("relapse.toml", &RELAPSE.replace(line, changed)).unwrap_err().message;
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
