//! Random smooth fields over the voxels of a volume, and smoothing.

use std::f64::consts::TAU;

use super::draw::Draws;

/// Sizes along slices, rows, columns; voxels lie in this order, the last one varying fastest.
pub(crate) type Shape = [usize; 3];

/// Returns all voxels' places in order.
pub(crate) fn voxels(shape: Shape) -> impl Iterator<Item = Shape> {
    let [slices, rows, columns] = shape;
    (0..slices).flat_map(move |slice| {
        (0..rows).flat_map(move |row| (0..columns).map(move |column| [slice, row, column]))
    })
}

/// Returns a sum of `count` plane waves with lengths in `lengths` voxels and a standard deviation of
/// `amplitude` over phases.
pub(crate) fn waves(
    draws: &mut Draws,
    shape: Shape,
    count: u32,
    lengths: [f64; 2],
    amplitude: f64,
) -> Vec<f64> {
    let mut field = vec![0.0; shape.iter().product()];
    let each = amplitude * (2.0 / f64::from(count)).sqrt();
    for _ in 0..count {
        let direction = [draws.normal(), draws.normal(), draws.normal()];
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-6);
        let frequency = TAU / draws.between(lengths[0], lengths[1]);
        let phase = Complex::turn(draws.between(0.0, TAU)).scaled(each);
        // cos(a + b + c) as the real part of a product: one turn for each index along an axis, not for each voxel.
        let turns = [0, 1, 2].map(|axis: usize| {
            let per_voxel = direction[axis] / norm * frequency;
            (0..shape[axis]).map(|index| Complex::turn(per_voxel * index as f64)).collect::<Vec<_>>()
        });
        let lines = turns[0].iter().flat_map(|a| turns[1].iter().map(move |b| a.times(*b)));
        for (line, start) in field.chunks_exact_mut(shape[2]).zip(lines) {
            let start = start.times(phase);
            for (value, turn) in line.iter_mut().zip(&turns[2]) {
                *value += start.real * turn.real - start.imaginary * turn.imaginary;
            }
        }
    }
    field
}

/// Convolves with a Gaussian of `sigma` voxels along one axis, out to three of them; beyond the ends, the
/// last voxel goes on.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a radius of a few voxels")]
pub(crate) fn smooth(field: &mut [f64], shape: Shape, axis: usize, sigma: f64) {
    let radius = (3.0 * sigma).round() as usize;
    let half: Vec<f64> = (0..=radius).map(|i| libm::exp(-((i * i) as f64) / (2.0 * sigma * sigma))).collect();
    let total = 2.0 * half.iter().sum::<f64>() - half[0];
    let stride: usize = shape[axis + 1..].iter().product();
    let (before, last) = (field.to_vec(), shape[axis] - 1);
    for (voxel, value) in field.iter_mut().enumerate() {
        let index = voxel / stride % shape[axis];
        let at = |other: usize| before[voxel - index * stride + other * stride];
        let neighbours = half.iter().enumerate().skip(1).map(|(distance, weight)| {
            weight * (at(index.saturating_sub(distance)) + at((index + distance).min(last)))
        });
        *value = (half[0] * before[voxel] + neighbours.sum::<f64>()) / total;
    }
}

#[derive(Clone, Copy)]
struct Complex {
    real: f64,
    imaginary: f64,
}

impl Complex {
    fn turn(angle: f64) -> Self {
        Self { real: libm::cos(angle), imaginary: libm::sin(angle) }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { real: factor * self.real, imaginary: factor * self.imaginary }
    }

    fn times(self, other: Self) -> Self {
        Self {
            real: self.real * other.real - self.imaginary * other.imaginary,
            imaginary: self.real * other.imaginary + self.imaginary * other.real,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_have_their_deviation() {
        let draws = &mut Draws::new(1, 0, 1);
        let squares: f64 = (0..200).map(|_| waves(draws, [1, 1, 1], 5, [5.0, 9.0], 0.3)[0].powi(2)).sum();
        // 200 independent values: the mean square is within 40 % at four standard errors.
        assert!((squares / 200.0 / 0.09 - 1.0).abs() < 0.4, "{squares}");
    }

    #[test]
    fn smoothing_spreads_a_point_along_its_axis_alone_and_keeps_constants() {
        let shape = [3, 9, 2];
        let mut point = vec![0.0; 54];
        point[18 + 8] = 1.0;
        smooth(&mut point, shape, 1, 0.8);
        assert!((point.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let reached = point.iter().enumerate().filter(|(_, value)| **value > 0.0).map(|(voxel, _)| voxel);
        assert_eq!(reached.collect::<Vec<_>>(), [22, 24, 26, 28, 30]);
        let mut constant = vec![2.5; 54];
        smooth(&mut constant, shape, 2, 1.1);
        assert!(constant.iter().all(|value| (value - 2.5).abs() < 1e-12));
    }
}
