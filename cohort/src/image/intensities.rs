//! Normalises the intensities of one image by that image alone.
//!
//! The scale is set by what the scan saw: not by voxels that are no numbers, nor by a margin of constant values around the
//! scan, nor by the brightest and darkest of its voxels. These keep their order: beyond the percentiles 0.5 and 99.5
//! intensities are compressed and not cut off, so that a small bright organ stays brighter than what is around it.

/// Normalises an image: mean 0 and variance 1 over what lies within the percentiles 0.5 and 99.5 of the scan.
///
/// Beyond a percentile, where the intensities within span `reach`, a distance of d becomes reach * d / (reach + d):
/// almost itself at first, at most one reach, which infinity has. A margin's values stay where they are in that order, but
/// for those brighter than the scan, which take the lower percentile's value, as voxels do that are no numbers. A constant image becomes 0. Returns nothing if no voxel is a number.
pub(crate) fn normalised(voxels: &[f32], margin: &Margin) -> Option<Vec<f32>> {
    let is_seen = |x: f32| !x.is_nan() && !margin.holds(x);
    let seen = || voxels.iter().copied().filter(|&x| x.is_finite() && is_seen(x));
    let mut sorted: Vec<f32> = seen().collect();
    let last = sorted.len().checked_sub(1)?;
    let mut quantile =
        |per_mille: usize| *sorted.select_nth_unstable_by(last * per_mille / 1000, f32::total_cmp).1;
    let (low, high) = (quantile(5), quantile(995));
    let count = sorted.len() as f64;
    let clipped = |x: f32| f64::from(x.clamp(low, high));
    let mean = seen().map(clipped).sum::<f64>() / count;
    let variance = seen().map(|x| (clipped(x) - mean).powi(2)).sum::<f64>() / count;
    let (low, high) = (f64::from(low), f64::from(high));
    let reach = if low < high { high - low } else { typical_distance(sorted, low) };
    let scale = if reach > 0.0 { 1.0 / variance.sqrt().max(reach / REACH_MAX) } else { 0.0 };
    let compressed = |x: f32| {
        let (x, beyond) =
            (f64::from(x), |d: f64| if d.is_finite() { reach * d / (reach + d) } else { reach });
        match x {
            _ if x > high => high + beyond(x - high),
            _ if x < low => low - beyond(low - x),
            _ => x,
        }
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "normalised intensities need no more than single precision"
    )]
    let normalise = |&x: &f32| {
        ((if is_seen(x) || f64::from(x) <= high { compressed(x) } else { low } - mean) * scale) as f32
    };
    Some(voxels.iter().map(normalise).collect())
}

/// The values around a scan: what padding, or a field of view that is no box, leaves there.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Margin(Vec<f32>);

impl Margin {
    /// Finds the margin of an image of `shape`.
    ///
    /// A value is one of a margin if it, give or take what interpolation leaves of it, is at two of the box's corners or
    /// more and fills at least a hundredth of it; one that is neither the least nor the greatest, as whole numbers in
    /// noise are, also along the edges for a few voxels from there. Where there is one, the least of the other values is one too
    /// if it fills a twentieth: a cylinder in a box has been padded before. An image has no margin if the rest of it is
    /// constant: its only contrast would be lost.
    pub(crate) fn of(voxels: &[f32], shape: [usize; 3]) -> Self {
        let mut margin = Self::default();
        let numbers = || voxels.iter().copied().filter(|x| !x.is_nan());
        let ends = [numbers().min_by(f32::total_cmp), numbers().max_by(f32::total_cmp)];
        let corners = corners(shape);
        for value in corners.iter().map(|corner| voxels[corner[0]]).filter(|value| !value.is_nan()) {
            let is_end = ends.iter().flatten().any(|&end| near(value, end));
            let is_there = |corner: &&Vec<usize>| {
                let seen = if is_end { &corner[..1] } else { &corner[..] };
                seen.iter().all(|&at| near(voxels[at], value))
            };
            let count = corners.iter().filter(is_there).count();
            if !margin.holds(value) && count >= 2 && fills(voxels, value, 100) {
                margin.0.push(value);
            }
        }
        let least = margin.rest(voxels).min_by(f32::total_cmp);
        if let Some(least) = least.filter(|&least| !margin.0.is_empty() && fills(voxels, least, 20)) {
            margin.0.push(least);
        }
        // The last one that was found may be the scan itself.
        while !margin.0.is_empty() && margin.leaves_a_constant(voxels) {
            margin.0.pop();
        }
        margin
    }

    /// Returns the finite values that are none of the margin's.
    fn rest(&self, voxels: &[f32]) -> impl Iterator<Item = f32> {
        voxels.iter().copied().filter(|&x| x.is_finite() && !self.holds(x))
    }

    fn leaves_a_constant(&self, voxels: &[f32]) -> bool {
        let mut rest = self.rest(voxels);
        rest.next().is_none_or(|first| rest.all(|x| x.total_cmp(&first).is_eq()))
    }

    fn holds(&self, x: f32) -> bool {
        self.0.iter().any(|&value| near(x, value))
    }
}

/// Says whether a value is another, give or take what interpolation leaves of it.
fn near(x: f32, value: f32) -> bool {
    x.total_cmp(&value).is_eq() || value.is_finite() && (x - value).abs() <= INTERPOLATED * value.abs()
}

/// Says whether a value fills one part in `parts` of an image, or more.
fn fills(voxels: &[f32], value: f32, parts: usize) -> bool {
    voxels.iter().filter(|&&x| near(x, value)).count() >= voxels.len().div_ceil(parts)
}

/// Returns where each corner is in row-major order, and after it the next voxels along the edges from there.
fn corners(shape: [usize; 3]) -> Vec<Vec<usize>> {
    let strides = [shape[1] * shape[2], shape[2], 1];
    // A bit for each axis: whether the corner is at its end.
    (0..8_usize)
        .map(|corner| [0, 1, 2].map(|axis| corner >> axis & 1 == 1))
        .filter(|at_end| (0..3).all(|axis| shape[axis] > 1 || !at_end[axis]))
        .map(|at_end| {
            let along = |axis: usize, step: usize| {
                (if at_end[axis] { shape[axis] - 1 - step } else { step }) * strides[axis]
            };
            let corner: usize = (0..3).map(|axis| along(axis, 0)).sum();
            let edges = (0..3).flat_map(|axis| {
                (1..shape[axis].min(EDGE)).map(move |step| corner - along(axis, 0) + along(axis, step))
            });
            std::iter::once(corner).chain(edges).collect()
        })
        .collect()
}

/// The median distance from `value` of those that differ; 0 if none does.
fn typical_distance(values: Vec<f32>, value: f64) -> f64 {
    let distances = values.into_iter().map(|x| (f64::from(x) - value).abs());
    let mut distances: Vec<f64> = distances.filter(|&distance| distance > 0.0).collect();
    if distances.is_empty() {
        return 0.0;
    }
    let middle = distances.len() / 2;
    *distances.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// Voxels along each edge that are padding if the corner is.
const EDGE: usize = 4;

/// How far from a value interpolation leaves what was it, of the value.
const INTERPOLATED: f32 = 1e-5;

/// The most standard deviations in a reach, 1 / sqrt(0.005 * 0.995): of an image in which a two-hundredth is bright and the
/// rest is dark. A still smaller organ in a constant image is no brighter than that.
const REACH_MAX: f64 = 14.2;

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4)
    }

    /// Values of a wave, no two of which are equal, around 100.
    fn scan(count: u16) -> Vec<f32> {
        (0..count).map(|i| 100.0 + 10.0 * libm::sinf(f32::from(i)) + 0.001 * f32::from(i)).collect()
    }

    #[test]
    fn the_middle_has_mean_0_and_variance_1() {
        let voxels = scan(2000);
        let normal = normalised(&voxels, &Margin::default()).unwrap();
        let mean = normal.iter().sum::<f32>() / 2000.0;
        let variance = normal.iter().map(|x| x * x).sum::<f32>() / 2000.0;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.01, "{mean} {variance}");
        // Another gain and another offset are another machine's way to write the same.
        let other: Vec<f32> = voxels.iter().map(|x| 2.5 * x - 7.0).collect();
        assert!(close(&normalised(&other, &Margin::default()).unwrap(), &normal));
    }

    #[test]
    fn a_margin_and_what_is_no_number_do_not_set_the_scale() {
        let scan = scan(2000);
        let alone = normalised(&scan, &Margin::default()).unwrap();
        let low = alone.iter().copied().fold(f32::INFINITY, f32::min);
        for padding in [-2000.0, 0.0, -3.2e38, f32::NAN] {
            // Rows of ten: the scan, and as many of padding.
            let padded: Vec<f32> = scan.iter().copied().chain([padding; 3000]).collect();
            let margin = Margin::of(&padded, [1, 500, 10]);
            assert_eq!(margin.0.len(), usize::from(!padding.is_nan()));
            let normal = normalised(&padded, &margin).unwrap();
            assert!(close(&normal[..2000], &alone), "{padding}");
            assert!(
                normal[2000..].iter().all(|&x| x <= low + 0.1 && x > low - 4.0),
                "dark, and at most one reach beyond the scan: {padding}"
            );
        }
        // In the middle of what the scan saw, as interpolation leaves it, twice, and infinite.
        let noisy = |i: usize| -1024.0 + 0.001 * if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let paddings: [Vec<f32>; 4] = [
            vec![100.5; 3000],
            (0..3000).map(noisy).collect(),
            [vec![-1024.0; 1500], vec![-2048.0; 1500]].concat(),
            vec![f32::INFINITY; 3000],
        ];
        for padding in paddings {
            let padded = [&padding[1500..], &scan[..], &padding[..1500]].concat();
            let normal = normalised(&padded, &Margin::of(&padded, [1, 500, 10])).unwrap();
            assert!(close(&normal[1500..3500], &alone), "{}", padding[0]);
            let brightest = alone.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert!(normal[..1500].iter().all(|&x| x < brightest), "{}", padding[0]);
        }
        let white: Vec<f32> = scan.iter().copied().chain([255.0; 3000]).collect();
        let normal = normalised(&white, &Margin::of(&white, [1, 500, 10])).unwrap();
        assert!(close(&normal[..2000], &alone));
    }

    #[test]
    fn infinity_is_brighter_than_everything_and_sets_no_scale() {
        let mut voxels = scan(2000);
        let before = normalised(&voxels, &Margin::default()).unwrap();
        (voxels[7], voxels[9], voxels[11]) = (f32::INFINITY, f32::NEG_INFINITY, f32::MAX);
        let after = normalised(&voxels, &Margin::default()).unwrap();
        assert!(after.iter().all(|x| x.is_finite()));
        assert!(after.iter().all(|&x| x <= after[7] && x >= after[9]));
        assert!(after[11] > 3.0 && after[7] < 10.0, "{} {}", after[11], after[7]);
        let rest = |i: &usize| ![7, 9, 11].contains(i);
        assert!((0..2000).filter(rest).all(|i| (before[i] - after[i]).abs() < 0.02));
        assert_eq!(normalised(&[f32::NAN, f32::INFINITY], &Margin::default()), None);
    }

    #[test]
    fn a_small_bright_organ_is_not_blanked() {
        // Two in a thousand, below the percentile, in noise and in nothing.
        for noise in [1.0, 0.0] {
            let mut voxels: Vec<f32> = scan(5000).iter().map(|x| noise * (x - 100.0) / 10.0).collect();
            voxels[1000..1010].fill(100.0);
            voxels[1010..1020].fill(150.0);
            let normal = normalised(&voxels, &Margin::default()).unwrap();
            let darker = normal.iter().enumerate().filter(|(i, _)| !(1000..1020).contains(i));
            let brightest = darker.map(|(_, &x)| x).fold(f32::NEG_INFINITY, f32::max);
            assert!(normal[1000] > brightest + 2.0, "{} {brightest}", normal[1000]);
            assert!(normal[1010] > normal[1000] && normal[1010] < 15.0, "{}", normal[1010]);
        }
    }

    #[test]
    fn a_constant_image_becomes_0_and_has_no_margin() {
        assert!(close(&normalised(&[5.0; 100], &Margin::of(&[5.0; 100], [1, 10, 10])).unwrap(), &[0.0; 100]));
        assert_eq!(normalised(&[], &Margin::default()), None);
    }

    #[test]
    fn whole_numbers_in_noise_are_no_margin() {
        let mut voxels: Vec<f32> = scan(2000).iter().map(|x| libm::roundf((x - 100.0) / 5.0)).collect();
        corners([2, 100, 10]).iter().for_each(|corner| voxels[corner[0]] = 0.0);
        assert!(fills(&voxels, 0.0, 10));
        assert_eq!(Margin::of(&voxels, [2, 100, 10]), Margin::default());
    }

    #[test]
    fn what_stands_on_a_constant_ground_stays_brighter_than_it() {
        for noise in [0.0, 1.0] {
            let mut voxels = vec![60.0; 1000];
            let disk = scan(300).into_iter().map(|x| 160.0 + noise * (x - 100.0) / 10.0);
            voxels.splice(400..700, disk);
            let normal = normalised(&voxels, &Margin::of(&voxels, [1, 100, 10])).unwrap();
            assert!(
                normal[..400]
                    .iter()
                    .all(|&x| x < -0.5
                        && x < normal[400..700].iter().copied().fold(f32::INFINITY, f32::min) - 1.5),
                "{noise}"
            );
        }
    }

    #[test]
    fn a_dark_corner_is_no_margin() {
        let mut voxels = scan(2000);
        voxels[0] = 0.0;
        voxels[50..90].fill(0.0);
        let margin = |voxels: &[f32]| Margin::of(voxels, [2, 100, 10]).0;
        assert_eq!(margin(&voxels).len(), 0, "one corner, one in fifty");
        voxels[1999] = 0.0;
        assert_eq!(margin(&voxels), [0.0]);
        voxels[50..90].fill(99.0);
        assert_eq!(margin(&voxels).len(), 0, "two corners, one in a thousand");
    }
}
