//! Charts as values that draw themselves as SVG, on a page or as a file of their own.
//!
//! A value that is no number, or that an axis cannot show, leaves a gap and never moves another one: no input makes a
//! chart that is not well-formed, and none panics.

mod axis;
mod bars;
mod legend;
mod lines;
mod picture;

use maud::{Markup, PreEscaped, Render, html};

pub use axis::{Axis, Scale};
pub use bars::{Bar, Bars};
pub use lines::{Guide, Lines, Point, Series};
pub use picture::{Outline, Picture};

use crate::style::CHARTS;

/// A chart that is drawn.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it shows, for readers who do not see it.
    label: String,
    /// In units of the drawing, of which a letter is ten high.
    size: (f64, f64),
    body: Markup,
}

impl Chart {
    /// Returns the chart as a file of its own, with the style that it needs.
    #[must_use]
    pub fn to_file(&self) -> String {
        let (width, height) = self.size;
        let file = html! {
            svg xmlns="http://www.w3.org/2000/svg" viewBox=(self.view()) width=(width) height=(height)
                role="img" aria-label=(self.label) class="chart" {
                title { (self.label) }
                style { (PreEscaped(CHARTS)) }
                rect width="100%" height="100%" class="paper" {}
                (self.body)
            }
        };
        file.into_string() + "\n"
    }

    fn view(&self) -> String {
        format!("0 0 {} {}", self.size.0, self.size.1)
    }
}

impl Render for Chart {
    fn render(&self) -> Markup {
        html! {
            svg viewBox=(self.view()) role="img" aria-label=(self.label) class="chart" {
                title { (self.label) }
                (self.body)
            }
        }
    }
}

/// Returns the class of a series, a bar's part or an outline; the eighth looks like the first.
fn class(index: usize) -> String {
    format!("s{}", index % 7)
}

/// Writes a place with one decimal, which is finer than a screen.
fn place(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests;
