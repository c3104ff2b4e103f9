//! A multi-layer perceptron over the encoded features of a table.

use serde::{Deserialize, Serialize};

use super::{AdapterRank, FamilyTerms, Scores, SiteFit, check_hidden, hidden_layers, table};
use crate::architecture::{Architecture, ParameterSpec};
use crate::cohort_need::DataNeed;
use crate::histogram::Histogram;
use crate::numbers::Count;
use crate::outcome::OutcomeKind;
use crate::plan::Loss;
use crate::text_file::Problem;

/// A multi-layer perceptron with tanh after each hidden layer and one logit.
///
/// tanh and not ReLU: activations that stay bounded keep gradients short, so that clipping takes less off
/// (Papernot et al. 2021, arXiv 2007.14191).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpSize {
    /// Units of the hidden layers, from the inputs to the outcome.
    pub hidden: Vec<Count<1, 4096>>,
}

impl MlpSize {
    /// Returns the parameters over so many encoded inputs, missing-value indicators included: a weight and a bias for
    /// each layer.
    #[must_use]
    pub fn architecture(&self, inputs: usize) -> Architecture {
        let (mut parameters, units) = hidden_layers(&self.hidden, inputs);
        parameters.push(ParameterSpec::new("head.weight", &[1, units], units));
        parameters.push(ParameterSpec::new("head.bias", &[1], units));
        Architecture::new(self.name(), parameters)
    }
}

impl FamilyTerms for MlpSize {
    fn name(&self) -> &'static str {
        "mlp-risk"
    }

    fn resolve(&self, data: &DataNeed, _adapter_rank: Option<AdapterRank>) -> Result<Architecture, Problem> {
        let table = table(data, OutcomeKind::YesNo)?;
        check_hidden("model.family.mlp-risk.hidden", 1, &self.hidden)?;
        Ok(self.architecture(table.inputs()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_perceptron_has_a_weight_and_a_bias_for_each_layer() {
        let size = MlpSize { hidden: vec![8.try_into().unwrap(), 3.try_into().unwrap()] };
        let architecture = size.architecture(5);
        let expected = [
            ParameterSpec::new("layer0.weight", &[8, 5], 5),
            ParameterSpec::new("layer0.bias", &[8], 5),
            ParameterSpec::new("layer1.weight", &[3, 8], 8),
            ParameterSpec::new("layer1.bias", &[3], 8),
            ParameterSpec::new("head.weight", &[1, 3], 3),
            ParameterSpec::new("head.bias", &[1], 3),
        ];
        assert_eq!(architecture.parameters(), expected);
        assert_eq!((architecture.values(), architecture.family()), (48 + 27 + 4, "mlp-risk"));
    }
}
