//! Mechanisms as people write them on a command line.

use std::str::FromStr;

use fedtwin_plan::Ratio;
use fedtwin_plan::numbers::{NotARatio, Positive, Probability};
use fedtwin_privacy::accountant::{Event, Mechanism, Segment};

/// A sampling rate as people write it: a ratio, or a decimal number of at most nine places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(pub(super) Ratio);

/// Mechanisms, each with how often it was used.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Events(pub(super) Vec<Event>);

/// Rounds the rate up, because the nearest number to a ratio may be below it.
pub(super) fn segment(Rate(rate): Rate, multiplier: f64, steps: u64) -> Segment {
    let rate = if rate.is_one() { 1.0 } else { rate.to_f64().next_up().min(1.0) };
    Segment { rate, multiplier, steps }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }
}

impl Rate {
    fn parse(text: &str) -> Result<Self, NotARatio> {
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
        text.trim().trim_end_matches(';').split(';').map(event).collect::<Result<_, _>>().map(Self)
    }
}

fn event(text: &str) -> Result<Event, String> {
    let parts: Vec<_> = text.split(':').map(str::trim).collect();
    let (mechanism, count) = match parts[..] {
        ["laplace", multiplier, count] => {
            (Mechanism::Laplace { multiplier: positive(multiplier)?.get() }, count)
        }
        ["geometric", scale, sensitivity, count] => {
            let (scale, sensitivity) = (positive(scale)?.get(), integer(sensitivity)?);
            (Mechanism::DiscreteLaplace { scale, sensitivity }, count)
        }
        ["discrete", scale, sensitivity, count] => {
            let (scale, sensitivity) = (positive(scale)?.get(), positive(sensitivity)?.get());
            (Mechanism::DiscreteGaussian { scale, sensitivity }, count)
        }
        ["pure", epsilon, count] => (Mechanism::Pure { epsilon: positive(epsilon)?.get() }, count),
        [rate, multiplier, count] => {
            let Segment { rate, multiplier, .. } = segment(rate.parse()?, positive(multiplier)?.get(), 0);
            (Mechanism::PoissonGaussian { rate, multiplier }, count)
        }
        [rate, multiplier, count, patients, cap] => {
            let Segment { rate, multiplier, .. } = segment(rate.parse()?, positive(multiplier)?.get(), 0);
            let (patients, cap) = (integer(patients)?, integer(cap)?);
            if cap == 0 {
                return Err("a sample is cut to at least one patient".to_owned());
            }
            (Mechanism::TruncatedPoissonGaussian { rate, multiplier, patients, cap }, count)
        }
        _ => return Err(format!("{text:?} is no event: expected rate:multiplier:steps")),
    };
    Ok(Event { mechanism, count: integer(count)? })
}

fn integer<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_not_an_integer| format!("{text:?} is no number to count with"))
}

pub(super) fn positive(text: &str) -> Result<Positive, String> {
    let number: f64 = text.trim().parse().map_err(|_not_a_number| format!("{text:?} is no number"))?;
    Positive::try_from(number).map_err(|error| error.to_string())
}

pub(super) fn probability(text: &str) -> Result<Probability, String> {
    let number: f64 = text.trim().parse().map_err(|_not_a_number| format!("{text:?} is no number"))?;
    Probability::try_from(number).map_err(|error| error.to_string())
}
