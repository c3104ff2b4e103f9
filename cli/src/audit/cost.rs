//! `fedtwin audit epsilon` and `fedtwin audit calibrate`: costs of stated mechanisms, without any ledger.

use clap::{Args, ValueEnum};
use fedtwin_plan::numbers::{Positive, Probability};
use fedtwin_privacy::accountant::{self, CalibrationError, Event, Target, gdp, pld};
use serde_json::json;

use super::events::{Events, Rate, positive, probability, segment};

/// What to price.
#[derive(Debug, Args)]
pub struct Epsilon {
    /// Steps as sampling rate : noise multiplier : number, separated by semicolons: '1/20:1.5:1000;1:30:10'.
    ///
    /// Where samples are cut, the cohort's size and the largest sample follow: '1/20:2:1000:1000:80'. Other noise by
    /// name: 'laplace:multiplier:number', 'geometric:scale:sensitivity:number', 'discrete:scale:sensitivity:number'
    /// (Gaussian noise on integers), 'pure:epsilon:number' (anything with a delta of zero).
    #[arg(long)]
    events: Events,
    /// The delta at which epsilon is stated.
    #[arg(long, value_parser = probability)]
    delta: Probability,
    /// The accountant: pld prices everything and is the sharpest but at the edges, where it says that rdp's bound is the
    /// lower one and takes that; rdp prices Gaussian noise on samples; gdp is exact for steps with all patients.
    #[arg(long)]
    accountant: Accountant,
    /// What a neighbouring cohort is.
    #[arg(long, default_value = "zero-out")]
    relation: Relation,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// What to calibrate.
#[derive(Debug, Args)]
pub struct Calibrate {
    /// The probability with which each patient is in a step, like 1/20 or 0.05.
    #[arg(long)]
    sampling: Rate,
    /// The number of steps, to find the least noise.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), required_unless_present = "noise_multiplier")]
    steps: Option<u64>,
    /// The noise multiplier instead, to find the largest number of steps.
    #[arg(long, value_parser = positive, conflicts_with = "steps")]
    noise_multiplier: Option<Positive>,
    /// The largest epsilon.
    #[arg(long, value_parser = positive)]
    epsilon: Positive,
    /// The delta at which it is stated.
    #[arg(long, value_parser = probability)]
    delta: Probability,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Accountant {
    Pld,
    Rdp,
    Gdp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Relation {
    ZeroOut,
    ReplaceOne,
}

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub enum NoCost {
    /// Renyi divergences are known for sampled Gaussian noise and for zeroing a patient out.
    #[error("rdp prices Gaussian noise on Poisson samples, for --relation zero-out; use pld")]
    Orders,
    /// Gaussian privacy of sampled steps has no closed form, and its limit understates.
    #[error("gdp is exact for Gaussian steps with all patients alone, and one of these is another; use pld")]
    Sampled,
    /// Neither of two arguments.
    #[error("name --steps or --noise-multiplier")]
    Nothing,
    /// One step alone costs more.
    #[error("one step with this noise costs more than the target")]
    NoStep,
    /// Nothing bounds the steps.
    #[error("no finite epsilon is found for these steps at this delta: there is too little noise")]
    Infinite,
    /// No noise meets the target.
    #[error(transparent)]
    Target(#[from] CalibrationError),
}

/// Prices events; epsilon is rounded up.
///
/// # Errors
/// Refuses events or relations that an accountant does not price.
pub fn epsilon(arguments: &Epsilon) -> Result<String, NoCost> {
    let &Epsilon { events: Events(ref events), delta, accountant, relation, json } = arguments;
    let (delta, relation) = (delta.get(), relation.into());
    let (epsilon, name) = match accountant {
        Accountant::Pld => by_losses(events, delta, relation),
        Accountant::Rdp => {
            let segments = accountant::segments_of(events, relation).ok_or(NoCost::Orders)?;
            let bound = accountant::rdp_epsilon(&segments, delta);
            (bound.value, bound.accountant.to_string())
        }
        Accountant::Gdp => {
            let mu = accountant::unsampled_mu(events, relation).ok_or(NoCost::Sampled)?;
            (gdp::epsilon(mu, delta), "gdp".to_owned())
        }
    };
    if !epsilon.is_finite() {
        return Err(NoCost::Infinite);
    }
    Ok(if json {
        json!({ "epsilon": epsilon, "delta": delta, "accountant": name, "relation": relation.to_string() })
            .to_string()
    } else {
        format!("epsilon {epsilon} at delta {delta} ({name}, {relation})")
    })
}

/// Prices events by their losses; by Renyi orders where losses give no bound, or a higher one. Both bounds hold.
fn by_losses(events: &[Event], delta: f64, relation: accountant::Relation) -> (f64, String) {
    let losses = pld::epsilon(events, delta, relation);
    let orders = accountant::segments_of(events, relation)
        .map(|segments| accountant::rdp_epsilon(&segments, delta))
        .filter(|orders| orders.value < losses);
    match orders {
        None => (losses, "pld".to_owned()),
        Some(orders) if losses.is_finite() => {
            (orders.value, format!("{}, below pld's {losses}", orders.accountant))
        }
        Some(orders) => (orders.value, format!("{}, where pld finds none", orders.accountant)),
    }
}

/// Finds the least noise multiplier that meets a target, rounded up, or the largest number of steps.
///
/// # Errors
/// Refuses a target that no noise meets, or no step.
pub fn calibrate(arguments: &Calibrate) -> Result<String, NoCost> {
    let &Calibrate { sampling, steps, noise_multiplier, epsilon, delta, json } = arguments;
    let target = Target { epsilon: epsilon.get(), delta: delta.get() };
    let (steps, multiplier) = match (steps, noise_multiplier) {
        (Some(steps), _) => (steps, accountant::noise_multiplier(sampling.0, steps, target)?),
        (None, Some(multiplier)) => {
            let multiplier = multiplier.get();
            (accountant::calibrate::steps_max(sampling.0, multiplier, target)?, multiplier)
        }
        (None, None) => return Err(NoCost::Nothing),
    };
    if steps == 0 {
        return Err(NoCost::NoStep);
    }
    let reached = accountant::epsilon_of(&[segment(sampling, multiplier, steps)], target.delta);
    Ok(if json {
        json!({
            "noise_multiplier": multiplier,
            "steps": steps,
            "epsilon": reached.value,
            "delta": target.delta,
            "accountant": reached.accountant.to_string(),
            "relation": "zero-out",
        })
        .to_string()
    } else {
        format!(
            "noise multiplier {multiplier}, {steps} steps: epsilon {} at delta {} ({}, zero-out)",
            reached.value, target.delta, reached.accountant
        )
    })
}

impl From<Relation> for accountant::Relation {
    fn from(relation: Relation) -> Self {
        match relation {
            Relation::ZeroOut => Self::ZeroOut,
            Relation::ReplaceOne => Self::ReplaceOne,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(events: &str, accountant: Accountant, relation: Relation) -> Result<f64, NoCost> {
        let delta = probability("1e-5").unwrap();
        let arguments = Epsilon { events: events.parse().unwrap(), delta, accountant, relation, json: true };
        let json: serde_json::Value = serde_json::from_str(&epsilon(&arguments)?).unwrap();
        Ok(json["epsilon"].as_f64().unwrap())
    }

    #[test]
    fn epsilons_are_those_of_the_accountants() {
        // Balle and Wang 2018, theorem 8, at sigma 1, one step and ten.
        let exact = price("1:1:10", Accountant::Gdp, Relation::ZeroOut).unwrap();
        assert!((exact - 17.856_586_830_1).abs() < 1e-6, "{exact}");
        let bound = price("1:1:4; 1:1:6", Accountant::Rdp, Relation::ZeroOut).unwrap();
        assert!(bound > exact && bound < 1.1 * exact, "{bound}");
        let sampled = price("0.01:1:1000", Accountant::Rdp, Relation::ZeroOut).unwrap();
        let same = price("1/100:1:600;1e-2:1:400", Accountant::Rdp, Relation::ZeroOut).unwrap();
        assert!((sampled / same - 1.0).abs() < 1e-9, "{sampled} {same}");
    }

    #[test]
    fn losses_price_what_the_others_refuse_by_name() {
        let refused =
            |events, accountant, relation| price(events, accountant, relation).unwrap_err().to_string();
        assert!(refused("1/2:1:10", Accountant::Rdp, Relation::ReplaceOne).contains("use pld"));
        assert!(refused("laplace:2:10", Accountant::Rdp, Relation::ZeroOut).contains("use pld"));
        assert!(refused("1/2:1:10", Accountant::Gdp, Relation::ZeroOut).contains("use pld"));
        assert!(
            refused("discrete:5:1:1", Accountant::Pld, Relation::ZeroOut)
                .contains("no finite epsilon is found")
        );
        // Rows S01, R02 and T01 of the reference.
        for (events, relation, expected) in [
            ("0.01:1:1000", Relation::ZeroOut, 1.828_243_65),
            ("0.01:1:1000", Relation::ReplaceOne, 2.843_445_81),
        ] {
            let found = price(events, Accountant::Pld, relation).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-4, "{events}: {found}");
        }
        for (events, at_most) in
            [("pure:0.1:3", 0.300_001), ("laplace:10:3", 0.300_001), ("geometric:10:1:3", 0.300_001)]
        {
            assert!(price(events, Accountant::Pld, Relation::ZeroOut).unwrap() <= at_most, "{events}");
        }
        let cut = price("0.05:2:100:1000:80", Accountant::Pld, Relation::ZeroOut).unwrap();
        assert!(cut > price("0.05:2:100", Accountant::Pld, Relation::ZeroOut).unwrap());
    }

    #[test]
    fn at_the_edges_losses_give_a_price_and_no_higher_one_than_orders() {
        // Little noise, large noise, rare samples, many steps and all of them together.
        for events in
            ["0.1:0.05:100", "0.5:0.1:3", "1e-6:0.5:100000", "1e-7:0.4:1000000", "0.9:50:100000", "1e-9:1:1"]
        {
            let (losses, orders) = (
                price(events, Accountant::Pld, Relation::ZeroOut).unwrap(),
                price(events, Accountant::Rdp, Relation::ZeroOut).unwrap(),
            );
            assert!(losses <= orders, "{events}: {losses} by losses, {orders} by orders");
        }
    }

    #[test]
    fn rates_are_exact_and_bad_events_are_refused() {
        for (text, expected) in [("1/20", "1/20"), ("0.05", "1/20"), ("1e-05", "1/100000"), ("1.0", "1")] {
            assert_eq!(text.parse::<Rate>().unwrap().0.to_string(), expected);
        }
        for bad in ["0", "-0.1", "1.5", "x", "nan", "1e-12"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        for bad in [
            "",
            "1:1",
            "1:1:1:1",
            "1:0:1",
            "1:inf:1",
            "2:1:1",
            "1:1:-3",
            "1:1:1;;1:1:1",
            "1/2:1:1:10:0",
            "laplace:1",
        ] {
            assert!(bad.parse::<Events>().is_err(), "{bad}");
        }
    }

    #[test]
    fn calibration_meets_its_target_and_hardly_more() {
        let arguments = Calibrate {
            sampling: "1/20".parse().unwrap(),
            steps: Some(1000),
            noise_multiplier: None,
            epsilon: positive("2").unwrap(),
            delta: probability("1e-5").unwrap(),
            json: true,
        };
        let json: serde_json::Value = serde_json::from_str(&calibrate(&arguments).unwrap()).unwrap();
        let reached = json["epsilon"].as_f64().unwrap();
        assert!(reached <= 2.0 && reached > 1.999, "{json}");
        let multiplier = positive(&json["noise_multiplier"].to_string()).unwrap();
        let turned = Calibrate { steps: None, noise_multiplier: Some(multiplier), ..arguments };
        let json: serde_json::Value = serde_json::from_str(&calibrate(&turned).unwrap()).unwrap();
        assert_eq!(json["steps"], 1000);
    }
}
