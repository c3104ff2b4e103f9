//! What the header of a NIfTI file says, of version 1 or 2, in either byte order.
//!
//! Fields are read by their places in nifti1.h and nifti2.h. Left out on purpose: everything that neither says which
//! voxels there are nor where they lie. Rules in which other programs differ are in docs/DATA.md.

use crate::image::geometry::{Affine, Orientation, SHARE, sizes};

/// What a header says, checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    /// Voxels along the file's three axes; the first varies fastest.
    pub shape: [usize; 3],
    /// How a voxel is stored.
    pub kind: Kind,
    /// What turns stored values into values, where the header says so.
    pub scaling: Option<Scaling>,
    /// Bytes of the file before its voxels.
    pub voxels_at: u64,
    pub big_endian: bool,
    /// Where the voxels lie; without it, the header states only their distances.
    pub affine: Option<Affine>,
    spacing_mm: [f64; 3],
}

/// How a voxel is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Uint8,
    Int8,
    Uint16,
    Int16,
    Uint32,
    Int32,
    Uint64,
    Int64,
    Float32,
    Float64,
}

/// A value is the stored one times the slope, plus the intercept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scaling {
    pub slope: f64,
    pub intercept: f64,
}

impl Header {
    /// Reads the header at the beginning of `bytes`, of which there are [`HEADER_BYTES_MAX`] or the whole file.
    ///
    /// # Errors
    /// Says what the file is instead, or which field is impossible.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let fields = Fields::of(bytes)?;
        let shape = fields.shape()?;
        let kind =
            Kind::of(fields.short(fields.version.at(70, 12)), fields.short(fields.version.at(72, 14)))?;
        let spacing_mm = [1, 2, 3].map(|axis| (fields.pixdim(axis) * fields.unit_mm()).abs());
        Ok(Self {
            shape,
            kind,
            scaling: fields.scaling()?,
            voxels_at: fields.voxels_at()?,
            big_endian: fields.big_endian,
            affine: fields.affine(spacing_mm)?,
            spacing_mm,
        })
    }

    /// Returns where the voxels lie; `unstated` is the orientation of files that do not say.
    pub(crate) fn place(&self, unstated: Option<Orientation>) -> Result<Affine, String> {
        let affine = match (self.affine, unstated) {
            (Some(affine), _) => affine,
            (None, Some(orientation)) => Affine::unstated(orientation, self.spacing_mm),
            (None, None) => {
                return Err("states no orientation (qform_code and sform_code are 0), so that left and right are \
                            unknown: write one into the file, or say whereto its axes run in the cohort file, as in \
                            unstated_orientation = \"RAS\""
                    .to_owned());
            }
        };
        affine.check().map(|()| affine)
    }
}

impl Kind {
    /// Returns how many bytes a voxel has.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Uint8 | Self::Int8 => 1,
            Self::Uint16 | Self::Int16 => 2,
            Self::Uint32 | Self::Int32 | Self::Float32 => 4,
            Self::Uint64 | Self::Int64 | Self::Float64 => 8,
        }
    }

    fn of(code: i16, bits: i16) -> Result<Self, String> {
        let refuse = |what: &str| Err(format!("has {what} (datatype {code}), expected one number per voxel"));
        let kind = match code {
            2 => Self::Uint8,
            4 => Self::Int16,
            8 => Self::Int32,
            16 => Self::Float32,
            64 => Self::Float64,
            256 => Self::Int8,
            512 => Self::Uint16,
            768 => Self::Uint32,
            1024 => Self::Int64,
            1280 => Self::Uint64,
            1 => return refuse("voxels of single bits"),
            32 | 1792 | 2048 => return refuse("complex voxels"),
            128 | 2304 => return refuse("voxels in colour"),
            1536 => return refuse("voxels of 128-bit numbers"),
            _ => return refuse("voxels of an unknown type"),
        };
        if usize::try_from(bits) != Ok(8 * kind.bytes()) {
            return Err(format!("has voxels of type {kind:?} in {bits} bits"));
        }
        Ok(kind)
    }
}

/// The two versions of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// Chooses a field's place.
    fn at(self, one: usize, two: usize) -> usize {
        match self {
            Self::One => one,
            Self::Two => two,
        }
    }
}

/// A header's bytes with a number's width and order.
struct Fields<'a> {
    bytes: &'a [u8],
    version: Version,
    big_endian: bool,
}

impl<'a> Fields<'a> {
    /// Recognises version and byte order by the length that the header begins with.
    fn of(bytes: &'a [u8]) -> Result<Self, String> {
        let Some(first) = bytes.first_chunk::<4>() else {
            return Err("is cut off in the header".to_owned());
        };
        let (version, big_endian) = match (i32::from_le_bytes(*first), i32::from_be_bytes(*first)) {
            (348, _) => (Version::One, false),
            (_, 348) => (Version::One, true),
            (540, _) => (Version::Two, false),
            (_, 540) => (Version::Two, true),
            (_, _) => return Err("is no NIfTI file (it does not begin with a header's length)".to_owned()),
        };
        let (length, magic_at, magic) = match version {
            Version::One => (348, 344, &b"n+1\0"[..]),
            Version::Two => (540, 4, &b"n+2\0\r\n\x1a\n"[..]),
        };
        let Some(bytes) = bytes.get(..length) else {
            return Err("is cut off in the header".to_owned());
        };
        let found = &bytes[magic_at..magic_at + magic.len()];
        match found {
            _ if found == magic => Ok(Self { bytes, version, big_endian }),
            [b'n', b'i', b'1' | b'2', 0, ..] => {
                Err("keeps its voxels in another file (.hdr and .img), expected one file for both".to_owned())
            }
            [0 | b' ', ..] if version == Version::One => {
                Err("is an ANALYZE 7.5 header, which does not say where \
                                                              left is: convert it to NIfTI"
                    .to_owned())
            }
            _ => Err("is no NIfTI file (its magic word is damaged)".to_owned()),
        }
    }

    fn chunk<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut chunk: [u8; N] =
            self.bytes[at..at + N].try_into().expect("fields lie within the header's length");
        if self.big_endian {
            chunk.reverse();
        }
        chunk
    }

    fn short(&self, at: usize) -> i16 {
        i16::from_le_bytes(self.chunk(at))
    }

    /// Reads a number that is 32 bits wide in version 1 and 64 bits in version 2.
    fn float(&self, at: usize) -> f64 {
        match self.version {
            Version::One => f32::from_le_bytes(self.chunk(at)).into(),
            Version::Two => f64::from_le_bytes(self.chunk(at)),
        }
    }

    fn floats<const N: usize>(&self, one: usize, two: usize) -> [f64; N] {
        let (start, width) = (self.version.at(one, two), self.version.at(4, 8));
        std::array::from_fn(|index| self.float(start + index * width))
    }

    /// Reads a code that is 16 bits wide in version 1 and 32 bits in version 2.
    fn code(&self, one: usize, two: usize) -> i32 {
        match self.version {
            Version::One => self.short(one).into(),
            Version::Two => i32::from_le_bytes(self.chunk(two)),
        }
    }

    fn pixdim(&self, index: usize) -> f64 {
        let [pixdim] = self.floats(76 + 4 * index, 104 + 8 * index);
        pixdim
    }

    fn shape(&self) -> Result<[usize; 3], String> {
        let dim: [i64; 8] = std::array::from_fn(|index| match self.version {
            Version::One => self.short(40 + 2 * index).into(),
            Version::Two => i64::from_le_bytes(self.chunk(16 + 8 * index)),
        });
        let count = usize::try_from(dim[0]).ok().filter(|count| (1..=7).contains(count));
        let count = count.ok_or_else(|| format!("has impossible dimensions ({} of them)", dim[0]))?;
        let dimensions = &dim[1..=count];
        if dimensions.iter().any(|&size| size < 1) {
            return Err("has impossible dimensions (a size below 1)".to_owned());
        }
        // One volume of a series is a volume; a series is not one patient's image.
        let [a, b, c, rest @ ..] = dimensions else {
            return Err(format!("has {count} dimensions, expected 3"));
        };
        if rest.iter().any(|&size| size != 1) {
            let volumes = rest.iter().fold(1_i64, |product, &size| product.saturating_mul(size));
            return Err(format!("has {count} dimensions ({volumes} volumes), expected 3"));
        }
        let shape = [a, b, c].map(|&size| usize::try_from(size).unwrap_or(usize::MAX));
        let voxels = shape.iter().fold(1_usize, |product, &size| product.saturating_mul(size));
        if voxels > VOXELS_MAX {
            return Err(format!("has {}, expected at most {VOXELS_MAX}", sizes(shape)));
        }
        Ok(shape)
    }

    /// A slope of 0 or none means the stored values (nifti1.h, "DATA SCALING"), whatever the intercept.
    fn scaling(&self) -> Result<Option<Scaling>, String> {
        let [slope, intercept] = self.floats(112, 176);
        if slope == 0.0 || !slope.is_finite() {
            return Ok(None);
        }
        if !intercept.is_finite() {
            return Err("scales its voxels by an intercept that is no number (scl_inter)".to_owned());
        }
        let is_identity = (slope - 1.0).abs() == 0.0 && intercept == 0.0;
        Ok((!is_identity).then_some(Scaling { slope, intercept }))
    }

    fn voxels_at(&self) -> Result<u64, String> {
        let header = self.bytes.len() as u64;
        let at = match self.version {
            Version::One => {
                let [at] = self.floats(108, 108);
                // A 32-bit float has whole numbers alone from 2^24 on: no check of the fraction would be true.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
                let whole = ((0.0..1e18).contains(&at) && at.fract() == 0.0).then_some(at as u64);
                whole
            }
            Version::Two => u64::try_from(i64::from_le_bytes(self.chunk(168))).ok(),
        };
        match at {
            Some(at) if at < header => Err("says that its voxels begin within the header".to_owned()),
            None => Err("says that its voxels begin at an impossible place (vox_offset)".to_owned()),
            Some(at) if at - header > EXTENSIONS_MAX => Err(format!(
                "has {} bytes of header extensions before its voxels, expected at most {EXTENSIONS_MAX}",
                at - header
            )),
            Some(at) => Ok(at),
        }
    }

    /// Metres and micrometres become millimetres; files that leave the unit open mean millimetres.
    fn unit_mm(&self) -> f64 {
        let code = match self.version {
            Version::One => i32::from(self.bytes[123]),
            Version::Two => i32::from_le_bytes(self.chunk(500)),
        };
        match code & 0o7 {
            1 => 1e3,
            3 => 1e-3,
            _ => 1.0,
        }
    }

    /// Returns the transform in force: the sform where its code says that there is one, otherwise the qform.
    fn affine(&self, spacing_mm: [f64; 3]) -> Result<Option<Affine>, String> {
        let sform = (self.code(254, 348) > 0).then(|| self.sform());
        let qform = (self.code(252, 344) > 0).then(|| self.qform(spacing_mm)).transpose()?;
        if let (Some(sform), Some(qform)) = (&sform, &qform) {
            sform.check()?;
            let apart = sform.spacing_mm().into_iter().zip(spacing_mm).map(|(a, b)| (a / b - 1.0).abs());
            if apart.fold(0.0, f64::max) > SHARE {
                return Err(format!(
                    "states two distances between voxels: {:?} mm by its sform and {spacing_mm:?} mm by its qform \
                     and pixdim: correct the wrong one",
                    sform.spacing_mm()
                ));
            }
            if sform.turned_from(qform) > TURN_MAX {
                return Err(format!(
                    "states two orientations: {} by its sform and {} by its qform: correct the wrong one",
                    sform.orientation(),
                    qform.orientation()
                ));
            }
        }
        Ok(sform.or(qform))
    }

    fn sform(&self) -> Affine {
        let unit_mm = self.unit_mm();
        let rows: [f64; 12] = self.floats(280, 400);
        let rows = rows.map(|x| x * unit_mm);
        let at = |world: usize, axis: usize| rows[4 * world + axis];
        Affine {
            steps: [0, 1, 2].map(|axis| [0, 1, 2].map(|world| at(world, axis))),
            origin: [0, 1, 2].map(|world| at(world, 3)),
        }
    }

    /// The rotation of a unit quaternion (nifti1.h, "QUATERNION REPRESENTATION OF ROTATION MATRIX").
    fn qform(&self, spacing_mm: [f64; 3]) -> Result<Affine, String> {
        let [mut b, mut c, mut d, x, y, z] = self.floats(256, 352);
        let squares = b * b + c * c + d * d;
        if squares.is_nan() || squares > 1.0 + SHARE {
            return Err(
                "has an impossible rotation (quatern_b, quatern_c and quatern_d of its qform)".to_owned()
            );
        }
        let mut a = (1.0 - squares).max(0.0).sqrt();
        if squares > 1.0 - 1e-7 {
            // A half turn, whose real part is below single precision.
            (a, b, c, d) = (0.0, b / squares.sqrt(), c / squares.sqrt(), d / squares.sqrt());
        }
        let rotation = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ];
        let handed = if self.pixdim(0) < 0.0 { -1.0 } else { 1.0 };
        let signs = [1.0, 1.0, handed];
        let step =
            |axis: usize| [0, 1, 2].map(|world| rotation[world][axis] * spacing_mm[axis] * signs[axis]);
        let affine =
            Affine { steps: [0, 1, 2].map(step), origin: [x, y, z].map(|offset| offset * self.unit_mm()) };
        affine.check().map(|()| affine)
    }
}

/// The length of the longer header, that of NIfTI-2.
pub(crate) const HEADER_BYTES_MAX: usize = 540;

/// The most voxels of one volume: 400 x 400 x 400, above any clinical scan at 1 mm.
pub(crate) const VOXELS_MAX: usize = 64_000_000;

/// The most bytes of header extensions: XML of surface and connectivity files takes some ten megabytes.
const EXTENSIONS_MAX: u64 = 64 << 20;

/// Degrees by which sform and qform of one file may be turned against each other: a registration turns a head by less, and
/// axes that are swapped or flipped are apart by 90 or more.
const TURN_MAX: f64 = 45.0;
