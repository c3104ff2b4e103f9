//! Mechanisms as people write them on a command line.

use std::str::FromStr;

use fedtwin_auditor::cost::segment;
use fedtwin_plan::Ratio;
use fedtwin_plan::numbers::{NotARatio, Positive, Probability};
use fedtwin_privacy::accountant::{Event, Mechanism, Segment};

/// A sampling rate as people write it: a ratio, or a decimal number, which becomes the least ratio of 32-bit integers
/// that is not below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(pub(super) Ratio);

/// Mechanisms, each with how often it was used.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Events(pub(super) Vec<Event>);

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
        let number: f64 = text.trim().parse().map_err(|_not_a_number| NotARatio::OutOfRange)?;
        if !(number > 0.0 && number <= 1.0) {
            return Err(NotARatio::OutOfRange);
        }
        if number < RATE_MIN {
            return Err(NotARatio::TooFine);
        }
        // Display writes a decimal number without an exponent: at most 17 digits after at most ten zeros.
        let plain = number.to_string();
        let (whole, places) = plain.split_once('.').unwrap_or((&plain, ""));
        let exponent = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let denominator = 10_u128.checked_pow(exponent).ok_or(NotARatio::TooFine)?;
        let numerator = format!("{whole}{places}").parse().map_err(|_too_many_places| NotARatio::TooFine)?;
        let (numerator, denominator) = least_above(numerator, denominator);
        Ratio::new(numerator, denominator).map(Self)
    }
}

/// Returns the least ratio of 32-bit integers that is at least n / d, in (0, 1], where both are below 2^96.
///
/// Walks down the Stern-Brocot tree (Graham, Knuth and Patashnik, *Concrete Mathematics*, section 4.5), all steps in one
/// direction at once: `low` < n / d <= `high` are neighbours in it at every time.
fn least_above(n: u128, d: u128) -> (u32, u32) {
    let max = u128::from(u32::MAX);
    let (mut low, mut high) = ((0, 1), (1, 1));
    loop {
        let (above, below) = (d * high.0 - n * high.1, n * low.1 - d * low.0);
        // As many steps up as keep the lower end below n / d; none where the upper end is n / d itself.
        let up = (below - 1).checked_div(above).map_or(0, |steps| steps.min((max - low.1) / high.1));
        low = (low.0 + up * high.0, low.1 + up * high.1);
        let below = n * low.1 - d * low.0;
        let down = (above / below).min((max - high.1) / low.1);
        high = (high.0 + down * low.0, high.1 + down * low.1);
        if up == 0 && down == 0 {
            let fits = |part: u128| u32::try_from(part).expect("steps end where a part would pass 32 bits");
            return (fits(high.0), fits(high.1));
        }
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
            let Segment { rate, multiplier, .. } =
                segment(rate.parse::<Rate>()?.0, positive(multiplier)?.get(), 0);
            (Mechanism::PoissonGaussian { rate, multiplier }, count)
        }
        [rate, multiplier, count, patients, cap] => {
            let Segment { rate, multiplier, .. } =
                segment(rate.parse::<Rate>()?.0, positive(multiplier)?.get(), 0);
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

/// Below, a rate is no ratio of 32-bit integers.
const RATE_MIN: f64 = 1.0 / u32::MAX as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_the_least_ratio_that_is_not_below_them() {
        for (text, expected) in [
            ("0.05", "1/20"),
            ("1e-05", "1/100000"),
            ("0.00000071428571", "2500/3500000021"),
            ("0.3333333333333333", "1/3"),
            ("1.0", "1"),
            ("2.4e-10", "1/4166666666"),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().0.to_string(), expected, "{text}");
        }
        // Every rate on a coarse walk over the range: not below, and hardly above.
        let mut rate = 3e-10_f64;
        while rate < 1.0 {
            let found = rate.to_string().parse::<Rate>().unwrap().0;
            let (numerator, denominator) = (f64::from(found.numerator()), f64::from(found.denominator()));
            assert!(numerator / denominator >= rate, "{found} is below {rate}");
            assert!(numerator / denominator - rate <= 3e-10, "{found} is far above {rate}");
            rate *= 1.37;
        }
        for bad in ["1.000001", "-0.1", "0", "NaN"] {
            assert_eq!(Rate::parse(bad).err(), Some(NotARatio::OutOfRange), "{bad}");
        }
        for fine in ["1e-10", "0.0000000001"] {
            assert_eq!(Rate::parse(fine).err(), Some(NotARatio::TooFine), "{fine}");
        }
    }
}
