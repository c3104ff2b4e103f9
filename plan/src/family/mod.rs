//! Model families: what a plan says of each, and what follows for everybody who computes nothing.
//!
//! A family is one file here, which says how a plan writes it, its parameters, its losses, its scores and what of it stays
//! at a site; and one in the crate `models`, which computes it.

mod hazard;
mod linear_risk;
mod mlp_risk;
mod poisson_rate;
mod unet;
mod vector;

use serde::{Deserialize, Serialize};

pub use self::hazard::HazardSize;
pub use self::linear_risk::LinearRisk;
pub use self::mlp_risk::MlpSize;
pub use self::poisson_rate::PoissonRate;
pub use self::unet::{ADAPTER_IN, ADAPTER_OUT, AdapterRank, UnetSize};
pub use self::vector::VectorSize;
use crate::architecture::{Architecture, ParameterSpec};
use crate::cohort_need::{DataNeed, ImageNeed, TableNeed};
use crate::histogram::Histogram;
use crate::numbers::Count;
use crate::outcome::OutcomeKind;
use crate::plan::Loss;
use crate::text_file::Problem;

/// The model families as plans write them; the data decide what is left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A U-Net over images.
    Unet(UnetSize),
    /// A linear risk model over the table's encoded features.
    LinearRisk,
    /// A multi-layer perceptron over the same features.
    MlpRisk(MlpSize),
    /// A log-linear model of a count over the same features.
    PoissonRate,
    /// A hazard of the time to an event over the same features.
    Hazard(HazardSize),
    /// A bare vector, for tests and benchmarks of the wire.
    Vector(VectorSize),
}

/// What a plan has to know of a family.
trait FamilyTerms {
    /// The name, as plans and site policies write it.
    fn name(&self) -> &'static str;

    /// Resolves the parameters over the plan's data; a family without adapters leaves their rank alone.
    fn resolve(&self, data: &DataNeed, adapter_rank: Option<AdapterRank>) -> Result<Architecture, Problem>;

    /// The losses that it can be trained by.
    fn losses(&self) -> &'static [Loss];

    /// What becomes of its scores.
    fn scores(&self) -> Scores;

    /// What of it is fitted at each site and never leaves.
    fn stays_at_site(&self) -> SiteFit;
}

/// What becomes of a model's scores on a site's test patients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scores {
    /// There are none: no trainer computes the model.
    None,
    /// The site sees them, and they never leave.
    AtSite,
    /// The site sees them, and metrics release noised counts of them.
    Counted(Histogram),
}

/// What a site fits for itself after the last round, with the released weights fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteFit {
    /// Nothing.
    Nothing,
    /// An offset to the logit.
    Intercept,
}

impl Family {
    fn terms(&self) -> &dyn FamilyTerms {
        match self {
            Self::Unet(size) => size,
            Self::LinearRisk => &LinearRisk,
            Self::MlpRisk(size) => size,
            Self::PoissonRate => &PoissonRate,
            Self::Hazard(size) => size,
            Self::Vector(size) => size,
        }
    }

    /// Returns the name, as plans and site policies write it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.terms().name()
    }

    /// Returns what metrics count, for a model whose scores are counted.
    #[must_use]
    pub fn histogram(&self) -> Option<Histogram> {
        match self.terms().scores() {
            Scores::Counted(histogram) => Some(histogram),
            Scores::None | Scores::AtSite => None,
        }
    }

    /// Says whether a trainer computes and scores the model.
    #[must_use]
    pub fn has_scores(&self) -> bool {
        self.terms().scores() != Scores::None
    }

    /// Returns what of the model is fitted at each site and never leaves.
    #[must_use]
    pub fn stays_at_site(&self) -> SiteFit {
        self.terms().stays_at_site()
    }

    /// Resolves the parameters over the plan's data.
    ///
    /// # Errors
    /// Refuses data of a kind that the family does not learn from, sizes that do not fit them, and adapters where it
    /// has none.
    pub fn resolve(
        &self,
        data: &DataNeed,
        adapter_rank: Option<AdapterRank>,
    ) -> Result<Architecture, Problem> {
        let architecture = self.terms().resolve(data, adapter_rank)?;
        if adapter_rank.is_some() && architecture.adapters().is_empty() {
            let message = "expected a U-Net, whose convolutions can have adapters";
            return Err(Problem::new("training.trainable.low-rank", message));
        }
        Ok(architecture)
    }

    /// Checks that the family can be trained by a loss.
    pub(crate) fn check_loss(&self, loss: Loss) -> Result<(), Problem> {
        let losses = self.terms().losses();
        if losses.contains(&loss) {
            return Ok(());
        }
        let names: Vec<_> = losses.iter().map(|loss| format!("{:?}", loss.as_str())).collect();
        let message = format!("expected {}, the loss of {}", names.join(" or "), self.name());
        Err(Problem::new("training.loss", message))
    }
}

/// Returns the table that a model of such outcomes learns from.
fn table(data: &DataNeed, outcome: OutcomeKind) -> Result<&TableNeed, Problem> {
    match data {
        DataNeed::Table(table) if table.outcome.kind() != outcome => {
            let message = format!("is {}, expected {outcome} for this family", table.outcome.kind());
            Err(Problem::new("data.table.outcome", message))
        }
        DataNeed::Table(table) if table.inputs() <= INPUTS_MAX => Ok(table),
        DataNeed::Table(table) => {
            let message =
                format!("become {} inputs of the model, expected at most {INPUTS_MAX}", table.inputs());
            Err(Problem::new("data.table.features", message))
        }
        DataNeed::Images(_) => {
            Err(Problem::new("model.family", "is a risk model, expected [data.table] with it"))
        }
    }
}

/// Returns the parameters of a model of one output that is linear in its inputs: zeros at first.
fn linear(family: &'static str, inputs: usize) -> Architecture {
    let parameters = [ParameterSpec::new("weight", &[inputs], 0), ParameterSpec::new("bias", &[1], 0)];
    Architecture::new(family, parameters.into())
}

/// Returns the parameters of a perceptron's hidden layers, a weight and a bias for each, and the units of the last one.
fn hidden_layers(hidden: &[Count<1, 4096>], mut inputs: usize) -> (Vec<ParameterSpec>, usize) {
    let mut parameters = Vec::new();
    for (number, units) in hidden.iter().enumerate() {
        let units = units.size();
        parameters.push(ParameterSpec::new(format!("layer{number}.weight"), &[units, inputs], inputs));
        parameters.push(ParameterSpec::new(format!("layer{number}.bias"), &[units], inputs));
        inputs = units;
    }
    (parameters, inputs)
}

/// Checks how many hidden layers a plan asks for.
fn check_hidden(key: &str, least: usize, hidden: &[Count<1, 4096>]) -> Result<(), Problem> {
    if (least..=HIDDEN_LAYERS_MAX).contains(&hidden.len()) {
        return Ok(());
    }
    Err(Problem::new(key, format!("expected {least} to {HIDDEN_LAYERS_MAX} hidden layers")))
}

/// Returns the images that a segmentation learns from.
fn images(data: &DataNeed) -> Result<&ImageNeed, Problem> {
    match data {
        DataNeed::Images(need) => Ok(need),
        DataNeed::Table(_) => Err(Problem::new("model.family", "is a U-Net, expected [data.images] with it")),
    }
}

/// Deeper ones would not learn more from a table.
const HIDDEN_LAYERS_MAX: usize = 8;

/// Bounds a risk model's weights; electronic health records seldom offer more.
const INPUTS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_familys_name_is_how_plans_write_it() {
        for text in [
            "unet = { base = 2, depth = 1 }",
            "mlp-risk = { hidden = [3] }",
            "vector = { parameters = 4 }",
            "linear-risk",
            "poisson-rate",
            "hazard = { guess = 0.1 }",
        ] {
            let name = text.split(' ').next().unwrap();
            let text = if name == text { format!("f = {text:?}") } else { format!("f.{text}") };
            let mut parsed: std::collections::BTreeMap<String, Family> = toml::from_str(&text).unwrap();
            assert_eq!(parsed.remove("f").unwrap().name(), name);
        }
    }
}
