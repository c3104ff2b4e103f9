//! Plans of scripted studies: a bare vector of weights, and sums of known integers.

use fedtwin_certs::{Credentials, sign_plan};
use fedtwin_plan::family::VectorSize;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, SiteName, model_file, text_file};

use crate::script::{CONTRIBUTION_MAX, sum};

/// A scripted study's plan; every field has the value of a short study until it is changed.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorStudy {
    /// The study's identifier.
    pub id: String,
    /// The sites in its audience.
    pub sites: Vec<SiteName>,
    /// What the model is.
    pub family: VectorModel,
    /// Weights of a vector.
    pub parameters: u32,
    /// Rounds until it is finished.
    pub rounds: u32,
    /// Attempts at all rounds together.
    pub attempts_max: u32,
    /// Updates without which an attempt fails.
    pub sites_min: usize,
    /// Seconds from a round's start to its close.
    pub deadline_s: u32,
    /// The features that the cohort must have, as lines of `[data.table.features]`.
    pub features: String,
    /// The section on privacy and the calibration that goes with it.
    pub privacy: VectorPrivacy,
    /// Noised counts of scores, where sites release them.
    pub metrics: Option<VectorMetrics>,
    /// What the text says instead: each first text is replaced by its second one.
    pub changes: Vec<(String, String)>,
}

/// Metrics of a scripted study, after the last round and before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorMetrics {
    /// Besides after the last round, after every so many; 0 is never.
    pub every_rounds: u32,
    /// What a patient adds to a count, whose noise is 2^20.
    pub c_int: u32,
    /// The releases in the study.
    pub releases: u32,
    /// The claim.
    pub epsilon: f64,
}

/// What a scripted study's model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorModel {
    /// A bare vector, which no site scores.
    Vector,
    /// A linear risk model over the features, with an intercept of each site's own.
    LinearRisk,
}

/// How the updates of a scripted study are protected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum VectorPrivacy {
    /// Not at all.
    None,
    /// By secure aggregation alone.
    SumsOnly,
    /// By the noise of the sites together, of 2^20 units each, which is `noise_multiplier` times the largest contribution;
    /// the plan claims `epsilon`.
    Shared {
        /// The ratio of one site's noise to the clip: a power of two.
        noise_multiplier: u32,
        /// Sites that may be missing.
        dropouts: u32,
        /// The claim.
        epsilon: f64,
    },
    /// By each site's noise of 2^20 units, which is `noise_multiplier` times the largest contribution; the
    /// plan claims `epsilon`.
    Local {
        /// The ratio of noise to clip: a power of two.
        noise_multiplier: u32,
        /// The claim.
        epsilon: f64,
    },
}

impl VectorStudy {
    /// Returns a study of two rounds at these sites.
    #[must_use]
    pub fn new(id: &str, sites: &[SiteName]) -> Self {
        Self {
            id: id.to_owned(),
            sites: sites.to_vec(),
            family: VectorModel::Vector,
            parameters: 1000,
            rounds: 2,
            attempts_max: 6,
            sites_min: sites.len(),
            deadline_s: 30,
            features: r#"age.number = { unit = "years", low = 20, high = 100 }"#.to_owned(),
            privacy: VectorPrivacy::None,
            metrics: None,
            changes: Vec::new(),
        }
    }

    /// Returns the plan's text, calibrated.
    #[must_use]
    pub fn text(&self) -> String {
        let family = match self.family {
            VectorModel::Vector => format!("family.vector.parameters = {}", self.parameters),
            VectorModel::LinearRisk => "family = \"linear-risk\"".to_owned(),
        };
        let Self { id, rounds, attempts_max, sites_min, deadline_s, features, .. } = self;
        let sites: Vec<_> = self.sites.iter().map(SiteName::as_str).collect();
        let (privacy, calibrated) = self.privacy.sections();
        let (metrics, metrics_noise) = self.metrics.map_or_else(Default::default, VectorMetrics::sections);
        let text = format!(
            r#"
[study]
id = "{id}"
title = "A scripted study"
sites = {sites:?}
expires = "2099-12-31"
[cohort]
name = "{COHORT}"
patients_max = {PATIENTS}
[data.table]
outcome = "disease"
[data.table.features]
{features}
[model]
{family}
seed = 1
[rounds]
count = {rounds}
attempts_max = {attempts_max}
blocks = 1
sites_min = {sites_min}
join_s = 30
deadline_s = {deadline_s}
slot_s = 0
[training]
sampling = "1"
loss = "bce"
site = "gradient"
server.fedavg.learning_rate = 1.0
{privacy}
{metrics}
[calibrated]
{calibrated}
modulus_bits = 32
steps = {attempts_max}
{metrics_noise}
"#
        );
        self.changes.iter().fold(text, |text, (from, to)| text.replace(from, to))
    }

    /// Returns the digest of the only right model after `rounds` rounds without noise, each with these sites.
    ///
    /// # Panics
    /// If their number is no power of two: then the mean is rounded, and this function does not say how.
    #[must_use]
    pub fn model_after(&self, rounds: u32, sites: &[u32]) -> Digest {
        assert!(sites.len().is_power_of_two(), "means over a power of two of sites are exact");
        let weights = self.parameters as usize;
        let mut total = vec![0; weights];
        for &number in sites {
            for (total, value) in total.iter_mut().zip(sum(number, weights)) {
                *total += value;
            }
        }
        // The gradient's unit is clip / C_INT, the mean is over all declared patients, and descent goes down.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "an integer of less than 24 bits over a power of two"
        )]
        let values: Vec<f32> = {
            let divisor = -(f64::from(C_INT) * f64::from(PATIENTS) * sites.len() as f64);
            // Adding zero, as the first round does, makes a negative zero positive.
            total.iter().map(|&sum| (f64::from(rounds) * sum as f64 / divisor) as f32 + 0.0).collect()
        };
        let parameters = i64::from(self.parameters).try_into().expect("a plan has this many weights");
        Digest::of(&model_file::encode(&VectorSize { parameters }.architecture(), &values))
    }

    /// Returns the plan under a researcher's signature.
    ///
    /// # Panics
    /// If the text is no plan.
    #[must_use]
    pub fn sign(&self, researcher: &Credentials) -> SignedPlan {
        let text = self.text();
        let parsed: Result<fedtwin_plan::Plan, _> = text_file::parse("the scripted study", &text);
        parsed.unwrap_or_else(|error| panic!("{error}"));
        sign_plan(researcher, text.into_bytes())
    }
}

impl VectorPrivacy {
    fn sections(self) -> (String, String) {
        match self {
            Self::None => ("[privacy.none]\nclip = 1.0".to_owned(), format!("m = 10\nc_int = {C_INT}")),
            Self::SumsOnly => (
                "[privacy.none]\nclip = 1.0\nsums_only = true".to_owned(),
                format!("m = 10\nc_int = {C_INT}"),
            ),
            Self::Shared { noise_multiplier, dropouts, epsilon } => (
                format!(
                    "[privacy.shared]\nclip = 1.0\ndelta = 1e-5\ncolluders = 0\ndropouts = {dropouts}\n\
                     target.noise-multiplier = {noise_multiplier}.0"
                ),
                format!("m = 20\nc_int = {}\nepsilon = {epsilon:?}", (1 << 20) / noise_multiplier),
            ),
            Self::Local { noise_multiplier, epsilon } => (
                format!(
                    "[privacy.local]\nclip = 1.0\ndelta = 1e-5\n\
                     target.noise-multiplier = {noise_multiplier}.0"
                ),
                format!("m = 20\nc_int = {}\nepsilon = {epsilon:?}", (1 << 20) / noise_multiplier),
            ),
        }
    }
}

impl VectorMetrics {
    fn sections(self) -> (String, String) {
        let Self { every_rounds, c_int, releases, epsilon } = self;
        (
            format!("[metrics]\nepsilon = {epsilon:?}\ndelta = 1e-5\nevery_rounds = {every_rounds}"),
            format!("metrics = {{ m = 20, c_int = {c_int}, releases = {releases}, epsilon = {epsilon:?} }}"),
        )
    }
}

/// The cohort that every scripted site has.
pub const COHORT: &str = "scripted";
/// Its declared patients: a power of two, so that means over as many sites as a power of two are exact.
pub const PATIENTS: u32 = 64;
/// The largest contribution of a study without noise: a power of two, for the same reason, and so large that the patients'
/// together let scripted sums of [`PARAMETERS_MAX`] weights pass.
pub const C_INT: u32 = 1 << 16;
/// Weights of a scripted model at most.
pub const PARAMETERS_MAX: u32 = 1 << 26;

const _: () = assert!(
    PARAMETERS_MAX as u64 * CONTRIBUTION_MAX.unsigned_abs().pow(2) <= (PATIENTS as u64 * C_INT as u64).pow(2),
    "a site refuses sums that are longer than its patients can make them"
);
