//! `fedtwin audit epsilon` and `fedtwin audit calibrate`: costs of stated mechanisms, without any ledger.

use std::str::FromStr;

use clap::{Args, ValueEnum};
use fedtwin_plan::Ratio;
use fedtwin_plan::numbers::{NotARatio, Positive, Probability};
use fedtwin_privacy::accountant::{self, CalibrationError, Segment, Target, gdp};
use serde_json::json;

/// What to price.
#[derive(Debug, Args)]
pub struct Epsilon {
    /// Steps as sampling rate : noise multiplier : number, separated by semicolons: '1/20:1.5:1000;1:30:10'.
    #[arg(long)]
    events: Events,
    /// The delta at which epsilon is stated.
    #[arg(long, value_parser = probability)]
    delta: Probability,
    /// The accountant: rdp prices anything, gdp is exact and prices steps with all patients.
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
    /// The number of steps.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
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

/// A sampling rate as people write it: a ratio, or a decimal number of at most nine places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(pub(super) Ratio);

#[derive(Debug, Clone, PartialEq)]
struct Events(Vec<Segment>);

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub enum NoCost {
    /// The accountant is not there yet.
    #[error("this release has no accountant pld; use rdp, or gdp where every step has all patients")]
    NoPld,
    /// The relation is not there.
    #[error("this release states privacy for zeroing out one patient; use --relation zero-out")]
    ReplaceOne,
    /// Gaussian privacy of sampled steps has no closed form, and its limit understates.
    #[error("gdp is exact for steps with all patients alone, and one of these samples; use rdp")]
    Sampled,
    /// Nothing bounds the steps.
    #[error("these steps have no finite epsilon at this delta")]
    Infinite,
    /// No noise meets the target.
    #[error(transparent)]
    Target(#[from] CalibrationError),
}

/// Prices events; epsilon is rounded up.
///
/// # Errors
/// Refuses accountants and relations that this release does not have.
pub fn epsilon(arguments: &Epsilon) -> Result<String, NoCost> {
    let Epsilon { events: Events(segments), delta, accountant, relation, json } = arguments;
    if *relation == Relation::ReplaceOne {
        return Err(NoCost::ReplaceOne);
    }
    let delta = delta.get();
    let (epsilon, name) = match accountant {
        Accountant::Pld => return Err(NoCost::NoPld),
        Accountant::Rdp => {
            let bound = accountant::rdp_epsilon(segments, delta);
            (bound.value, bound.accountant.to_string())
        }
        Accountant::Gdp if segments.iter().any(|segment| segment.rate < 1.0) => return Err(NoCost::Sampled),
        Accountant::Gdp => (gdp::epsilon(accountant::mu(segments), delta), "gdp".to_owned()),
    };
    if !epsilon.is_finite() {
        return Err(NoCost::Infinite);
    }
    Ok(if *json {
        json!({ "epsilon": epsilon, "delta": delta, "accountant": name, "relation": "zero-out" }).to_string()
    } else {
        format!("epsilon {epsilon} at delta {delta} ({name}, zero-out)")
    })
}

/// Finds the least noise multiplier that meets a target, rounded up.
///
/// # Errors
/// Refuses a target that no noise meets.
pub fn calibrate(arguments: &Calibrate) -> Result<String, NoCost> {
    let &Calibrate { sampling: Rate(sampling), steps, epsilon, delta, json } = arguments;
    let target = Target { epsilon: epsilon.get(), delta: delta.get() };
    let multiplier = accountant::noise_multiplier(sampling, steps, target)?;
    let reached = accountant::epsilon_of(&[segment(sampling, multiplier, steps)], target.delta);
    Ok(if json {
        json!({
            "noise_multiplier": multiplier,
            "epsilon": reached.value,
            "delta": target.delta,
            "accountant": reached.accountant.to_string(),
            "relation": "zero-out",
        })
        .to_string()
    } else {
        format!(
            "noise multiplier {multiplier}: epsilon {} at delta {} ({}, zero-out)",
            reached.value, target.delta, reached.accountant
        )
    })
}

/// Rounds the rate up, because the nearest number to a ratio may be below it.
fn segment(rate: Ratio, multiplier: f64, steps: u64) -> Segment {
    let rate = if rate.is_one() { 1.0 } else { rate.to_f64().next_up().min(1.0) };
    Segment { rate, multiplier, steps }
}

impl FromStr for Rate {
    type Err = NotARatio;

    fn from_str(text: &str) -> Result<Self, NotARatio> {
        if let Ok(ratio) = text.parse() {
            return Ok(Self(ratio));
        }
        // Display writes a decimal number without an exponent.
        let number: f64 = text.trim().parse().map_err(|_not_a_number| NotARatio)?;
        let plain = number.to_string();
        let (whole, places) = plain.split_once('.').unwrap_or((&plain, ""));
        let exponent = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let denominator = 10_u32.checked_pow(exponent).ok_or(NotARatio)?;
        let numerator = format!("{whole}{places}").parse().map_err(|_too_many_places| NotARatio)?;
        Ratio::new(numerator, denominator).map(Self)
    }
}

impl FromStr for Events {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let event = |text: &str| {
            let parts: Vec<_> = text.trim().split(':').collect();
            let [rate, multiplier, steps] = parts[..] else {
                return Err(format!("{text:?} is no event: expected rate:multiplier:steps"));
            };
            let Rate(rate) = rate.parse().map_err(|error: NotARatio| error.to_string())?;
            let multiplier = positive(multiplier)?.get();
            let steps =
                steps.trim().parse().map_err(|_not_a_number| format!("{steps:?} is no number of steps"))?;
            Ok(segment(rate, multiplier, steps))
        };
        let events = text.trim().trim_end_matches(';').split(';').map(event);
        events.collect::<Result<_, _>>().map(Self)
    }
}

pub(super) fn positive(text: &str) -> Result<Positive, String> {
    let number: f64 = text.trim().parse().map_err(|_not_a_number| format!("{text:?} is no number"))?;
    Positive::try_from(number).map_err(|error| error.to_string())
}

fn probability(text: &str) -> Result<Probability, String> {
    let number: f64 = text.trim().parse().map_err(|_not_a_number| format!("{text:?} is no number"))?;
    Probability::try_from(number).map_err(|error| error.to_string())
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
    fn what_this_release_lacks_is_refused_by_name() {
        let refused = |accountant, relation| price("1/2:1:10", accountant, relation).unwrap_err().to_string();
        assert!(refused(Accountant::Pld, Relation::ZeroOut).contains("no accountant pld; use rdp"));
        assert!(refused(Accountant::Rdp, Relation::ReplaceOne).contains("use --relation zero-out"));
        assert!(refused(Accountant::Gdp, Relation::ZeroOut).contains("use rdp"));
    }

    #[test]
    fn rates_are_exact_and_bad_events_are_refused() {
        for (text, expected) in [("1/20", "1/20"), ("0.05", "5/100"), ("1e-05", "1/100000"), ("1.0", "1")] {
            assert_eq!(text.parse::<Rate>().unwrap().0.to_string(), expected);
        }
        for bad in ["0", "-0.1", "1.5", "x", "nan", "1e-12"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        for bad in ["", "1:1", "1:1:1:1", "1:0:1", "1:inf:1", "2:1:1", "1:1:-3", "1:1:1;;1:1:1"] {
            assert!(bad.parse::<Events>().is_err(), "{bad}");
        }
    }

    #[test]
    fn calibration_meets_its_target_and_hardly_more() {
        let arguments = Calibrate {
            sampling: "1/20".parse().unwrap(),
            steps: 1000,
            epsilon: positive("2").unwrap(),
            delta: probability("1e-5").unwrap(),
            json: true,
        };
        let json: serde_json::Value = serde_json::from_str(&calibrate(&arguments).unwrap()).unwrap();
        let reached = json["epsilon"].as_f64().unwrap();
        assert!(reached <= 2.0 && reached > 1.999, "{json}");
    }
}
