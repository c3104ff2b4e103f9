//! What a plan says about training: loss, sampling, what is trained, and the optimisers at both ends.

use serde::{Deserialize, Serialize};

use super::adaptive_clip::AdaptiveClip;
use super::augmentation::Augmentation;
use crate::numbers::{Count, Positive, Probability, Ratio};
use crate::trained::Trainable;

/// Loss, sampling and optimisers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Probability with which each patient is in a step: Poisson sampling.
    pub sampling: Ratio,
    /// The loss, per patient.
    pub loss: Loss,
    /// Which parameters are trained; all of them where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trainable: Option<Trainable>,
    /// Random changes of a patient's images; none where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    /// What a site does in a round.
    pub site: SiteTraining,
    /// How the clip follows the patients' norms; it stays where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adaptive_clip: Option<AdaptiveClip>,
    /// How the coordinator moves the global model.
    pub server: ServerOptimiser,
    /// A moving average of the global models, which becomes the study's model; the last one does where
    /// nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
}

/// A loss of one patient's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Binary cross-entropy, the mean over a patient's records and pixels.
    Bce,
    /// Soft Dice of one patient's pixels.
    Dice,
    /// The sum of both.
    BceDice,
    /// Minus the logarithm of the Poisson likelihood of a patient's count.
    Poisson,
    /// Minus the logarithm of the likelihood of all intervals that a patient's record says something of.
    Hazard,
}

impl Loss {
    /// Returns the name, as plans write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bce => "bce",
            Self::Dice => "dice",
            Self::BceDice => "bce-dice",
            Self::Poisson => "poisson",
            Self::Hazard => "hazard",
        }
    }
}

/// What a site computes and sends in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteTraining {
    /// One sum of per-patient gradients at the global model.
    Gradient,
    /// Several steps of stochastic gradient descent; the weights' change is sent.
    Sgd(LocalSgd),
    /// Several steps of Adam; the weights' change is sent.
    Adam(LocalAdam),
}

/// Local stochastic gradient descent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSgd {
    /// Steps in a round, each one charged.
    pub steps: Count<1, 10_000>,
    /// Step size on the mean gradient.
    pub learning_rate: Positive,
    /// Largest change of one weight that is sent; larger ones are cut.
    pub change_max: Positive,
    /// The proximal term's mu (FedProx, Li et al. 2020, arXiv 1812.06127, equation 2): each step's gradient
    /// gets mu times how far the weights are from the round's global model. Post-processing of noisy sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proximal: Option<Positive>,
}

/// Local Adam (Kingma and Ba 2015), with a fresh state in each round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalAdam {
    /// Steps in a round, each one charged.
    pub steps: Count<1, 10_000>,
    /// Step size.
    pub learning_rate: Positive,
    /// Largest change of one weight that is sent; larger ones are cut.
    pub change_max: Positive,
    /// The proximal term's mu (FedProx, Li et al. 2020, arXiv 1812.06127, equation 2): each step's gradient
    /// gets mu times how far the weights are from the round's global model. Post-processing of noisy sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proximal: Option<Positive>,
}

/// How the coordinator moves the global model by the aggregated update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerOptimiser {
    /// Adds the mean change, or subtracts the mean gradient, times a step size (McMahan et al. 2017).
    Fedavg(Fedavg),
    /// Adam at the server (Reddi et al. 2021, algorithm 2).
    Fedadam(Fedadam),
    /// Yogi at the server (the same, algorithm 2).
    Fedyogi(Fedyogi),
    /// Adagrad at the server (the same, algorithm 2).
    Fedadagrad(Fedadagrad),
}

/// An exponential moving average of the global models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Average {
    /// What stays of the average in each round, in (0, 1): it looks back over about 1 / (1 - decay) rounds.
    pub decay: Probability,
    /// The round whose model the average begins with.
    pub from_round: Count<1, 100_000>,
}

/// Averaging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fedavg {
    /// Step size; 1 is plain averaging of changes.
    pub learning_rate: Positive,
}

/// Adam at the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fedadam {
    /// Step size.
    pub learning_rate: Positive,
    /// Decay of the first moment, in (0, 1).
    pub beta1: Probability,
    /// Decay of the second moment, in (0, 1).
    pub beta2: Probability,
    /// Added to the root of the second moment: the adaptivity tau.
    pub tau: Positive,
}

/// Yogi at the server (Reddi et al. 2021, arXiv 2003.00295, algorithm 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fedyogi {
    /// Step size.
    pub learning_rate: Positive,
    /// Decay of the first moment, in (0, 1).
    pub beta1: Probability,
    /// Decay of the second moment, in (0, 1).
    pub beta2: Probability,
    /// Added to the root of the second moment, whose first value is tau squared.
    pub tau: Positive,
}

/// Adagrad at the server (Reddi et al. 2021, arXiv 2003.00295, algorithm 2, with beta1 = 0).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fedadagrad {
    /// Step size.
    pub learning_rate: Positive,
    /// Added to the root of the sum of squares, whose first value is tau squared.
    pub tau: Positive,
}
