//! Where voxels lie in the patient, and one orientation for all volumes.
//!
//! Axes of a file may run in any of 48 ways. Here the first always runs from the patient's left to the right, the second
//! from back to front, the third from the feet upwards ("RAS", as nibabel's closest canonical orientation), whatever
//! way the file is stored; voxels are only reordered, never interpolated. A mask is its image's if each of its voxels
//! lies where one of the image's does; anything else is refused in the words of geometry.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// An affine map from voxel numbers to millimetres in the patient: to the right, to the front and upwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Affine {
    /// One step along each of the file's axes.
    pub steps: [[f64; 3]; 3],
    /// The centre of the first voxel.
    pub origin: [f64; 3],
}

/// A volume's voxels and where they lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Placement {
    /// Voxels along each axis.
    pub shape: [usize; 3],
    /// Where they lie.
    pub affine: Affine,
}

/// A way to walk through a volume: which of its axes comes first, and which ones are walked backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    /// The axis of the source behind each axis of the result.
    pub axes: [usize; 3],
    /// Whether it is walked from its end.
    pub backwards: [bool; 3],
}

/// An orientation in three letters: whereto each of a file's axes runs, as `RAS` or `LPI`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Orientation(Order);

impl Affine {
    /// Makes the map of volumes that state no place: axes in the given orientation, the first voxel at 0.
    pub(crate) fn unstated(orientation: Orientation, spacing_mm: [f64; 3]) -> Self {
        let mut steps = [[0.0; 3]; 3];
        for (world, (&axis, &backwards)) in
            orientation.0.axes.iter().zip(&orientation.0.backwards).enumerate()
        {
            steps[axis][world] = if backwards { -spacing_mm[axis] } else { spacing_mm[axis] };
        }
        Self { steps, origin: [0.0; 3] }
    }

    /// Returns the distances between neighbouring voxels in millimetres.
    pub(crate) fn spacing_mm(&self) -> [f64; 3] {
        self.steps.map(length)
    }

    /// Returns the largest angle between an axis here and the same axis there, in degrees.
    pub(crate) fn turned_from(&self, other: &Self) -> f64 {
        let cosine = |(a, b): (&[f64; 3], &[f64; 3])| dot(*a, *b) / (length(*a) * length(*b));
        let least = self.steps.iter().zip(&other.steps).map(cosine).fold(1.0, f64::min);
        libm::acos(least.max(-1.0)).to_degrees()
    }

    /// Returns the closest orientation: of all, the one whose directions agree most with the axes' own.
    pub(crate) fn orientation(&self) -> Orientation {
        let units = self.steps.map(|step| step.map(|x| x / length(step)));
        let agreement = |order: &Order| -> f64 {
            let along = (0..3).map(|world| {
                let cosine = units[order.axes[world]][world];
                if order.backwards[world] { -cosine } else { cosine }
            });
            along.sum()
        };
        let closest = Order::all().into_iter().max_by(|a, b| agreement(a).total_cmp(&agreement(b)));
        Orientation(closest.expect("there are 48 orders"))
    }

    /// Checks that voxels are boxes of a possible size.
    pub(crate) fn check(&self) -> Result<(), String> {
        let numbers = self.steps.iter().flatten().chain(&self.origin);
        if numbers.clone().any(|x| !x.is_finite()) {
            return Err("lies at a place that is no number (the header's transform)".to_owned());
        }
        let spacing = self.spacing_mm();
        if spacing.iter().any(|distance| !(SPACING_MIN_MM..=SPACING_MAX_MM).contains(distance)) {
            return Err(format!(
                "has an impossible distance between voxels ({} mm), expected {SPACING_MIN_MM} to {SPACING_MAX_MM} mm",
                product(spacing)
            ));
        }
        for [a, b] in [[0, 1], [0, 2], [1, 2]] {
            let cosine = dot(self.steps[a], self.steps[b]) / (spacing[a] * spacing[b]);
            if cosine.abs() > SHARE {
                return Err(format!(
                    "has axes {} and {} that are not at right angles (a sheared transform, or a tilted gantry)",
                    a + 1,
                    b + 1
                ));
            }
        }
        Ok(())
    }

    fn at(&self, voxel: [f64; 3]) -> [f64; 3] {
        let along = |world: usize| (0..3).map(|axis| self.steps[axis][world] * voxel[axis]).sum::<f64>();
        [0, 1, 2].map(|world| self.origin[world] + along(world))
    }
}

impl Placement {
    /// Returns where voxels lie after a walk in `order`.
    pub(crate) fn ordered(&self, order: Order) -> Self {
        let mut first = [0.0; 3];
        let mut steps = [[0.0; 3]; 3];
        for (to, (&axis, &backwards)) in order.axes.iter().zip(&order.backwards).enumerate() {
            steps[to] = self.affine.steps[axis];
            if backwards {
                steps[to] = steps[to].map(|x| -x);
                first[axis] = number(self.shape[axis]) - 1.0;
            }
        }
        let affine = Affine { steps, origin: self.affine.at(first) };
        Self { shape: order.axes.map(|axis| self.shape[axis]), affine }
    }

    /// Returns the walk that brings a mask to its image's voxels, which are `self`.
    ///
    /// # Errors
    /// Says by what the mask lies elsewhere: size, spacing, direction or origin.
    pub(crate) fn walk_of(&self, mask: &Self) -> Result<Order, String> {
        let walks = Order::all().into_iter().map(|order| (order, mask.ordered(order)));
        let fitting = walks.filter(|(_, walked)| walked.shape == self.shape);
        let apart = fitting.map(|(order, walked)| (order, self.apart_mm(&walked)));
        let nearest = apart.min_by(|(_, a), (_, b)| a.total_cmp(b));
        let smallest_mm = self.affine.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
        match nearest {
            Some((order, apart_mm)) if apart_mm <= VOXEL_SHARE * smallest_mm => Ok(order),
            Some(_) | None => Err(self.difference(mask)),
        }
    }

    /// The largest distance between corresponding corners. Both maps are linear, so that no voxels are further apart.
    fn apart_mm(&self, other: &Self) -> f64 {
        let corners = (0..8).map(|corner| {
            [0, 1, 2].map(|axis| if corner >> axis & 1 == 1 { number(self.shape[axis]) - 1.0 } else { 0.0 })
        });
        let apart = corners.map(|corner| {
            let (a, b) = (self.affine.at(corner), other.affine.at(corner));
            length([a[0] - b[0], a[1] - b[1], a[2] - b[2]])
        });
        apart.fold(0.0, f64::max)
    }

    /// Says for people in what a mask differs, both in their closest anatomical orientation.
    fn difference(&self, mask: &Self) -> String {
        let anatomical = |placement: &Self| placement.ordered(placement.affine.orientation().0);
        let (image, mask) = (anatomical(self), anatomical(mask));
        let (sizes, of_mask) = (sizes(image.shape), sizes(mask.shape));
        if image.shape != mask.shape {
            return format!("is a mask of {of_mask}, expected {sizes}");
        }
        let (spacing, of_mask) = (image.affine.spacing_mm(), mask.affine.spacing_mm());
        let apart = spacing.iter().zip(of_mask).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
        if apart > SHARE {
            return format!(
                "is a mask with another spacing: {} mm, expected {} mm",
                product(of_mask),
                product(spacing)
            );
        }
        let cosines = (0..3).map(|axis| {
            dot(image.affine.steps[axis], mask.affine.steps[axis]) / (spacing[axis] * of_mask[axis])
        });
        let cosine = cosines.fold(1.0, f64::min);
        if cosine < COSINE_MIN {
            let degrees = libm::acos(cosine) * 180.0 / std::f64::consts::PI;
            return format!(
                "is a mask in another orientation: its axes are turned by up to {degrees:.1} degrees"
            );
        }
        let apart_mm = image.apart_mm(&mask);
        format!(
            "is a mask with another origin: its voxels lie up to {apart_mm:.3} mm from those of the image, expected \
             at most {VOXEL_SHARE} of a voxel"
        )
    }
}

impl Order {
    /// Returns all 48 orders.
    pub(crate) fn all() -> Vec<Self> {
        let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let flips = (0..8).map(|bits| [0, 1, 2].map(|axis| bits >> axis & 1 == 1));
        flips.flat_map(|backwards| permutations.map(|axes| Self { axes, backwards })).collect()
    }

    /// Returns the walk of `self` with its axes in another order.
    pub(crate) fn arranged(self, axes: [usize; 3]) -> Self {
        Self { axes: axes.map(|axis| self.axes[axis]), backwards: axes.map(|axis| self.backwards[axis]) }
    }

    /// Walks through values stored with the first axis fastest; the result is row-major, its last axis fastest.
    ///
    /// # Panics
    /// If there are not as many values as `shape` says.
    pub(crate) fn walk<T: Copy>(self, values: &[T], shape: [usize; 3]) -> Vec<T> {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "one value per voxel");
        let strides = [1, shape[0], shape[0] * shape[1]];
        let [slices, rows, columns] = [0, 1, 2].map(|to| {
            let (size, stride) = (shape[self.axes[to]], strides[self.axes[to]]);
            let backwards = self.backwards[to];
            (0..size).map(move |index| if backwards { size - 1 - index } else { index } * stride)
        });
        let mut walked = Vec::with_capacity(values.len());
        for slice in slices {
            for row in rows.clone() {
                walked.extend(columns.clone().map(|column| values[slice + row + column]));
            }
        }
        walked
    }
}

impl Orientation {
    /// Returns the walk that makes a file in this orientation run to the right, to the front and upwards.
    pub(crate) fn to_anatomical(self) -> Order {
        self.0
    }
}

impl FromStr for Orientation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Order::all().into_iter().map(Self).find(|orientation| orientation.to_string() == text);
        found.ok_or_else(|| {
            format!("{text:?} is no orientation, expected three letters as in RAS: R or L, A or P, S or I")
        })
    }
}

impl TryFrom<String> for Orientation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Orientation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in 0..3 {
            let world = self.0.axes.iter().position(|&axis| axis == file);
            let world = world.expect("each axis is there once");
            let letters = ["RL", "AP", "SI"][world];
            let letter = usize::from(self.0.backwards[world]);
            f.write_str(&letters[letter..=letter])?;
        }
        Ok(())
    }
}

/// Writes a size for people.
pub(crate) fn sizes([a, b, c]: [usize; 3]) -> String {
    format!("{a} x {b} x {c} voxels")
}

fn product([a, b, c]: [f64; 3]) -> String {
    // Six digits are what other programs write.
    let digits = |x: f64| (x * 1e6).round() / 1e6;
    format!("{} x {} x {}", digits(a), digits(b), digits(c))
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn length(step: [f64; 3]) -> f64 {
    dot(step, step).sqrt()
}

#[expect(clippy::cast_precision_loss, reason = "sizes of volumes are far below 2^52")]
fn number(size: usize) -> f64 {
    size as f64
}

/// One part in a hundred: how far spacings may differ and axes be from right angles (0.6 degrees).
pub(crate) const SHARE: f64 = 0.01;

/// How far voxels of image and mask may lie apart, in voxels: five times below where the nearest voxel would be another
/// one, and far above what other programs lose by rounding (the sixth digit, or quaternions in single precision).
const VOXEL_SHARE: f64 = 0.1;

/// A turn by a third of a degree, for words alone.
const COSINE_MIN: f64 = 0.999_98;

/// Between a nanometre and ten centimetres: a header with a wrong unit is beyond.
const SPACING_MIN_MM: f64 = 1e-6;
const SPACING_MAX_MM: f64 = 100.0;

#[cfg(test)]
mod tests;
