//! The exact Euclidean distance transform, in time linear in the number of voxels.
//!
//! Felzenszwalb and Huttenlocher 2012, "Distance transforms of sampled functions": the squared
//! distance separates over the axes, and along one axis it is the lower envelope of parabolas
//! (algorithm 1), here with voxels `spacing` apart.

use crate::surface::Grid;

/// Returns for each voxel the squared distance in mm² to the nearest voxel of `sources`; infinite
/// where there is none.
///
/// # Panics
/// If `sources` has another length than the grid.
#[must_use]
pub fn squared_distances(grid: &Grid, sources: &[bool]) -> Vec<f64> {
    assert_eq!(sources.len(), grid.voxels(), "one value per voxel of the grid");
    let mut squared: Vec<f64> = sources.iter().map(|&is| if is { 0.0 } else { f64::INFINITY }).collect();
    for axis in 0..3 {
        let length = grid.shape[axis];
        let stride: usize = grid.shape[axis + 1..].iter().product();
        let mut envelope = Envelope::new(length, grid.spacing_mm[axis]);
        for start in 0..squared.len() {
            // A line along the axis starts where its coordinate is 0.
            if (start / stride).is_multiple_of(length) {
                envelope.transform_line(&mut squared, start, stride);
            }
        }
    }
    squared
}

/// The lower envelope of the parabolas over one line, with its buffers.
struct Envelope {
    spacing: f64,
    /// The line before the transform.
    heights: Vec<f64>,
    /// The parabolas of the envelope by their vertices, and from where each is the lowest.
    parabolas: Vec<(usize, f64)>,
}

impl Envelope {
    fn new(length: usize, spacing: f64) -> Self {
        Self { spacing, heights: vec![0.0; length], parabolas: Vec::with_capacity(length) }
    }

    fn transform_line(&mut self, values: &mut [f64], start: usize, stride: usize) {
        for (i, height) in self.heights.iter_mut().enumerate() {
            *height = values[start + i * stride];
        }
        self.build();
        if self.parabolas.is_empty() {
            return;
        }
        let mut lowest = 0;
        for i in 0..self.heights.len() {
            while self.parabolas.get(lowest + 1).is_some_and(|&(_, from)| from < self.position(i)) {
                lowest += 1;
            }
            let (vertex, _) = self.parabolas[lowest];
            let offset = self.position(i) - self.position(vertex);
            values[start + i * stride] = offset * offset + self.heights[vertex];
        }
    }

    fn build(&mut self) {
        self.parabolas.clear();
        for vertex in 0..self.heights.len() {
            if self.heights[vertex].is_infinite() {
                continue;
            }
            let mut from = f64::NEG_INFINITY;
            while let Some(&(last, last_from)) = self.parabolas.last() {
                from = self.crossing(last, vertex);
                if from > last_from {
                    break;
                }
                self.parabolas.pop();
            }
            self.parabolas.push((vertex, from));
        }
    }

    /// Where the parabola at `right` becomes lower than the one at `left`.
    fn crossing(&self, left: usize, right: usize) -> f64 {
        let (p, q) = (self.position(left), self.position(right));
        ((self.heights[right] + q * q) - (self.heights[left] + p * p)) / (2.0 * (q - p))
    }

    #[expect(clippy::cast_precision_loss, reason = "a line is far below 2^52 voxels")]
    fn position(&self, index: usize) -> f64 {
        index as f64 * self.spacing
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn distances_equal_the_minimum_over_all_sources() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for sources_per_mille in [0, 5, 100, 700, 1000] {
            let grid = Grid { shape: [5, 7, 6], spacing_mm: [3.1, 0.7, 1.0] };
            let sources: Vec<bool> =
                (0..grid.voxels()).map(|_| rng.random_range(0..1000) < sources_per_mille).collect();
            let squared = squared_distances(&grid, &sources);
            for (voxel, &found) in squared.iter().enumerate() {
                let nearest = (0..grid.voxels())
                    .filter(|&other| sources[other])
                    .map(|other| brute_force(&grid, voxel, other))
                    .fold(f64::INFINITY, f64::min);
                let equal = found.total_cmp(&nearest).is_eq() || (found - nearest).abs() < 1e-9;
                assert!(equal, "voxel {voxel}: {found} is not {nearest}");
            }
        }
    }

    fn brute_force(grid: &Grid, a: usize, b: usize) -> f64 {
        let place = |voxel: usize| {
            let [_, height, width] = grid.shape;
            [voxel / (height * width), voxel / width % height, voxel % width]
        };
        (0..3)
            .map(|axis| (place(a)[axis] as f64 - place(b)[axis] as f64) * grid.spacing_mm[axis])
            .map(|offset| offset * offset)
            .sum()
    }
}
