//! Bars that are made of parts.

use maud::{Markup, html};

use super::legend::Legend;
use super::{Chart, class, place};

/// Bars beside one another, each divided in the same parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// What is shown.
    pub title: String,
    /// The names of the parts.
    pub parts: Vec<String>,
    /// The bars, from top to bottom.
    pub bars: Vec<Bar>,
}

/// A bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// How large each part is, as shares of a whole bar; what is above 1 in all is cut off, and what is no number or below 0
    /// has no length.
    pub shares: Vec<f64>,
    /// What is written at its end.
    pub note: String,
}

impl Bars {
    /// Draws the chart.
    #[must_use]
    pub fn draw(&self) -> Chart {
        let legend = Legend::of(self.parts.iter().map(String::as_str), WIDTH - 2.0 * LEFT);
        let tops = std::iter::successors(Some(TOP), |top| Some(top + ROW));
        let rows: Vec<(&Bar, f64)> = self.bars.iter().zip(tops).collect();
        let bottom = rows.last().map_or(TOP, |(_, top)| top + ROW);
        let body = html! {
            text x=(LEFT) y="12" class="title" { (self.title) }
            @for (bar, top) in rows { (bar.draw(top)) }
            (legend.draw((LEFT, bottom), false))
        };
        Chart { label: self.title.clone(), size: (WIDTH, bottom + legend.height + 4.0), body }
    }
}

impl Bar {
    fn draw(&self, top: f64) -> Markup {
        let (text, bar) = (place(top + 10.0), place(top + 14.0));
        html! {
            text x=(LEFT) y=(text) class="name" { (self.name) }
            text x=(WIDTH - LEFT) y=(text) class="end" { (self.note) }
            rect x=(LEFT) y=(bar) width=(FULL) height="8" class="grid" {}
            @for (index, (from, share)) in pieces(&self.shares).enumerate() {
                rect x=(place(LEFT + from * FULL)) y=(bar) width=(place(share * FULL)) height="8"
                    class={ "part " (class(index)) } {}
            }
        }
    }
}

/// Returns where each part begins, and how long it is.
fn pieces(shares: &[f64]) -> impl Iterator<Item = (f64, f64)> {
    let mut from = 0.0;
    shares.iter().map(move |share| {
        // A share that is no number is no length, which `max` sees to.
        let length = share.max(0.0).min(1.0 - from);
        let piece = (from, length);
        from += length;
        piece
    })
}

const WIDTH: f64 = super::lines::WIDTH;
const LEFT: f64 = 4.0;
const FULL: f64 = WIDTH - 2.0 * LEFT;
const TOP: f64 = 18.0;
const ROW: f64 = 28.0;
