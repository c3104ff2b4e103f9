//! Axes: which values they show, and where.

/// An axis before it has seen any value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// What is on it, with its unit.
    pub name: String,
    /// How values become places.
    pub scale: Scale,
}

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Evenly, from round numbers below the least value to above the largest.
    Linear,
    /// Evenly in the logarithm; what is not above zero is not shown.
    Logarithmic,
    /// Evenly from 0 to 1; what lies outside is not shown.
    Unit,
}

impl Axis {
    /// Names an axis.
    #[must_use]
    pub fn new(name: &str, scale: Scale) -> Self {
        Self { name: name.to_owned(), scale }
    }

    /// Returns the span that shows all values which the scale can show; one of 0 to 1 where it can show none.
    pub(super) fn over(&self, values: impl Iterator<Item = f64>) -> Span {
        let values = values.filter_map(|value| coordinate(self.scale, value));
        let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let ends = ends.map(|(low, high)| widened(low, high));
        let (from, to, step) = match (self.scale, ends) {
            (Scale::Unit, _) | (Scale::Linear, None) => (0.0, 1.0, 1.0 / STEPS),
            (Scale::Logarithmic, None) => (-1.0, 0.0, 1.0),
            (Scale::Linear, Some((low, high))) => {
                let step = round_step((high - low) / STEPS);
                ((low / step).floor() * step, (high / step).ceil() * step, step)
            }
            (Scale::Logarithmic, Some((low, high))) => {
                let margin = (high - low) * MARGIN;
                (low - margin, high + margin, ((high - low) / STEPS).ceil().max(1.0))
            }
        };
        Span { scale: self.scale, from, to, step }
    }
}

/// What an axis shows: an interval of values, or of their logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    scale: Scale,
    from: f64,
    to: f64,
    /// Between ticks; whole decades of logarithms.
    step: f64,
}

impl Span {
    /// Returns where on the axis a value is, in [0, 1]; nothing where it is not on it.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let place = (coordinate(self.scale, value)? - self.from) / (self.to - self.from);
        (-1e-9..=1.0 + 1e-9).contains(&place).then(|| place.clamp(0.0, 1.0))
    }

    /// Returns round values with their places and names, by growing value.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear | Scale::Unit => self.even_ticks(),
            Scale::Logarithmic => self.decades(),
        }
    }

    fn even_ticks(&self) -> Vec<(f64, String)> {
        let step = self.step;
        // Round ends are few steps apart; the bound holds whatever rounding makes of them.
        let ticks = (0_u32..=12).map(|i| self.from + f64::from(i) * step);
        // A sum of steps that is nearly none is none.
        let ticks = ticks.map(|tick| if tick.abs() < step * 1e-6 { 0.0 } else { tick });
        ticks.filter_map(|tick| Some((self.place(tick)?, name(tick, step)))).collect()
    }

    fn decades(&self) -> Vec<(f64, String)> {
        let factors: &[f64] = if self.to - self.from < 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let first = (self.from / self.step).floor() * self.step;
        let exponents = (0_u32..=12).map(|i| first + f64::from(i) * self.step);
        let values = exponents
            .flat_map(|exponent| factors.iter().map(move |factor| factor * 10_f64.powf(exponent.round())));
        values.filter_map(|value| Some((self.place(value)?, name(value, value)))).collect()
    }
}

/// Returns what is even on the axis: the value or its logarithm; nothing for what cannot be shown.
fn coordinate(scale: Scale, value: f64) -> Option<f64> {
    // Differences of what is left are numbers, and so are their quotients.
    let value = Some(value).filter(|value| value.abs() <= LARGEST)?;
    let value = if value.abs() < SMALLEST { 0.0 } else { value };
    match scale {
        Scale::Linear | Scale::Unit => Some(value),
        Scale::Logarithmic => (value > 0.0).then(|| value.log10()),
    }
}

/// Makes an interval of a single value, or of values that differ in their last digits alone.
fn widened(low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    if high - low > size * 1e-9 {
        return (low, high);
    }
    let half = if size == 0.0 { 0.5 } else { size / 2.0 };
    (low - half, high + half)
}

/// Returns the next 1, 2 or 5 times a power of ten, whose multiples are written with few digits.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// Writes a tick with as many digits as its step has.
fn name(value: f64, step: f64) -> String {
    let exponent = step.abs().log10().floor();
    if value == 0.0 {
        "0".to_owned()
    } else if value.abs() >= 1e5 || value.abs() < 1e-3 {
        let text = format!("{value:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
    } else {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 9")]
        let digits = (-exponent).clamp(0.0, 9.0) as usize;
        format!("{value:.digits$}")
    }
}

/// Steps of an even axis, about.
const STEPS: f64 = 5.0;
/// What a logarithmic axis shows beside its values, as a share of them.
const MARGIN: f64 = 0.04;
/// Beyond, differences of values are no numbers.
const LARGEST: f64 = 1e300;
/// Below, a value is zero.
const SMALLEST: f64 = 1e-300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_one_digit() {
        for (step, expected) in [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (0.03, 0.05), (600.0, 1000.0)] {
            assert!((round_step(step) / expected - 1.0).abs() < 1e-12, "{step}");
        }
    }

    fn names(scale: Scale, values: &[f64]) -> String {
        let ticks = Axis::new("", scale).over(values.iter().copied()).ticks();
        ticks.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_round_and_few() {
        for (scale, values, expected) in [
            (Scale::Linear, &[0.0, 8.0][..], "0 2 4 6 8"),
            (Scale::Linear, &[0.612, 0.874], "0.6 0.7 0.8 0.9"),
            (Scale::Linear, &[-0.3, 0.3], "-0.4 -0.2 0 0.2 0.4"),
            (Scale::Linear, &[], "0 0.2 0.4 0.6 0.8 1.0"),
            (Scale::Linear, &[0.0], "-0.6 -0.4 -0.2 0 0.2 0.4 0.6"),
            (Scale::Unit, &[7.0], "0 0.2 0.4 0.6 0.8 1.0"),
            (Scale::Logarithmic, &[0.5, 8.0], "0.5 1 2 5"),
            (Scale::Logarithmic, &[1e-8, 1.0], "1e-8 1e-6 1e-4 0.01 1"),
        ] {
            assert_eq!(names(scale, values), expected, "{scale:?} {values:?}");
        }
    }
}
