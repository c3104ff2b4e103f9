//! The curve of delta over epsilon, and the pyramid that says where on the page one is, as inline SVG.

use super::facts::{CurvePoint, Promise};
use crate::markup::push;

/// Draws the curve with delta on a logarithmic axis, and the stated point on it; nothing without a curve.
pub(super) fn curve(points: &[CurvePoint], promise: &Promise) -> String {
    let (Some(last), Some(delta)) = (points.last(), promise.delta) else { return String::new() };
    let axes = Axes {
        epsilon_max: last.epsilon.max(f64::MIN_POSITIVE),
        // Whole decades, so that every tick has a name.
        decades: (-(delta.value() * BELOW_DELTA).log10()).ceil().max(1.0),
    };
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"delta over epsilon\">");
    axes.grid(&mut svg);
    let line: Vec<_> = points
        .iter()
        .filter(|point| point.delta > 0.0 && -point.delta.log10() <= axes.decades)
        .map(|point| format!("{:.1},{:.1}", axes.x(point.epsilon), axes.y(point.delta)))
        .collect();
    push(&mut svg, format_args!("<polyline points=\"{}\" class=curve />", line.join(" ")));
    if let Some(epsilon) = promise.epsilon_planned.filter(|epsilon| *epsilon <= axes.epsilon_max) {
        let (x, y) = (axes.x(epsilon), axes.y(delta.value()));
        push(
            &mut svg,
            format_args!(
                "<path d=\"M{LEFT} {y:.1}H{x:.1}V{bottom}\" class=mark /><circle cx={x:.1} cy={y:.1} r=3.5 class=dot />",
                bottom = HEIGHT - BOTTOM
            ),
        );
    }
    let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
    push(&mut svg, format_args!("<text x={middle} y={} class=axis>epsilon</text>", HEIGHT - 2.0));
    push(
        &mut svg,
        format_args!(
            "<text x={x} y={y} class=axis transform=\"rotate(-90 {x} {y})\">delta</text></svg>",
            x = 9.0,
            y = HEIGHT / 2.0
        ),
    );
    svg
}

/// Draws the three layers of NIST's pyramid with one of them filled, 0 being the top.
pub(super) fn pyramid(layer: usize) -> String {
    let mut svg = "<svg viewBox=\"0 0 30 24\" class=pyramid aria-hidden=true>".to_owned();
    for (index, shape) in
        ["M15 1 19.6 8H10.4Z", "M9.8 9H20.2L24.8 16H5.2Z", "M4.6 17H25.4L30 24H0Z"].iter().enumerate()
    {
        let class = if index == layer { "on" } else { "off" };
        push(&mut svg, format_args!("<path d=\"{shape}\" class={class} />"));
    }
    svg + "</svg>"
}

/// From epsilon and delta to the page.
struct Axes {
    epsilon_max: f64,
    /// The least delta is 10 to the minus this.
    decades: f64,
}

impl Axes {
    fn x(&self, epsilon: f64) -> f64 {
        LEFT + epsilon / self.epsilon_max * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, delta: f64) -> f64 {
        TOP - delta.log10() / self.decades * (HEIGHT - TOP - BOTTOM)
    }

    fn grid(&self, svg: &mut String) {
        let step = if self.decades > 8.0 { 4 } else { 2 };
        for decade in (0_i32..).step_by(step).take_while(|decade| f64::from(*decade) <= self.decades) {
            let y = self.y(10_f64.powi(-decade));
            let name = if decade == 0 { "1".to_owned() } else { format!("1e-{decade}") };
            push(
                svg,
                format_args!(
                    "<path d=\"M{LEFT} {y:.1}H{}\" class=grid /><text x={} y={:.1} class=tick>{name}</text>",
                    WIDTH - RIGHT,
                    LEFT - 5.0,
                    y + 3.5
                ),
            );
        }
        let step = round_step(self.epsilon_max / 5.0);
        for tick in (0_u32..).map(|i| f64::from(i) * step).take_while(|tick| *tick <= self.epsilon_max) {
            let y = HEIGHT - BOTTOM + 12.0;
            push(svg, format_args!("<text x={:.1} y={y} class=axis>{tick}</text>", self.x(tick)));
        }
    }
}

/// Returns the next 1, 2 or 5 times a power of ten, whose multiples are written with few digits.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step).unwrap_or(10.0);
    factor * power
}

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 28.0;

/// The chart shows three decades below the stated delta.
const BELOW_DELTA: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_one_digit() {
        for (step, expected) in [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (0.03, 0.05), (600.0, 1000.0)] {
            assert!((round_step(step) / expected - 1.0).abs() < 1e-12, "{step}");
        }
    }
}
