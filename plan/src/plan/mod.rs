//! The plan: everything that a study will do, as data that a researcher signs.
//!
//! A [`Draft`] is what a person writes. `fedtwin study new` calibrates it, appends the `[calibrated]`
//! section and signs the bytes; what then travels is a [`Plan`].

mod check;

use std::time::Duration;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::cohort_need::DataNeed;
use crate::model::{LinearRiskSpec, ModelSpec, UnetSpec, VectorSpec};
use crate::names::{CohortName, SiteName, StudyId};
use crate::numbers::{Count, Positive, Probability, Ratio};
use crate::text_file::Problem;
use crate::time::Date;

/// A plan; `C` is [`Calibrated`] once calibrated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "C: Deserialize<'de>"))]
pub struct Plan<C = Calibrated> {
    /// What the study is and who takes part.
    pub study: Study,
    /// The cohort that each site must have.
    pub cohort: CohortNeed,
    /// The records in it.
    pub data: DataNeed,
    /// The model.
    pub model: Model,
    /// Rounds and their deadlines.
    pub rounds: Rounds,
    /// Loss, sampling and optimisers.
    pub training: Training,
    /// Clipping and noise.
    pub privacy: Privacy,
    /// The integers that calibration chose.
    pub calibrated: C,
}

/// A plan before calibration.
pub type Draft = Plan<Option<NotYet>>;

/// The value that no draft has: its `[calibrated]` section.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum NotYet {}

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(
            "this draft is calibrated already: remove its [calibrated] section to calibrate anew",
        ))
    }
}

/// What the study is and who takes part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// The study's identifier, used once in a federation.
    pub id: StudyId,
    /// A line for people.
    pub title: String,
    /// The audience: no other site may run the plan.
    pub sites: Vec<SiteName>,
    /// The last day on which the study may be opened.
    pub expires: Date,
}

/// The cohort that each site must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortNeed {
    /// Its name at every site.
    pub name: CohortName,
    /// The largest declared size of a site's cohort; with it, sums cannot overflow.
    pub patients_max: Count<1, 10_000_000>,
}

/// The model and the seed of its initial weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its family and size.
    pub family: Family,
    /// Seeds the initial weights and nothing else.
    pub seed: u64,
}

/// The model families as plans write them; the data decide what is left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A U-Net over one-channel images.
    Unet(UnetSize),
    /// A linear risk model over the table's encoded features.
    LinearRisk,
    /// A bare vector, for tests and benchmarks of the wire.
    Vector(VectorSpec),
}

/// A U-Net's size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetSize {
    /// Channels of the first level.
    pub base: Count<1, 1024>,
    /// Number of poolings.
    pub depth: Count<1, 6>,
}

/// Rounds and their deadlines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounds {
    /// Rounds until the study is finished.
    pub count: Count<1, 100_000>,
    /// Attempts that a site may be asked for, repeated rounds included; all of them are paid for.
    pub attempts_max: Count<1, 200_000>,
    /// Parts in which the site charges its budget; parts that never start are given back.
    pub blocks: Count<1, 1000>,
    /// Complete updates without which an attempt fails.
    pub sites_min: Count<1, 10_000>,
    /// Seconds for sites to answer the plan, and for enough of them to be connected.
    pub join_s: Count<1, 86_400>,
    /// Seconds from a round's start to its close.
    pub deadline_s: Count<1, 604_800>,
    /// Updates are sent at multiples of this many seconds after the round's start, so that the time
    /// does not tell how many patients were sampled; 0 sends at once and leaks that.
    pub slot_s: Count<0, 86_400>,
}

/// Loss, sampling and optimisers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Probability with which each patient is in a step: Poisson sampling.
    pub sampling: Ratio,
    /// The loss, per patient.
    pub loss: Loss,
    /// What a site does in a round.
    pub site: SiteTraining,
    /// How the coordinator moves the global model.
    pub server: ServerOptimiser,
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
}

/// How the coordinator moves the global model by the aggregated update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerOptimiser {
    /// Adds the mean change, or subtracts the mean gradient, times a step size (McMahan et al. 2017).
    Fedavg(Fedavg),
    /// Adam at the server (Reddi et al. 2021, algorithm 2).
    Fedadam(Fedadam),
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

/// Clipping and noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Privacy {
    /// No noise; a site's policy must allow it, and its ledger says `unbounded` from then on.
    None(NoNoise),
    /// Each site's own noise suffices.
    Local(LocalNoise),
}

/// No noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoNoise {
    /// Largest L2 norm of one patient's gradient.
    pub clip: Positive,
}

/// Noise at each site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalNoise {
    /// Largest L2 norm of one patient's gradient.
    pub clip: Positive,
    /// The delta at which epsilon is stated.
    pub delta: Probability,
    /// What calibration aims at.
    pub target: Target,
}

/// What calibration aims at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The epsilon of all attempts together.
    Epsilon(Positive),
    /// The ratio of the noise's standard deviation to the clip, in each step.
    NoiseMultiplier(Positive),
}

/// The integers that calibration chose, and what they cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibrated {
    /// The noise's standard deviation is 2^m grid units.
    pub m: Count<10, 30>,
    /// The largest norm of one patient's quantised contribution, in grid units.
    pub c_int: u64,
    /// Updates are integers modulo 2 to this power: 32, 40 or 64.
    pub modulus_bits: Count<32, 64>,
    /// Noisy sums that are paid for: attempts times local steps.
    pub steps: u64,
    /// The claim: no site's accountant may find more. Absent where nothing bounds it.
    pub epsilon: Option<Positive>,
}

impl<C> Plan<C> {
    /// Returns the model's specification.
    ///
    /// # Errors
    /// Refuses a family that does not fit the data.
    pub fn model_spec(&self) -> Result<ModelSpec, Problem> {
        match (&self.model.family, &self.data) {
            (Family::Unet(size), DataNeed::Images(_)) => Ok(ModelSpec::Unet(UnetSpec {
                channels: Count::try_from(1).expect("one channel is within range"),
                base: size.base,
                depth: size.depth,
            })),
            (Family::LinearRisk, DataNeed::Table(table)) => {
                let inputs = i64::try_from(table.inputs()).unwrap_or(i64::MAX);
                let inputs = Count::try_from(inputs)
                    .map_err(|e| Problem::new("data.table.features", e.to_string()))?;
                Ok(ModelSpec::LinearRisk(LinearRiskSpec { inputs }))
            }
            (Family::Vector(spec), DataNeed::Table(_) | DataNeed::Images(_)) => {
                Ok(ModelSpec::Vector(spec.clone()))
            }
            (Family::Unet(_), DataNeed::Table(_)) => {
                Err(Problem::new("model.family", "is a U-Net, expected [data.images] with it"))
            }
            (Family::LinearRisk, DataNeed::Images(_)) => {
                Err(Problem::new("model.family", "is a linear risk model, expected [data.table] with it"))
            }
        }
    }

    /// Returns the noisy sums of one attempt.
    #[must_use]
    pub fn local_steps(&self) -> u32 {
        match &self.training.site {
            SiteTraining::Gradient => 1,
            SiteTraining::Sgd(LocalSgd { steps, .. }) | SiteTraining::Adam(LocalAdam { steps, .. }) => {
                steps.get()
            }
        }
    }

    /// Returns the noisy sums of all attempts.
    #[must_use]
    pub fn steps(&self) -> u64 {
        u64::from(self.rounds.attempts_max.get()) * u64::from(self.local_steps())
    }

    /// Returns the attempts in one block of the charge.
    #[must_use]
    pub fn attempts_per_block(&self) -> u32 {
        self.rounds.attempts_max.get().div_ceil(self.rounds.blocks.get())
    }

    /// Returns the largest norm of one patient's gradient.
    #[must_use]
    pub fn clip(&self) -> f64 {
        match &self.privacy {
            Privacy::None(NoNoise { clip }) | Privacy::Local(LocalNoise { clip, .. }) => clip.get(),
        }
    }

    /// Returns the time from a round's start to its close.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.rounds.deadline_s.get().into())
    }
}

impl Plan {
    /// Returns the real value of one integer unit of an update.
    ///
    /// Gradients are in units of clip / C_int. Changes of weights, which are computed from noisy sums
    /// alone, are in a power of two with which no sum of all sites overflows: one bit is for the sign, and
    /// one to spare for the sites' roundings.
    #[must_use]
    pub fn update_unit(&self) -> f64 {
        let change_max = match &self.training.site {
            SiteTraining::Gradient => {
                #[expect(clippy::cast_precision_loss, reason = "the same rounding at every party")]
                return self.clip() / self.calibrated.c_int as f64;
            }
            SiteTraining::Sgd(LocalSgd { change_max, .. })
            | SiteTraining::Adam(LocalAdam { change_max, .. }) => change_max,
        };
        let sites = f64::from(u32::try_from(self.study.sites.len()).unwrap_or(u32::MAX));
        let largest = change_max.get() * f64::from(self.cohort.patients_max.get()) * sites;
        let bits = f64::from(self.calibrated.modulus_bits.get()) - 2.0;
        (largest.log2() - bits).ceil().exp2()
    }

    /// Returns the bytes of an update.
    #[must_use]
    pub fn update_bytes(&self, spec: &ModelSpec) -> u64 {
        spec.values() as u64 * u64::from(self.calibrated.modulus_bits.get() / 8)
    }
}
