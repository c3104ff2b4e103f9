//! What a plan does and costs, for people: the integers and the three epsilons.

use std::fmt;

use fedtwin_plan::numbers::{OutOfRange, Positive};
use fedtwin_plan::{Plan, StudyId};
use fedtwin_privacy::accountant::{self, GaussianEvent};

use crate::calibration;

/// A plan's integers and their price.
#[derive(Debug, Clone, PartialEq)]
pub struct PricedPlan {
    study: StudyId,
    event: GaussianEvent,
    noise_shares: u32,
    modulus_bits: u32,
    patients_max: u32,
    price: Price,
}

/// What all attempts of a study cost a patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Price {
    /// No noise, no bound.
    Unbounded,
    /// Three epsilons at one delta.
    Bounded(Epsilons),
}

/// The same noise against three observers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epsilons {
    /// The probability with which the bounds may fail.
    pub delta: f64,
    /// Everybody else colludes against the patient's site.
    pub alone: f64,
    /// The coordinator, which sees each site's own noisy sums, or with shared noise sums over the sites alone, and
    /// the noise of those that collude with it; this one is charged.
    pub coordinator: f64,
    /// Those who see the published models and took no part.
    pub model_users: f64,
}

/// A plan that no site accepts.
#[derive(Debug, thiserror::Error)]
pub enum Untenable {
    /// The accountant finds more than the plan claims.
    #[error("the plan claims epsilon {claimed} but costs {found}: calibrate it anew")]
    Understated {
        /// What the plan says.
        claimed: f64,
        /// What its integers cost.
        found: f64,
    },
    /// The integers are of no mechanism.
    #[error("the plan's calibrated integers belong to no mechanism")]
    Integers(#[from] OutOfRange),
}

impl PricedPlan {
    /// Derives the price from the plan's integers.
    ///
    /// # Errors
    /// Refuses a plan that costs more than it claims.
    pub fn of(plan: &Plan) -> Result<Self, Untenable> {
        let event = calibration::event(plan, 1)?;
        let price = match plan.privacy.delta() {
            None => Price::Unbounded,
            Some(delta) => {
                let epsilon = |event| accountant::epsilon(&[event], delta).value;
                let charged = calibration::event(plan, plan.noise_shares())?;
                let coordinator = hold(plan.calibrated.epsilon, epsilon(charged))?;
                let published = calibration::event(plan, accountant::published_noise(plan))?;
                let (alone, model_users) = (epsilon(event), epsilon(published));
                Price::Bounded(Epsilons { delta, alone, coordinator, model_users })
            }
        };
        let modulus_bits = plan.calibrated.modulus_bits.bits();
        let (study, noise_shares) = (plan.study.id.clone(), plan.noise_shares());
        let patients_max = plan.cohort.patients_max.get();
        Ok(Self { study, event, noise_shares, modulus_bits, patients_max, price })
    }

    /// Returns what the study costs.
    #[must_use]
    pub fn price(&self) -> Price {
        self.price
    }
}

/// Returns what was found, which must not be more than was claimed.
fn hold(claimed: Option<Positive>, found: f64) -> Result<f64, Untenable> {
    let claimed = claimed.map_or(0.0, Positive::get);
    if found > claimed { Err(Untenable::Understated { claimed, found }) } else { Ok(found) }
}

impl fmt::Display for PricedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GaussianEvent { sampling, m, c_int, steps, .. } = self.event;
        writeln!(f, "study {}", self.study)?;
        writeln!(f, "  sampling          {sampling} of the patients in each step")?;
        writeln!(f, "  steps             {steps} sums paid for, all attempts included")?;
        writeln!(f, "  C_int             {} grid units, the clip of one patient", c_int.get())?;
        writeln!(f, "  modulus           2^{}, of sums", self.modulus_bits)?;
        let Price::Bounded(epsilons) = self.price else {
            return write!(
                f,
                "  epsilon           unbounded: no noise; each site's ledger says so from then on"
            );
        };
        writeln!(f, "  m                 {}: noise of 2^{} grid units at each site", m.get(), m.get())?;
        writeln!(f, "  noise multiplier  {:.4}, of one site", self.event.noise_multiplier())?;
        if self.noise_shares > 1 {
            writeln!(
                f,
                "  k                 {}: sites whose noise surely counts in a sum",
                self.noise_shares
            )?;
        }
        let Epsilons { delta, alone, coordinator, model_users } = epsilons;
        writeln!(f, "epsilon at delta {delta}, for one patient at one site, over the whole study")?;
        writeln!(f, "  alone             {}  if everybody else colludes", upward(alone))?;
        let sees = match self.noise_shares {
            1 => "each site's own sums".to_owned(),
            shares => format!("sums over the sites, in which the noise of {shares} surely counts"),
        };
        writeln!(f, "  coordinator       {}  who sees {sees}; this one is charged", upward(coordinator))?;
        write!(f, "  model users       {}  who sees the models and took no part", upward(model_users))?;
        if delta * f64::from(self.patients_max) > 1.0 {
            write!(
                f,
                "\nwarning: delta {delta} is above 1 in {} (cohort.patients_max): publishing one patient's whole record \
                 would meet such a delta",
                self.patients_max
            )?;
        }
        Ok(())
    }
}

/// Writes a cost with six decimals, rounded up.
fn upward(epsilon: f64) -> String {
    format!("{:.6}", calibration::round_up(epsilon))
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::text_file::parse;

    use super::*;
    use crate::study::testing::{HEART, draft_with};

    fn report(changes: &[(&str, &str)]) -> PricedPlan {
        let text = draft_with(HEART, changes);
        let draft = parse("draft.toml", &text).unwrap();
        let calibrated = calibration::calibrate(&draft).unwrap();
        let text = format!("{text}\n{}", calibration::section(&calibrated));
        PricedPlan::of(&parse("plan.toml", &text).unwrap()).unwrap()
    }

    fn epsilons(changes: &[(&str, &str)]) -> Epsilons {
        match report(changes).price() {
            Price::Bounded(epsilons) => epsilons,
            Price::Unbounded => panic!("the draft has noise"),
        }
    }

    #[test]
    fn model_users_profit_from_the_noise_of_every_site_in_a_sum() {
        let few = epsilons(&[("sites_min = 3", "sites_min = 1")]);
        let more = epsilons(&[]);
        assert!(few.model_users >= few.alone && more.model_users < 0.7 * more.alone);
        let local = "sgd = { steps = 2, learning_rate = 0.1, change_max = 1.0 }";
        let several = epsilons(&[("site = \"gradient\"", &format!("site.{local}"))]);
        assert!(several.model_users >= several.alone);
    }

    #[test]
    fn shared_noise_is_charged_as_the_sum_and_alone_is_worth_less() {
        let changes = [("[privacy.local]", "[privacy.shared]\ncolluders = 0\ndropouts = 1")];
        let Epsilons { alone, coordinator, model_users, .. } = epsilons(&changes);
        assert!(coordinator <= 1.0 && coordinator > 0.999, "{coordinator}");
        // sites_min is 3, and so are the shares.
        assert!(alone > 1.5 && (model_users - coordinator).abs() < 1e-9, "{alone} {model_users}");
        let text = report(&changes).to_string();
        assert!(text.contains("in which the noise of 3 surely counts; this one is charged"), "{text}");
        assert!(report(&[]).to_string().contains("who sees each site's own sums; this one is charged"));
    }

    #[test]
    fn a_delta_above_one_in_the_number_of_patients_is_warned_of() {
        let warned = |delta: &str| {
            report(&[("delta = 1e-3", &format!("delta = {delta}"))]).to_string().contains("warning: delta")
        };
        // The draft has room for 1000 patients.
        assert!(!warned("1e-3") && warned("1.1e-3"));
    }

    #[test]
    fn without_noise_no_epsilon_is_printed() {
        let text = report(&[
            ("[privacy.local]", "[privacy.none]"),
            ("delta = 1e-3\n", ""),
            ("target.epsilon = 1.0\n", ""),
        ])
        .to_string();
        assert!(text.contains("unbounded") && !text.contains("alone"), "{text}");
    }
}
