//! Invented hippocampi for pre-training: a curved tube with a thicker head, in tissue as T1 images show it.
//!
//! Domain randomisation in the spirit of `SynthSeg` (Billot et al. 2021, arXiv 2107.09559): shapes, surroundings,
//! brightness, blur, bias field and noise are drawn at random. What went in is public knowledge: a hippocampus
//! has 2 to 5 ml, its head lies in front and below, white matter below it, fluid beside and above, the amygdala
//! before the head; fluid is dark, grey matter grey, white matter bright; a crop around it has about 36 x 51 x 36
//! voxels of 1 mm. No patient's image was used.
//!
//! Axes are left to right, back to front, bottom to top: slices, rows, columns. Distances are voxels.

use std::f64::consts::{PI, TAU};

use fedtwin_plan::record::VolumeRecord;

use super::HippocampiSource;
use super::draw::Draws;
use super::field::{Shape, smooth, voxels, waves};
use crate::image::intensities::{Margin, normalised};

/// The largest volume: slices, rows, columns.
pub(crate) const SHAPE_MAX: Shape = [41, 58, 43];

type Point = [f64; 3];

/// Makes one volume with its mask, from the seed and its number alone.
pub(crate) fn volume(source: HippocampiSource, number: u32) -> VolumeRecord {
    let draws = &mut Draws::new(source.seed, HIPPOCAMPI, number);
    let shape = [31 + draws.below(11), 44 + draws.below(15), 28 + draws.below(16)];
    let organ = Organ::draw(draws, shape);
    let (places, amygdala) = organ.places(draws, shape);
    let mut brightness = anatomy(draws, shape, &places, amygdala);
    for axis in 0..3 {
        let sigma = draws.between(0.35, 1.2);
        smooth(&mut brightness, shape, axis, sigma);
    }
    let scan = scanned(draws, shape, &brightness);
    let image = normalised(&scan, &Margin::default()).expect("an invented volume's voxels are numbers");
    let mask = places.iter().map(|place| u8::from(place.is_organ)).collect();
    VolumeRecord { shape, spacing_mm: [1.0; 3], image, mask }
}

/// The tube's form.
struct Organ {
    /// 1 or -1: where the midline is.
    side: f64,
    length: f64,
    middle: Point,
    /// How much thicker the head is, how much thinner the tail, and how blunt both ends are.
    head: f64,
    tail: f64,
    cap: f64,
    radius: f64,
    /// Width through the root of the area, of the body and, beyond it, of the head.
    flatness: [f64; 2],
    /// Displacement across and upwards from back to front: in proportion, and with the square.
    tilt: [f64; 2],
    bend: [f64; 2],
    turn: f64,
}

/// A voxel as the organ sees it.
struct Place {
    /// The voxel's place in the volume, moved by a smooth displacement: everything is drawn in it.
    point: Point,
    /// Whether it is between the tail's and the head's end.
    is_beside: bool,
    is_organ: bool,
    /// From the organ's surface, roughly.
    distance: f64,
    /// 0 away from the midline, pi/2 upwards.
    angle: f64,
}

impl Organ {
    fn draw(draws: &mut Draws, shape: Shape) -> Self {
        let side = if draws.chance(0.5) { 1.0 } else { -1.0 };
        let mut organ = Self {
            side,
            length: shape[1] as f64 * draws.between(0.64, 0.86),
            middle: shape.map(|size| size as f64 / 2.0 + 1.5 * draws.normal()),
            head: draws.between(0.05, 0.45),
            tail: draws.between(-0.1, 0.3),
            cap: draws.between(2.5, 7.0),
            radius: 1.0,
            flatness: [draws.between(0.95, 1.6).sqrt(), draws.between(0.9, 1.3).sqrt()],
            tilt: [3.0 * draws.normal(), -draws.between(1.0, 9.0)],
            bend: [side * draws.between(0.0, 5.0), draws.between(-3.0, 3.0)],
            turn: side * draws.between(-0.2, 0.7),
        };
        // An ellipse's area is pi times the product of its radii: the radius follows from the volume.
        let squares = (0..=100_u8).map(|i| organ.profile(f64::from(i) / 50.0 - 1.0).powi(2)).sum::<f64>();
        let volume = draws.between(2300.0, 4900.0);
        organ.radius = (volume / (PI * squares / 101.0 * organ.length)).sqrt();
        organ
    }

    /// The radius in units of the body's, from -1 at the tail's end to 1 at the head's.
    fn profile(&self, along: f64) -> f64 {
        let ends = (1.0 - libm::pow(along.abs(), self.cap)).max(0.0).sqrt();
        ends * (1.0 + self.head * headness(along) - self.tail * (-along).clamp(0.0, 1.0))
    }

    /// Returns each voxel's place, and the amygdala's, which sits on the head.
    fn places(&self, draws: &mut Draws, shape: Shape) -> (Vec<Place>, Point) {
        let warp = draws.between(0.4, 1.6);
        let moved = [(); 3].map(|()| waves(draws, shape, 4, [14.0, 40.0], warp));
        let place = |(voxel, at): (usize, Shape)| {
            let axis = |axis: usize| at[axis] as f64 + moved[axis][voxel];
            self.place([axis(0), axis(1), axis(2)])
        };
        let places = voxels(shape).enumerate().map(place).collect();
        let amygdala = [
            self.middle[0] + self.tilt[0] + 2.5 * draws.normal(),
            self.middle[1] + draws.between(0.75, 1.1) * self.length / 2.0,
            self.middle[2] + self.tilt[1] + 0.67 * self.bend[1] + draws.between(1.0, 1.9) * self.radius,
        ];
        (places, amygdala)
    }

    fn place(&self, point: Point) -> Place {
        let along = (point[1] - self.middle[1]) / (self.length / 2.0);
        let flatness = self.flatness[0] * (1.0 + (self.flatness[1] - 1.0) * headness(along));
        let radius = self.radius * self.profile(along);
        // Beyond the ends there is no radius; the last term keeps quotients finite.
        let (wide, high) = (radius * flatness + 1e-3, radius / flatness + 1e-3);
        let offset = |axis: usize, across: usize| {
            point[axis]
                - self.middle[axis]
                - self.tilt[across] * along
                - self.bend[across] * (along * along - 0.33)
        };
        let (u, v) = (offset(0, 0), offset(2, 1));
        let (sin, cos) = (libm::sin(self.turn), libm::cos(self.turn));
        let relative = libm::hypot((cos * u + sin * v) / wide, (cos * v - sin * u) / high);
        let is_beside = along.abs() < 1.0;
        Place {
            point,
            is_beside,
            is_organ: is_beside && relative < 1.0,
            distance: (relative - 1.0) * (wide * high).sqrt(),
            angle: libm::atan2(v, self.side * u),
        }
    }
}

/// 0 in the tail, 1 in the head.
fn headness(along: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-4.0 * (along - 0.15)))
}

#[derive(Clone, Copy)]
enum Tissue {
    Fluid,
    Grey,
    White,
}

/// A layer of tissue beside the organ.
struct Layer {
    tissue: Tissue,
    thickness: [f64; 2],
    /// The middle of its angle, that angle's deviation, and half of what it covers.
    angle: f64,
    deviation: f64,
    half_width: [f64; 2],
}

/// What lies below, towards the midline, outside and above.
const LAYERS: [Layer; 4] = [
    Layer {
        tissue: Tissue::White,
        thickness: [1.0, 4.0],
        angle: -1.57,
        deviation: 0.5,
        half_width: [0.6, 1.8],
    },
    Layer { tissue: Tissue::Grey, thickness: [0.0, 3.0], angle: 3.1, deviation: 0.6, half_width: [0.2, 0.9] },
    Layer {
        tissue: Tissue::Fluid,
        thickness: [-0.5, 2.5],
        angle: 0.8,
        deviation: 0.6,
        half_width: [0.2, 1.2],
    },
    Layer {
        tissue: Tissue::Fluid,
        thickness: [-0.5, 2.0],
        angle: 2.4,
        deviation: 0.5,
        half_width: [0.1, 0.8],
    },
];

/// Returns the kind of tissue of each voxel: layers of one random field, then what is known to lie around.
fn tissues(draws: &mut Draws, shape: Shape, places: &[Place]) -> Vec<Tissue> {
    let field = waves(draws, shape, 10, [9.0, 36.0], 1.0);
    let (low, high) = (draws.between(-1.6, -0.8), draws.between(-0.3, 0.5));
    let tissue = |&level: &f64| match level {
        level if level < low => Tissue::Fluid,
        level if level < high => Tissue::Grey,
        _ => Tissue::White,
    };
    let mut tissues: Vec<_> = field.iter().map(tissue).collect();
    let ripple = waves(draws, shape, 4, [10.0, 30.0], 0.7);
    for layer in LAYERS {
        let thickness = draws.between(layer.thickness[0], layer.thickness[1]);
        let angle = layer.angle + layer.deviation * draws.normal();
        let half_width = draws.between(layer.half_width[0], layer.half_width[1]);
        for ((tissue, place), ripple) in tissues.iter_mut().zip(places).zip(&ripple) {
            let turned = ((place.angle - angle + PI).rem_euclid(TAU) - PI).abs();
            let is_inside = place.distance < thickness + ripple && turned < half_width + 0.3 * ripple;
            if place.is_beside && !place.is_organ && is_inside {
                *tissue = layer.tissue;
            }
        }
    }
    tissues
}

/// Returns each voxel's brightness.
fn anatomy(draws: &mut Draws, shape: Shape, places: &[Place], amygdala: Point) -> Vec<f64> {
    let levels = [draws.between(0.0, 0.3), draws.between(0.45, 0.7), draws.between(0.85, 1.05)];
    let [_, grey, _] = levels;
    let tissues = tissues(draws, shape, places);
    let radii = [(); 3].map(|()| draws.between(4.5, 8.0));
    let amygdala_level = grey + 0.05 * draws.normal();
    let depth = draws.between(0.01, 0.08);
    let texture = waves(draws, shape, 6, [6.0, 30.0], depth);
    // Some organs are as bright as anything: brightness alone must not tell.
    let is_odd = draws.chance(0.15);
    let organ_level = if is_odd { draws.between(0.3, 0.9) } else { grey + 0.02 + 0.06 * draws.normal() };
    let depth = draws.between(0.0, 0.08);
    let organ_texture = waves(draws, shape, 4, [5.0, 20.0], depth);
    let brightness = |voxel: usize| {
        let place = &places[voxel];
        if place.is_organ {
            return organ_level + organ_texture[voxel];
        }
        let off = |axis: usize| ((place.point[axis] - amygdala[axis]) / radii[axis]).powi(2);
        let level =
            if off(0) + off(1) + off(2) < 1.0 { amygdala_level } else { levels[tissues[voxel] as usize] };
        level + texture[voxel]
    };
    (0..places.len()).map(brightness).collect()
}

/// Measures as a scanner does: with a bias field, a tone curve and noise.
#[expect(clippy::cast_possible_truncation, reason = "scanners measure with less than single precision")]
fn scanned(draws: &mut Draws, shape: Shape, brightness: &[f64]) -> Vec<f32> {
    let strength = draws.between(0.0, 0.12);
    let bias = waves(draws, shape, 3, [60.0, 160.0], strength);
    let (gamma, noise) = (draws.between(0.75, 1.35), draws.between(0.01, 0.07));
    let measure = |(level, bias): (&f64, f64)| {
        (libm::pow((level * (1.0 + bias)).max(0.0), gamma) + noise * draws.normal()) as f32
    };
    brightness.iter().zip(bias).map(measure).collect()
}

/// The stream of draws that no synthetic site has.
const HIPPOCAMPI: u32 = 4;
