//! `fedtwin audit epsilon` and `fedtwin audit calibrate`: costs of stated mechanisms, without any ledger.

use clap::{Args, ValueEnum};
use fedtwin_auditor::cost::{self, Calibrated, Fixed, NoCost, Priced};
use fedtwin_plan::numbers::{Positive, Probability};
use fedtwin_privacy::accountant::{self, EpsilonTarget};

use super::events::{Events, Rate, positive, probability};
use super::to_json;

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

/// Prices events and writes what they cost.
///
/// # Errors
/// Refuses events or relations that an accountant does not price.
pub fn epsilon(arguments: &Epsilon) -> Result<String, NoCost> {
    let &Epsilon { events: Events(ref events), delta, accountant, relation, json } = arguments;
    let priced = cost::price(events, delta.get(), accountant.into(), relation.into())?;
    let Priced { accountant, delta, epsilon, relation } = &priced;
    let text = || format!("epsilon {epsilon} at delta {delta} ({accountant}, {relation})");
    Ok(if json { to_json(&priced) } else { text() })
}

/// Finds what the target allows and writes it.
///
/// # Errors
/// Refuses a target that no noise meets, or no step.
pub fn calibrate(arguments: &Calibrate) -> Result<String, NoCost> {
    let &Calibrate { sampling, steps, noise_multiplier, epsilon, delta, json } = arguments;
    let fixed = match (steps, noise_multiplier) {
        (Some(steps), _) => Fixed::Steps(steps),
        (None, multiplier) => {
            let multiplier = multiplier.expect("the arguments have one or the other");
            Fixed::NoiseMultiplier(multiplier.get())
        }
    };
    let target = EpsilonTarget { epsilon: epsilon.get(), delta: delta.get() };
    let found = cost::calibrate(sampling.0, fixed, target)?;
    let Calibrated { accountant, delta, epsilon, noise_multiplier, relation, steps } = &found;
    let text = || {
        format!(
            "noise multiplier {noise_multiplier}, {steps} steps: epsilon {epsilon} at delta {delta} ({accountant}, {relation})"
        )
    };
    Ok(if json { to_json(&found) } else { text() })
}

impl From<Accountant> for cost::Accountant {
    fn from(accountant: Accountant) -> Self {
        match accountant {
            Accountant::Pld => Self::Pld,
            Accountant::Rdp => Self::Rdp,
            Accountant::Gdp => Self::Gdp,
        }
    }
}

impl From<Relation> for accountant::Adjacency {
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
