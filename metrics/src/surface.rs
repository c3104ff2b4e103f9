//! Distances between the surfaces of two masks of one volume.

use crate::distance::squared_distances;

/// A volume's voxels, row-major, and the distances between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// `[slices, height, width]`.
    pub shape: [usize; 3],
    /// The distance between neighbouring voxels along each axis, in millimetres; above 0.
    pub spacing_mm: [f64; 3],
}

impl Grid {
    /// Returns the number of voxels.
    #[must_use]
    pub fn voxels(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Returns the 95th percentile of the Hausdorff distance between two masks' surfaces, in mm.
///
/// A surface voxel is inside the mask with one of its six neighbours outside; what lies beyond the
/// volume is outside. A volume with one slice is a plane and its surface an outline: along an axis of one
/// voxel nobody is a neighbour, or all of a mask would be surface. From every surface voxel of one mask the distance to the nearest one of the
/// other is taken; of both directions' 95th percentiles (interpolated linearly between ranks) the
/// larger is returned. `None` where one of the masks is empty.
///
/// # Panics
/// If a mask has another length than the grid.
#[must_use]
pub fn hd95_mm(grid: &Grid, predicted: &[bool], truth: &[bool]) -> Option<f64> {
    let (predicted, truth) = (surface(grid, predicted), surface(grid, truth));
    let there = directed_percentile(grid, &predicted, &truth)?;
    let back = directed_percentile(grid, &truth, &predicted)?;
    Some(there.max(back))
}

/// `None` where one of the surfaces is empty.
fn directed_percentile(grid: &Grid, from: &[bool], to: &[bool]) -> Option<f64> {
    let squared = squared_distances(grid, to);
    let mut distances: Vec<f64> =
        from.iter().zip(squared).filter(|&(&is, _)| is).map(|(_, squared)| squared.sqrt()).collect();
    distances.sort_by(f64::total_cmp);
    let percentile = interpolated(&distances, 0.95)?;
    percentile.is_finite().then_some(percentile)
}

fn surface(grid: &Grid, mask: &[bool]) -> Vec<bool> {
    assert_eq!(mask.len(), grid.voxels(), "one value per voxel of the grid");
    let [slices, height, width] = grid.shape;
    let axes: Vec<usize> = (0..3).filter(|&axis| grid.shape[axis] > 1).collect();
    let inside = |place: [Option<usize>; 3]| match place {
        [Some(z), Some(y), Some(x)] if z < slices && y < height && x < width => {
            mask[(z * height + y) * width + x]
        }
        [_, _, _] => false,
    };
    let mut surface = Vec::with_capacity(mask.len());
    for z in 0..slices {
        for y in 0..height {
            for x in 0..width {
                let enclosed = !axes.is_empty()
                    && axes.iter().all(|&axis| {
                        let mut before = [Some(z), Some(y), Some(x)];
                        let mut after = before;
                        before[axis] = before[axis].and_then(|i| i.checked_sub(1));
                        after[axis] = after[axis].map(|i| i + 1);
                        inside(before) && inside(after)
                    });
                surface.push(inside([Some(z), Some(y), Some(x)]) && !enclosed);
            }
        }
    }
    surface
}

/// The quantile at `level` in [0, 1] of sorted values, linear between the two nearest ranks.
fn interpolated(sorted: &[f64], level: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "a surface is far below 2^52 voxels")]
    let rank = level * last as f64;
    #[expect(clippy::cast_possible_truncation, reason = "the rank below is where it truncates to")]
    #[expect(clippy::cast_sign_loss, reason = "the level is not negative")]
    let below = rank as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + rank.fract() * (sorted[above] - sorted[below]))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn ball(grid: &Grid, centre: [f64; 3], radius_mm: f64) -> Vec<bool> {
        let [slices, height, width] = grid.shape;
        let mut mask = Vec::new();
        for z in 0..slices {
            for y in 0..height {
                for x in 0..width {
                    let squared: f64 = (0..3)
                        .map(|axis| ([z, y, x][axis] as f64 - centre[axis]) * grid.spacing_mm[axis])
                        .map(|offset| offset * offset)
                        .sum();
                    mask.push(squared <= radius_mm * radius_mm);
                }
            }
        }
        mask
    }

    /// All pairs of surface voxels, with the surface found by a shift of the whole mask.
    fn brute_force(grid: &Grid, a: &[bool], b: &[bool]) -> f64 {
        let [_, height, width] = grid.shape;
        let places = |mask: &[bool]| -> Vec<[i64; 3]> {
            let place = |v: usize| {
                [v / (height * width), v / width % height, v % width].map(|i| i64::try_from(i).unwrap())
            };
            let all: Vec<_> = (0..mask.len()).filter(|&v| mask[v]).map(place).collect();
            let steps = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]];
            let is_surface =
                |p: &&[i64; 3]| steps.iter().any(|s| !all.contains(&[p[0] + s[0], p[1] + s[1], p[2] + s[2]]));
            all.iter().filter(is_surface).copied().collect()
        };
        let (a, b) = (places(a), places(b));
        let directed = |from: &[[i64; 3]], to: &[[i64; 3]]| {
            let distance = |p: &[i64; 3], q: &[i64; 3]| {
                (0..3).map(|i| ((p[i] - q[i]) as f64 * grid.spacing_mm[i]).powi(2)).sum::<f64>().sqrt()
            };
            let mut nearest: Vec<f64> = from
                .iter()
                .map(|p| to.iter().map(|q| distance(p, q)).fold(f64::INFINITY, f64::min))
                .collect();
            nearest.sort_by(f64::total_cmp);
            let rank = 0.95 * (nearest.len() - 1) as f64;
            let low = (0..nearest.len()).rfind(|&i| i as f64 <= rank).unwrap();
            let high = (0..nearest.len()).find(|&i| i as f64 >= rank).unwrap();
            nearest[low] * (1.0 - rank.fract()) + nearest[high] * rank.fract()
        };
        directed(&a, &b).max(directed(&b, &a))
    }

    #[test]
    fn distances_equal_a_brute_force_over_all_pairs() {
        let grid = Grid { shape: [9, 12, 10], spacing_mm: [2.0, 0.8, 1.1] };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..10 {
            let mut random_ball = || {
                let centre = [0, 1, 2].map(|axis| rng.random_range(0.0..grid.shape[axis] as f64));
                ball(&grid, centre, rng.random_range(1.5..5.0))
            };
            let (a, b) = (random_ball(), random_ball());
            if !a.contains(&true) || !b.contains(&true) {
                continue;
            }
            let (found, expected) = (hd95_mm(&grid, &a, &b).unwrap(), brute_force(&grid, &a, &b));
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
    }

    #[test]
    fn a_shifted_plate_is_as_far_as_its_shift() {
        let grid = Grid { shape: [1, 6, 20], spacing_mm: [5.0, 1.0, 0.5] };
        let column = |x: usize| (0..120).map(|voxel| voxel % 20 == x).collect::<Vec<_>>();
        assert_eq!(hd95_mm(&grid, &column(3), &column(11)), Some(4.0));
        assert_eq!(hd95_mm(&grid, &column(3), &column(3)), Some(0.0));
    }

    /// A disk of radius 50 seen 4 pixels to the left, and one of which a spur of 8 x 12 pixels was missed: values of all
    /// pairs of outline pixels, an outline being what has one of the four neighbours outside (numpy 2.4.6, `percentile`).
    #[test]
    fn distances_in_one_slice_are_between_outlines_in_the_plane() {
        let pixels = |inside: &dyn Fn(i32, i32) -> bool| -> Vec<bool> {
            (0..128).flat_map(|y| (0..128).map(move |x| (x, y))).map(|(x, y)| inside(x, y)).collect()
        };
        let disk = |middle: i32| pixels(&|x, y| (x - middle) * (x - middle) + (y - 64) * (y - 64) <= 2500);
        let spurred = pixels(&|x, y| {
            (x - 64) * (x - 64) + (y - 64) * (y - 64) <= 2500
                || ((110..126).contains(&x) && (60..68).contains(&y))
        });
        for axis in 0..3 {
            let mut grid = Grid { shape: [128; 3], spacing_mm: [0.5; 3] };
            (grid.shape[axis], grid.spacing_mm[axis]) = (1, 7.0);
            for (seen, truth, expected) in
                [(disk(62), disk(66), 2.0), (disk(64), spurred.clone(), 3.792_492_225_285_353)]
            {
                let found = hd95_mm(&grid, &seen, &truth).unwrap();
                assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn a_single_voxel_is_its_own_surface() {
        let grid = Grid { shape: [1; 3], spacing_mm: [1.0; 3] };
        assert_eq!(hd95_mm(&grid, &[true], &[true]), Some(0.0));
        let line = Grid { shape: [1, 1, 5], spacing_mm: [1.0; 3] };
        assert_eq!(surface(&line, &[false, true, true, true, false]), [false, true, false, true, false]);
    }

    #[test]
    fn an_empty_mask_has_no_distance() {
        let grid = Grid { shape: [2, 2, 2], spacing_mm: [1.0; 3] };
        assert_eq!(hd95_mm(&grid, &[false; 8], &[true; 8]), None);
        assert_eq!(hd95_mm(&grid, &[true; 8], &[false; 8]), None);
        let nothing = Grid { shape: [0, 2, 2], spacing_mm: [1.0; 3] };
        assert_eq!(hd95_mm(&nothing, &[], &[]), None);
    }

    #[test]
    fn the_inside_of_a_solid_is_no_surface() {
        let grid = Grid { shape: [3, 3, 3], spacing_mm: [1.0; 3] };
        let found = surface(&grid, &[true; 27]);
        assert_eq!(found.iter().filter(|&&is| is).count(), 26);
    }
}
