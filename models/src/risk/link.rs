//! How a risk model's output becomes what it expects of a patient, and what it is trained by.

use tch::Tensor;

/// The link between the output of a risk model and the expected outcome: that of its likelihood, so that the derivative
/// of the loss by the output is the expected outcome less the one that was (McCullagh and Nelder 1989, section 2.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The output is the logit of a probability; the loss is binary cross-entropy.
    Logit,
    /// The output is the logarithm of an expected count; the loss is Poisson's.
    Log,
}

impl Link {
    /// Returns the expected outcomes of outputs.
    pub(crate) fn expected_of(self, outputs: &Tensor) -> Tensor {
        match self {
            Self::Logit => outputs.sigmoid(),
            Self::Log => outputs.clamp_max(LOG_MAX).exp(),
        }
    }

    /// Returns the expected outcome of an output.
    #[must_use]
    pub fn expected(self, output: f64) -> f64 {
        match self {
            Self::Logit => 1.0 / (1.0 + (-output).exp()),
            Self::Log => output.min(LOG_MAX).exp(),
        }
    }

    /// Returns what no sum of residuals is beyond, whatever is added to the outputs.
    pub(crate) fn residuals_max(self, outputs: &[f64], outcomes: &[f64]) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
            Self::Logit => outputs.len() as f64,
            // All counts where little is expected, and all that is expected where nothing happened.
            Self::Log => {
                let expected = outputs.iter().map(|&output| self.expected(output));
                expected.sum::<f64>() + outcomes.iter().sum::<f64>()
            }
        }
    }
}

/// Above it, e^20 or 5 10^8, more is expected than any count can be; the gradient stays finite, and clipped.
const LOG_MAX: f64 = 20.0;
