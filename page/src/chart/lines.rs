//! Lines over an axis, with bands of uncertainty.

use maud::{Markup, html};

use super::axis::{Axis, Span};
use super::legend::Legend;
use super::{Chart, class, place};

/// Series over two axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// What is shown.
    pub title: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// The series, each with a colour and dashes of its own.
    pub series: Vec<Series>,
    /// What readers compare with.
    pub guide: Guide,
}

/// Points with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name; empty where the title says it.
    pub name: String,
    /// The points, in any order.
    pub points: Vec<Point>,
}

/// A point; a gap of the line where `y` is absent or no number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: Option<f64>,
    /// The ends of an interval of y, in any order.
    pub band: Option<(f64, f64)>,
}

/// What readers compare a line with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Guide {
    /// Nothing.
    None,
    /// The line from corner to corner of a square chart.
    Diagonal,
    /// One point.
    At {
        /// To the right.
        x: f64,
        /// Upwards.
        y: f64,
    },
}

impl Point {
    /// A point without an interval.
    #[must_use]
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y: Some(y), band: None }
    }
}

impl Lines {
    /// Draws the chart.
    #[must_use]
    pub fn draw(&self) -> Chart {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let guide = match self.guide {
            Guide::At { x, y } => Some((x, y)),
            Guide::None | Guide::Diagonal => None,
        };
        let ends = |point: &Point| point.band.map(|(low, high)| [low, high]).into_iter().flatten();
        let ys = points().flat_map(|point| point.y.into_iter().chain(ends(point)));
        let height = match self.guide {
            Guide::Diagonal => WIDTH - LEFT - RIGHT,
            Guide::None | Guide::At { .. } => PLOT,
        };
        let plot = Plot {
            x: self.x.over(points().map(|point| point.x).chain(guide.map(|(x, _)| x))),
            y: self.y.over(ys.chain(guide.map(|(_, y)| y))),
            height,
        };
        let names = self.series.iter().map(|series| series.name.as_str()).filter(|name| !name.is_empty());
        let legend = Legend::of(names, WIDTH - LEFT - RIGHT);
        let bottom = TOP + height + BOTTOM;
        let body = html! {
            text x=(LEFT) y="12" class="title" { (self.title) }
            (plot.grid(&self.x.name, &self.y.name))
            (self.guide(&plot))
            @for (index, series) in self.series.iter().enumerate() { (plot.series(index, series)) }
            (legend.draw((LEFT, bottom), true))
        };
        let label = format!("{}: {} over {}", self.title, self.y.name, self.x.name);
        Chart { label, size: (WIDTH, bottom + legend.height + 2.0), body }
    }

    fn guide(&self, plot: &Plot) -> Markup {
        let (bottom, right) = (TOP + plot.height, WIDTH - RIGHT);
        match self.guide {
            Guide::None => html! {},
            Guide::Diagonal => html! {
                path d={ "M" (LEFT) " " (place(bottom)) "L" (right) " " (TOP) } class="guide" {}
            },
            Guide::At { x, y } => html! {
                @if let Some((x, y)) = plot.at(x, y) {
                    path d={ "M" (LEFT) " " (place(y)) "H" (place(x)) "V" (place(bottom)) } class="guide" {}
                    circle cx=(place(x)) cy=(place(y)) r="3.5" class="dot" {}
                }
            },
        }
    }
}

/// Where values are on the drawing.
struct Plot {
    x: Span,
    y: Span,
    height: f64,
}

impl Plot {
    fn across(&self, part: f64) -> f64 {
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }

    fn up(&self, part: f64) -> f64 {
        TOP + (1.0 - part) * self.height
    }

    fn at(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        Some((self.across(self.x.place(x)?), self.up(self.y.place(y)?)))
    }

    fn grid(&self, x_name: &str, y_name: &str) -> Markup {
        let (bottom, right) = (TOP + self.height, WIDTH - RIGHT);
        let (middle, centre) = (f64::midpoint(LEFT, right), TOP + self.height / 2.0);
        html! {
            @for (part, name) in self.y.ticks() {
                @let y = self.up(part);
                path d={ "M" (LEFT) " " (place(y)) "H" (right) } class="grid" {}
                text x=(LEFT - 5.0) y=(place(y + 3.5)) class="end" { (name) }
            }
            @for (part, name) in self.x.ticks() {
                @let x = self.across(part);
                path d={ "M" (place(x)) " " (bottom) "v4" } class="grid" {}
                text x=(place(x)) y=(place(bottom + 14.0)) class="middle" { (name) }
            }
            text x=(place(middle)) y=(place(bottom + 27.0)) class="middle" { (x_name) }
            text x="9" y=(place(centre)) class="middle" transform={ "rotate(-90 9 " (place(centre)) ")" } { (y_name) }
        }
    }

    fn series(&self, index: usize, series: &Series) -> Markup {
        let mut points = series.points.clone();
        // Where x is the same, as on a receiver's curve, y decides.
        points.sort_by(|a, b| {
            a.x.total_cmp(&b.x).then(a.y.unwrap_or(f64::NAN).total_cmp(&b.y.unwrap_or(f64::NAN)))
        });
        let lines = pieces(&points, |point| self.at(point.x, point.y?));
        let bands = pieces(&points, |point| {
            let (low, high) = point.band?;
            let (x, low) = self.at(point.x, low)?;
            Some((x, low, self.at(point.x, high)?.1))
        });
        html! {
            g class=(class(index)) {
                @for band in bands {
                    @let there = band.iter().map(|(x, low, _)| (*x, *low));
                    @let back = band.iter().rev().map(|(x, _, high)| (*x, *high));
                    polygon points=(list(there.chain(back))) class="band" {}
                }
                @for line in lines {
                    @match line[..] {
                        [(x, y)] => circle cx=(place(x)) cy=(place(y)) r="2.5" class="point" {},
                        _ => polyline points=(list(line.iter().copied())) class="series" {},
                    }
                }
            }
        }
    }
}

/// Returns runs of points that have a place.
fn pieces<P>(points: &[Point], of: impl Fn(&Point) -> Option<P>) -> Vec<Vec<P>> {
    let mut pieces = vec![Vec::new()];
    for point in points {
        match (of(point), pieces.last_mut()) {
            (Some(place), Some(piece)) => piece.push(place),
            (Some(_), None) | (None, _) => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn list(points: impl Iterator<Item = (f64, f64)>) -> String {
    points.map(|(x, y)| format!("{},{}", place(x), place(y))).collect::<Vec<_>>().join(" ")
}

/// As wide as a telephone, so that letters keep their size on one.
pub(super) const WIDTH: f64 = 360.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const PLOT: f64 = 170.0;
/// For ticks and the name below.
const BOTTOM: f64 = 34.0;
