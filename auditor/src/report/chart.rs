//! The curve of delta over epsilon, and the pyramid that says where on the page one is.

use fedtwin_page::chart::{Axis, Guide, Lines, Point, Scale, Series};
use maud::{Markup, html};

use super::facts::{CurvePoint, Promise};

/// Draws the curve with delta on a logarithmic axis, and the stated point on it; nothing without a curve.
pub(super) fn curve(points: &[CurvePoint], promise: &Promise) -> Markup {
    let Some(delta) = promise.delta.filter(|_| !points.is_empty()) else { return html! {} };
    let least = delta.value() * BELOW_DELTA;
    let shown = points.iter().filter(|point| point.delta >= least);
    let guide = match promise.epsilon_planned {
        Some(x) => Guide::At { x, y: delta.value() },
        None => Guide::None,
    };
    let lines = Lines {
        title: "What the whole plan can cost".to_owned(),
        x: Axis::new("epsilon", Scale::Linear),
        y: Axis::new("delta", Scale::Logarithmic),
        series: vec![Series {
            name: String::new(),
            points: shown.map(|point| Point::new(point.epsilon, point.delta)).collect(),
        }],
        guide,
    };
    html! { (lines.draw()) }
}

/// Draws the three layers of NIST's pyramid with one of them filled, 0 being the top.
pub(super) fn pyramid(layer: usize) -> Markup {
    let shapes = ["M15 1 19.6 8H10.4Z", "M9.8 9H20.2L24.8 16H5.2Z", "M4.6 17H25.4L30 24H0Z"];
    html! {
        svg viewBox="0 0 30 24" class="pyramid" aria-hidden="true" {
            @for (index, shape) in shapes.into_iter().enumerate() {
                path d=(shape) class=(if index == layer { "on" } else { "off" }) {}
            }
        }
    }
}

/// The chart shows three decades below the stated delta.
const BELOW_DELTA: f64 = 1e-3;
