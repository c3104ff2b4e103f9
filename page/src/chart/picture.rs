//! A grey picture with outlines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::html;

use super::legend::Legend;
use super::{Chart, class};

/// A grey picture, and what is drawn around parts of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What is shown.
    pub title: String,
    /// Pixels in a row.
    pub width: usize,
    /// Brightness, row by row from the top; a last row that is not whole is not shown.
    pub pixels: Vec<u8>,
    /// What is drawn around.
    pub outlines: Vec<Outline>,
}

/// Pixels that a line is drawn around.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What they are.
    pub name: String,
    /// Whether each pixel of the picture is one of them; one that is missing is none.
    pub inside: Vec<bool>,
}

impl Picture {
    /// Draws the picture, with as many rows as there are pixels for.
    #[must_use]
    pub fn draw(&self) -> Chart {
        let rows = self.pixels.len().checked_div(self.width).unwrap_or(0);
        let scale = WIDTH / number(self.width.max(1));
        let height = number(rows) * scale;
        let legend = Legend::of(self.outlines.iter().map(|outline| outline.name.as_str()), WIDTH);
        let body = html! {
            text x="0" y="11" class="title" { (self.title) }
            @if let Some(file) = self.file(rows) {
                image x="0" y=(TOP) width=(WIDTH) height=(height) preserveAspectRatio="none" class="pixels"
                    href={ "data:image/png;base64," (STANDARD.encode(file)) } {}
            }
            @for (index, outline) in self.outlines.iter().enumerate() {
                path d=(outline.path(self.width, rows)) class={ "outline " (class(index)) }
                    transform={ "translate(0 " (TOP) ") scale(" (scale) ")" } {}
            }
            (legend.draw((0.0, TOP + height + 2.0), false))
        };
        Chart { label: self.title.clone(), size: (WIDTH, TOP + height + legend.height + 4.0), body }
    }

    /// Returns the picture as a PNG file, if there are pixels.
    fn file(&self, rows: usize) -> Option<Vec<u8>> {
        let (width, height) = (u32::try_from(self.width).ok()?, u32::try_from(rows).ok()?);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        // A picture without pixels has no file.
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&self.pixels[..self.width * rows]).ok()?;
        writer.finish().ok()?;
        Some(file)
    }
}

impl Outline {
    /// Returns the edges between pixels that are inside and others, as a path with pixels of size 1.
    fn path(&self, width: usize, rows: usize) -> String {
        let inside = |row: Option<usize>, column: Option<usize>| match (row, column) {
            (Some(row), Some(column)) if row < rows && column < width => {
                self.inside.get(row * width + column).copied().unwrap_or(false)
            }
            (Some(_) | None, Some(_) | None) => false,
        };
        let mut path = String::new();
        for row in 0..=rows {
            for column in 0..=width {
                let here = inside(Some(row), Some(column));
                if here != inside(row.checked_sub(1), Some(column)) {
                    path += &format!("M{column} {row}h1");
                }
                if here != inside(Some(row), column.checked_sub(1)) {
                    path += &format!("M{column} {row}v1");
                }
            }
        }
        path
    }
}

#[expect(clippy::cast_precision_loss, reason = "pixels of a picture")]
fn number(count: usize) -> f64 {
    count as f64
}

/// Several of them stand beside one another.
const WIDTH: f64 = 150.0;
const TOP: f64 = 16.0;
