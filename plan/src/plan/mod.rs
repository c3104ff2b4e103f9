//! The plan: everything that a study will do, as data that a researcher signs.
//!
//! A [`Draft`] is what a person writes. `fedtwin study new` calibrates it, appends the `[calibrated]`
//! section and signs the bytes; what then travels is a [`Plan`].

mod adaptive_clip;
mod augmentation;
mod check;
mod metrics;
mod privacy;
mod training;

use std::ops::Deref;
use std::time::Duration;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

pub use self::adaptive_clip::{AdaptiveClip, NormDivision};
pub use self::augmentation::{Augmentation, Axis};
pub use self::metrics::{Metrics, MetricsNoise};
pub use self::privacy::{Calibrated, LocalNoise, Mode, NoNoise, Privacy, SharedNoise, Target};
pub use self::training::{
    Average, Fedadagrad, Fedadam, Fedavg, Fedyogi, LocalAdam, LocalSgd, Loss, ServerOptimiser, SiteTraining,
    Training,
};
use crate::architecture::Architecture;
use crate::cohort_need::DataNeed;
use crate::digest::Digest;
use crate::family::Family;
use crate::names::{CohortName, ResearcherName, SiteName, StudyId};
use crate::numbers::{Count, Positive};
use crate::text_file::{Parsed, Problem};
use crate::time::Date;
use crate::trained::{Trainable, Trained};

/// A plan as its file writes it, before its values were held against each other; `C` is [`Calibrated`] once calibrated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "C: Deserialize<'de>"))]
pub struct PlanFile<C = Calibrated> {
    /// What the study is and who takes part.
    pub study: Study,
    /// The cohort that each site must have.
    pub cohort: CohortNeed,
    /// The records in it.
    pub data: DataNeed,
    /// The model with which the study begins.
    pub model: InitialModel,
    /// Rounds and their deadlines.
    pub rounds: Rounds,
    /// Loss, sampling and optimisers.
    pub training: Training,
    /// Clipping and noise.
    pub privacy: Privacy,
    /// Noised counts of scores; absent where no score leaves a site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// The integers that calibration chose.
    pub calibrated: C,
}

/// A checked plan: its file's values fit together, and what follows from them is resolved, once.
///
/// It reads like its [`PlanFile`]; whoever changes one checks it anew ([`Plan::new`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<C = Calibrated> {
    file: PlanFile<C>,
    architecture: Architecture,
    trained: Trained,
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
    /// Researchers who may follow the study and download its models, besides whoever opens it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readers: Vec<ResearcherName>,
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

/// The model with which a study begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitialModel {
    /// Its family and size.
    pub family: Family,
    /// Seeds the initial weights and nothing else.
    pub seed: u64,
    /// SHA-256 of the model file whose weights are the initial ones, adapters excepted; without it they
    /// come from the seed. The researcher gives the file along with the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<Digest>,
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
    /// does not tell how many patients were sampled; 0 sends at once and leaks that, and is refused where the price
    /// rests on it.
    pub slot_s: Count<0, 86_400>,
}

impl<C> Deref for Plan<C> {
    type Target = PlanFile<C>;

    fn deref(&self) -> &PlanFile<C> {
        &self.file
    }
}

impl<C> Plan<C> {
    /// Returns the values as the plan's file writes them.
    #[must_use]
    pub fn file(&self) -> &PlanFile<C> {
        &self.file
    }

    /// Returns the model's parameters, trained or not.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Returns which of the model's values the study trains.
    #[must_use]
    pub fn trained(&self) -> &Trained {
        &self.trained
    }

    /// Returns the number of values in an update: the trained ones, and the indicator of a clip that adapts.
    #[must_use]
    pub fn update_values(&self) -> usize {
        self.trained.values() + usize::from(self.training.adaptive_clip.is_some())
    }

    /// Resolves what follows from the values, and checks what holds of drafts, too.
    fn resolved(file: PlanFile<C>) -> Result<Self, Problem> {
        let trainable = file.training.trainable.as_ref();
        let adapter_rank = trainable.and_then(Trainable::adapter_rank);
        let architecture = file.model.family.resolve(&file.data, adapter_rank)?;
        let trained = Trained::new(&architecture, trainable)?;
        file.check_terms()?;
        Ok(Self { file, architecture, trained })
    }
}

impl Plan {
    /// Checks a plan's values and resolves what follows from them.
    ///
    /// # Errors
    /// Returns the first problem.
    pub fn new(file: PlanFile) -> Result<Self, Problem> {
        let plan = Self::resolved(file)?;
        plan.check_calibration()?;
        Ok(plan)
    }

    /// Returns the bytes of an update.
    #[must_use]
    pub fn update_bytes(&self) -> u64 {
        (self.update_values() * self.calibrated.modulus_bits.bytes()) as u64
    }
}

impl Parsed for Plan {
    type File = PlanFile;

    fn of(file: PlanFile) -> Result<Self, Problem> {
        Self::new(file)
    }
}

impl Parsed for Draft {
    type File = PlanFile<Option<NotYet>>;

    fn of(file: Self::File) -> Result<Self, Problem> {
        Self::resolved(file)
    }
}

impl<C> PlanFile<C> {
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

    /// Returns the largest norm of one patient's gradient; that of the first round where the clip adapts.
    #[must_use]
    pub fn clip(&self) -> Positive {
        self.privacy.clip()
    }

    /// Says whether a round may have this clip: the plan's own, or any within the bounds of one that adapts.
    #[must_use]
    pub fn allows_clip(&self, clip: Positive) -> bool {
        match &self.training.adaptive_clip {
            None => clip == self.clip(),
            Some(AdaptiveClip { bounds, .. }) => (bounds.low()..=bounds.high()).contains(&clip.get()),
        }
    }

    /// Returns the sites whose noise counts in the plan's noise multiplier: k = sites - colluders - dropouts
    /// with shared noise, at least 1 in a checked plan, and 1 otherwise.
    #[must_use]
    pub fn noise_shares(&self) -> u32 {
        match &self.privacy {
            Privacy::None(_) | Privacy::Local(_) => 1,
            Privacy::Shared(SharedNoise { colluders, dropouts, .. }) => {
                let sites = u32::try_from(self.study.sites.len()).unwrap_or(u32::MAX);
                sites.saturating_sub(colluders.get() + dropouts.get())
            }
        }
    }

    /// Says whether the price of the plan rests on nobody knowing who was in a step: steps on samples, with noise.
    #[must_use]
    pub fn has_secret_samples(&self) -> bool {
        self.privacy.delta().is_some() && !self.training.sampling.is_one()
    }

    /// Returns the time from a round's start to its close.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.rounds.deadline_s.get().into())
    }
}

impl PlanFile {
    /// Returns how the integer norm of a contribution is divided between its gradient and the indicator.
    #[must_use]
    pub fn norm_division(&self) -> NormDivision {
        let c_int = self.calibrated.c_int;
        let adaptive = self.training.adaptive_clip.as_ref();
        adaptive.map_or(NormDivision::whole(c_int), |adaptive| adaptive.divide(c_int))
    }

    /// Returns the real value of one integer unit of a gradient in a round with this clip: the clip over
    /// C_int, or over what an indicator leaves of it.
    #[must_use]
    pub fn gradient_unit(&self, clip: Positive) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "the same rounding at every party")]
        let gradient = self.norm_division().gradient as f64;
        clip.get() / gradient
    }

    /// Returns the real value of one integer unit of an update in a round with this clip.
    ///
    /// Gradients are in units of clip / C_int. Changes of weights, which are computed from noisy sums
    /// alone, are in a power of two with which no sum of all sites overflows: one bit is for the sign, and
    /// one to spare for the sites' roundings.
    #[must_use]
    pub fn update_unit(&self, clip: Positive) -> f64 {
        let change_max = match &self.training.site {
            SiteTraining::Gradient => return self.gradient_unit(clip),
            SiteTraining::Sgd(LocalSgd { change_max, .. })
            | SiteTraining::Adam(LocalAdam { change_max, .. }) => change_max,
        };
        let sites = f64::from(u32::try_from(self.study.sites.len()).unwrap_or(u32::MAX));
        let largest = change_max.get() * f64::from(self.cohort.patients_max.get()) * sites;
        let bits = f64::from(self.calibrated.modulus_bits.bits()) - 2.0;
        (largest.log2() - bits).ceil().exp2()
    }
}
