//! Names of series under a chart, in as many rows as they need.

use maud::{Markup, html};

use super::{class, place};

/// Names and where they stand.
pub(super) struct Legend {
    entries: Vec<(String, f64, f64)>,
    /// How high all rows are.
    pub(super) height: f64,
}

impl Legend {
    /// Sets names in rows of `width`.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>, width: f64) -> Self {
        let (mut x, mut row) = (0.0, 0.0);
        let mut entries = Vec::new();
        for name in names {
            let needs = SWATCH + GAP + name.chars().map(|_| LETTER).sum::<f64>();
            if x > 0.0 && x + needs > width {
                (x, row) = (0.0, row + ROW);
            }
            entries.push((name.to_owned(), x, row));
            x += needs + 2.0 * GAP;
        }
        let height = if entries.is_empty() { 0.0 } else { row + ROW };
        Self { entries, height }
    }

    /// Draws the rows with their left upper corner at a place.
    pub(super) fn draw(&self, (left, top): (f64, f64), is_line: bool) -> Markup {
        html! {
            @for (index, (name, x, y)) in self.entries.iter().enumerate() {
                @let (x, y) = (left + x, top + y + ROW / 2.0);
                @if is_line {
                    path d={ "M" (place(x)) " " (place(y)) "h" (SWATCH) } class={ "series " (class(index)) } {}
                } @else {
                    rect x=(place(x)) y=(place(y - 4.0)) width=(SWATCH) height="8" class={ "part " (class(index)) } {}
                }
                text x=(place(x + SWATCH + GAP)) y=(place(y + 3.5)) class="name" { (name) }
            }
        }
    }
}

const ROW: f64 = 14.0;
const SWATCH: f64 = 20.0;
const GAP: f64 = 5.0;
/// A mean letter of the charts' size.
const LETTER: f64 = 5.6;
