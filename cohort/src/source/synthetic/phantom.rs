//! Phantom organs: a two-lobed blob with an uneven surface, among structures as bright as itself.
//!
//! Brightness alone does not tell the organ (a test says so); shape and place do. All distances are
//! voxels, which are 1 mm apart.

use std::f64::consts::TAU;

use fedtwin_plan::record::VolumeRecord;

use super::SyntheticSource;
use super::draw::Draws;
use crate::image::intensities::{Margin, normalised};

/// The largest phantom: slices, rows, columns.
pub(crate) const SHAPE_MAX: [usize; 3] = [40, 54, 40];

/// What distinguishes one site's scanner and patients.
struct Scanner {
    gain: f64,
    offset: f64,
    /// Exponent of the tone curve.
    gamma: f64,
    /// Share of a voxel's signal that leaks to each neighbour along an axis, below 1/3.
    blur: f64,
    /// Standard deviation of the noise, where organ and background differ by 0.45.
    noise: f64,
    /// The organ's typical size.
    organ_scale: f64,
}

const SCANNERS: [Scanner; 4] = [
    Scanner { gain: 100.0, offset: 10.0, gamma: 1.0, blur: 0.10, noise: 0.08, organ_scale: 1.0 },
    Scanner { gain: 1200.0, offset: 0.0, gamma: 0.7, blur: 0.20, noise: 0.06, organ_scale: 0.88 },
    Scanner { gain: 3e5, offset: -1e4, gamma: 1.4, blur: 0.05, noise: 0.14, organ_scale: 1.1 },
    Scanner { gain: 255.0, offset: 0.0, gamma: 1.0, blur: 0.25, noise: 0.10, organ_scale: 0.95 },
];

/// A point, or one length per axis: across slices, down rows, along columns.
type Point = [f64; 3];

/// An ellipsoid, by its middle and radii.
struct Ellipsoid {
    middle: Point,
    radii: Point,
}

impl Ellipsoid {
    /// Returns 1 in the middle, 0 on the surface and less outside.
    fn depth(&self, point: Point) -> f64 {
        let squares = (0..3).map(|axis| ((point[axis] - self.middle[axis]) / self.radii[axis]).powi(2));
        1.0 - squares.sum::<f64>().sqrt()
    }
}

/// A plane wave.
struct Wave {
    per_voxel: Point,
    phase: f64,
    amplitude: f64,
}

impl Wave {
    fn draw(draws: &mut Draws, lengths: [f64; 2], amplitude: f64) -> Self {
        let direction = [draws.normal(), draws.normal(), draws.normal()];
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-6);
        let frequency = TAU / draws.between(lengths[0], lengths[1]);
        Self { per_voxel: direction.map(|x| x / norm * frequency), phase: draws.between(0.0, TAU), amplitude }
    }

    fn at(&self, point: Point) -> f64 {
        let turns: f64 = (0..3).map(|axis| self.per_voxel[axis] * point[axis]).sum();
        self.amplitude * libm::cos(turns + self.phase)
    }
}

/// Everything inside one patient.
struct Anatomy {
    shape: [usize; 3],
    lobes: [Ellipsoid; 2],
    surface: Vec<Wave>,
    texture: Vec<Wave>,
    /// Other structures with their brightness.
    others: Vec<(Ellipsoid, f64)>,
}

impl Anatomy {
    fn draw(draws: &mut Draws, organ_scale: f64) -> Self {
        let shape = SHAPE_MAX.map(|most| most - draws.below(9));
        let middle = shape.map(|size| size as f64 / 2.0 + draws.between(-3.0, 3.0));
        let scale = organ_scale * libm::exp(0.1 * draws.normal());
        let tilt = draws.between(-0.35, 0.35);
        let mut lobe = |along: f64, radii: Point| Ellipsoid {
            middle: [middle[0] + draws.normal(), middle[1] + along * scale, middle[2] + along * scale * tilt],
            radii: radii.map(|radius| radius * scale * draws.between(0.9, 1.1)),
        };
        let lobes = [lobe(-7.0, [8.0, 9.5, 6.5]), lobe(7.0, [6.5, 11.0, 5.5])];
        let surface = (0..4).map(|_| Wave::draw(draws, [8.0, 18.0], 0.07)).collect();
        let texture = (0..6).map(|_| Wave::draw(draws, [7.0, 30.0], 0.11)).collect();
        let others = (0..12).map(|_| {
            let place = shape.map(|size| draws.between(0.0, size as f64));
            let radii = [(); 3].map(|()| draws.between(2.0, 4.5));
            (Ellipsoid { middle: place, radii }, draws.between(0.9, 1.15))
        });
        let others = others.collect();
        Self { shape, lobes, surface, texture, others }
    }

    /// Returns whether `point` is in the organ, and its brightness.
    fn at(&self, point: Point) -> (bool, f64) {
        let ripple: f64 = self.surface.iter().map(|wave| wave.at(point)).sum();
        let depth =
            self.lobes.iter().map(|lobe| lobe.depth(point)).fold(f64::NEG_INFINITY, f64::max) + ripple;
        let texture: f64 = self.texture.iter().map(|wave| wave.at(point)).sum();
        if depth > 0.0 {
            // The organ is more even than what is around it.
            return (true, 1.0 + 0.4 * texture);
        }
        let other = self.others.iter().find(|(shape, _)| shape.depth(point) > 0.0);
        (false, texture + other.map_or(0.55, |(_, brightness)| *brightness))
    }
}

/// Makes one patient's scan and mask.
pub(crate) fn volume(source: SyntheticSource, patient: u32) -> VolumeRecord {
    let (source, patient) = source.locate(patient);
    let scanner = &SCANNERS[source.site.size()];
    let draws = &mut Draws::new(source.seed, source.site.get(), patient);
    let anatomy = Anatomy::draw(draws, scanner.organ_scale);
    let [slices, rows, columns] = anatomy.shape;
    let mut mask = Vec::with_capacity(slices * rows * columns);
    let mut signal = Vec::with_capacity(mask.capacity());
    for slice in 0..slices {
        for row in 0..rows {
            for column in 0..columns {
                let (is_organ, brightness) = anatomy.at([slice, row, column].map(|index| index as f64));
                mask.push(u8::from(is_organ));
                signal.push(brightness);
            }
        }
    }
    for stride in [1, columns, columns * rows] {
        blur(&mut signal, stride, scanner.blur);
    }
    #[expect(clippy::cast_possible_truncation, reason = "scanners measure with less than single precision")]
    let scan: Vec<f32> = signal.iter().map(|&brightness| scanner.measure(brightness, draws) as f32).collect();
    let image = normalised(&scan, &Margin::default()).expect("a phantom's voxels are numbers");
    VolumeRecord { shape: anatomy.shape, spacing_mm: [1.0; 3], image, mask }
}

impl Scanner {
    fn measure(&self, brightness: f64, draws: &mut Draws) -> f64 {
        let signal = libm::pow(brightness.max(0.0), self.gamma) + self.noise * draws.normal();
        self.gain * signal + self.offset
    }
}

/// Mixes each voxel with its neighbours at `stride`; beyond the ends it is its own neighbour.
fn blur(signal: &mut [f64], stride: usize, leak: f64) {
    let before = signal.to_vec();
    for (index, voxel) in signal.iter_mut().enumerate() {
        let lower = before[index.checked_sub(stride).unwrap_or(index)];
        let upper = before.get(index + stride).copied().unwrap_or(before[index]);
        *voxel = (1.0 - 2.0 * leak) * before[index] + leak * (lower + upper);
    }
}
