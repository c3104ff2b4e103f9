//! NIfTI-1 single files, plain or gzipped, with one 3-D volume.
//!
//! Sizes are checked before anything is allocated, and a compressed stream is read only as far as its
//! header says, so that no file can make the reader use more than [`VOXELS_MAX`] allows.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use nifti::{Endianness, NiftiHeader, NiftiType, Unit};

use crate::error::CohortError;

/// What a volume's header says, checked.
#[derive(Debug, Clone)]
pub(crate) struct VolumeHeader {
    /// Voxels along the file's three axes; the first varies fastest.
    pub shape: [usize; 3],
    /// The distance between neighbouring voxels along each axis, in millimetres.
    pub spacing_mm: [f64; 3],
    raw: NiftiHeader,
    datatype: NiftiType,
    decode: Decode,
}

/// Opens the volume at `file` and reads its header; what follows in the stream are the voxels.
pub(crate) fn open(file: &Path) -> Result<(VolumeHeader, impl Read), CohortError> {
    let opened = BufReader::new(File::open(file).map_err(CohortError::storage(file))?);
    let is_gz = file.extension().is_some_and(|extension| extension == "gz");
    let mut stream: Box<dyn Read> =
        if is_gz { Box::new(MultiGzDecoder::new(opened)) } else { Box::new(opened) };
    let header = read_header(&mut stream).map_err(|message| CohortError::file(file, message))?;
    Ok((header, stream))
}

/// Reads all voxels in the file's order, scaled as the header says.
pub(crate) fn read(file: &Path) -> Result<(VolumeHeader, Vec<f32>), CohortError> {
    let (header, mut stream) = open(file)?;
    let voxels = read_voxels(&header, &mut stream).map_err(|message| CohortError::file(file, message))?;
    Ok((header, voxels))
}

fn read_header(stream: &mut dyn Read) -> Result<VolumeHeader, String> {
    let mut bytes = [0; HEADER_BYTES];
    stream.read_exact(&mut bytes).map_err(|e| format!("is cut off in the header ({e})"))?;
    let raw = NiftiHeader::from_reader(bytes.as_slice()).map_err(|e| format!("is no NIfTI-1 file ({e})"))?;
    if &raw.magic != b"n+1\0" {
        return Err("keeps its voxels in another file, expected one file for both".to_owned());
    }
    let sizes = raw.dim().map_err(|e| format!("has impossible dimensions ({e})"))?;
    let [a, b, c, rest @ ..] = sizes else {
        return Err(format!("has {} dimensions, expected 3", sizes.len()));
    };
    if rest.iter().any(|&size| size != 1) {
        return Err(format!("has {} dimensions, expected 3", sizes.len()));
    }
    // The standard's sizes are signed; `nifti` reads -1 as 65535.
    if sizes.iter().any(|&size| i16::try_from(size).is_err()) {
        return Err("has impossible dimensions (a negative size)".to_owned());
    }
    let shape = [a, b, c].map(|&size| usize::from(size));
    if shape.iter().product::<usize>() > VOXELS_MAX {
        return Err(format!("has {a} x {b} x {c} voxels, expected at most {VOXELS_MAX}"));
    }
    let datatype = raw.data_type().map_err(|e| format!("has voxels of an unknown type ({e})"))?;
    let decode = decoder(datatype).ok_or_else(|| {
        format!("has voxels of type {datatype:?}, expected uint8, int16, uint16, float32 or float64")
    })?;
    if usize::try_from(raw.bitpix) != Ok(8 * datatype.size_of()) {
        return Err(format!("has voxels of type {datatype:?} in {} bits", raw.bitpix));
    }
    let spacing_mm = spacing_mm(&raw)?;
    // From 348 (with nothing between) to what extensions can reasonably take.
    let offset_is_possible = raw.vox_offset >= 348.0 && raw.vox_offset <= 1e6;
    if !offset_is_possible {
        return Err("says that its voxels begin at an impossible place".to_owned());
    }
    skip(stream, &raw)?;
    Ok(VolumeHeader { shape, spacing_mm, raw, datatype, decode })
}

/// Skips extensions up to the voxels.
fn skip(stream: &mut dyn Read, raw: &NiftiHeader) -> Result<(), String> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the caller checked the range"
    )]
    let extensions = raw.vox_offset as u64 - HEADER_BYTES as u64;
    let skipped = std::io::copy(&mut stream.take(extensions), &mut std::io::sink());
    match skipped {
        Ok(bytes) if bytes == extensions => Ok(()),
        Ok(_) => Err("is cut off before its voxels".to_owned()),
        Err(e) => Err(format!("cannot be read before its voxels ({e})")),
    }
}

fn spacing_mm(raw: &NiftiHeader) -> Result<[f64; 3], String> {
    let unit_mm = match raw.xyzt_to_space() {
        Ok(Unit::Meter) => 1e3,
        Ok(Unit::Micron) => 1e-3,
        // Files in the field leave the unit open and mean millimetres.
        _ => 1.0,
    };
    let spacing =
        [raw.pixdim[1], raw.pixdim[2], raw.pixdim[3]].map(|distance| f64::from(distance.abs()) * unit_mm);
    if spacing.iter().all(|distance| distance.is_finite() && *distance > 0.0) {
        Ok(spacing)
    } else {
        Err("has an impossible distance between voxels (pixdim)".to_owned())
    }
}

/// Reads the voxels. Written out here because `nifti`'s own reader takes the number of bytes from
/// `bitpix` alone and would return another number of voxels, or reserve memory without bound.
fn read_voxels(header: &VolumeHeader, stream: &mut dyn Read) -> Result<Vec<f32>, String> {
    let bytes = header.shape.iter().product::<usize>() * header.datatype.size_of();
    let mut stored = Vec::new();
    // One byte more meets the end, where a compressed stream's checksum is compared.
    let read = stream.take(bytes as u64 + 1).read_to_end(&mut stored);
    read.map_err(|e| format!("is broken in its voxels ({e})"))?;
    match stored.len().cmp(&bytes) {
        Ordering::Less => Err("is cut off in its voxels".to_owned()),
        Ordering::Equal => Ok((header.decode)(&header.raw, &stored)),
        Ordering::Greater => Err("goes on after its voxels".to_owned()),
    }
}

type Decode = fn(&NiftiHeader, &[u8]) -> Vec<f32>;

fn decoder(datatype: NiftiType) -> Option<Decode> {
    match datatype {
        NiftiType::Uint8 => Some(|raw, stored| decode(raw, stored, |[x]| f64::from(x))),
        NiftiType::Int16 => Some(|raw, stored| decode(raw, stored, |x| i16::from_le_bytes(x).into())),
        NiftiType::Uint16 => Some(|raw, stored| decode(raw, stored, |x| u16::from_le_bytes(x).into())),
        NiftiType::Float32 => Some(|raw, stored| decode(raw, stored, |x| f32::from_le_bytes(x).into())),
        NiftiType::Float64 => Some(|raw, stored| decode(raw, stored, f64::from_le_bytes)),
        _ => None,
    }
}

/// Decodes stored voxels in the file's byte order and scales them as the header says.
fn decode<const N: usize>(raw: &NiftiHeader, stored: &[u8], from_le: impl Fn([u8; N]) -> f64) -> Vec<f32> {
    let (slope, intercept) = (f64::from(raw.scl_slope), f64::from(raw.scl_inter));
    // NIfTI-1: a slope of 0 means that the stored values are the values.
    let is_scaled = slope.is_finite() && intercept.is_finite() && slope != 0.0;
    let (slope, intercept) = if is_scaled { (slope, intercept) } else { (1.0, 0.0) };
    let (voxels, _) = stored.as_chunks::<N>();
    let value = |mut bytes: [u8; N]| {
        if raw.endianness == Endianness::Big {
            bytes.reverse();
        }
        from_le(bytes) * slope + intercept
    };
    #[expect(clippy::cast_possible_truncation, reason = "intensities need no more than single precision")]
    let values = voxels.iter().map(|&bytes| value(bytes) as f32).collect();
    values
}

/// The header's fixed length.
const HEADER_BYTES: usize = 348;

/// The most voxels of one volume: 400 x 400 x 400, above any clinical scan at 1 mm.
const VOXELS_MAX: usize = 64_000_000;
