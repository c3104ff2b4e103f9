//! NIfTI files with header and voxels in one, plain or gzipped, with one 3-D volume.
//!
//! Sizes are checked before anything is allocated, and a compressed stream is read only as far as its
//! header says, so that no file can make the reader use more than [`VOXELS_MAX`] allows.
//!
//! [`VOXELS_MAX`]: crate::image::nifti_header::VOXELS_MAX

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::error::CohortError;
use crate::image::nifti_header::{HEADER_BYTES_MAX, Header, Kind};
use crate::packed::{Unpacked, reason};

/// A volume as it is stored.
pub(crate) struct Volume {
    pub header: Header,
    /// In the file's order and bytes.
    stored: Vec<u8>,
}

/// Reads the header of the volume at `file`.
pub(crate) fn read_header(file: &Path) -> Result<Header, CohortError> {
    open(file).map(|opened| opened.header)
}

/// Reads the volume at `file`.
pub(crate) fn read(file: &Path) -> Result<Volume, CohortError> {
    let Opened { header, begun, mut rest } = open(file)?;
    let stored = read_voxels(&header, &begun, &mut rest);
    let stored = stored.map_err(|message| CohortError::file(file, message))?;
    Ok(Volume { header, stored })
}

impl Volume {
    /// Returns what `map` makes of each voxel's value, in the file's order.
    pub(crate) fn map<T>(&self, map: impl Fn(f64) -> T) -> Vec<T> {
        let mut mapped = Vec::with_capacity(self.header.shape.iter().product());
        self.each(|value| mapped.push(map(value)));
        mapped
    }

    /// Shows each voxel's value, scaled as the header says, in the file's order.
    pub(crate) fn each(&self, visit: impl FnMut(f64)) {
        match self.header.kind {
            Kind::Uint8 => self.decode(|[x]| x.into(), visit),
            Kind::Int8 => self.decode(|x| i8::from_le_bytes(x).into(), visit),
            Kind::Uint16 => self.decode(|x| u16::from_le_bytes(x).into(), visit),
            Kind::Int16 => self.decode(|x| i16::from_le_bytes(x).into(), visit),
            Kind::Uint32 => self.decode(|x| u32::from_le_bytes(x).into(), visit),
            Kind::Int32 => self.decode(|x| i32::from_le_bytes(x).into(), visit),
            Kind::Uint64 => self.decode(|x| u64::from_le_bytes(x) as f64, visit),
            Kind::Int64 => self.decode(|x| i64::from_le_bytes(x) as f64, visit),
            Kind::Float32 => self.decode(|x| f32::from_le_bytes(x).into(), visit),
            Kind::Float64 => self.decode(f64::from_le_bytes, visit),
        }
    }

    fn decode<const N: usize>(&self, from_le: impl Fn([u8; N]) -> f64, visit: impl FnMut(f64)) {
        let (voxels, _) = self.stored.as_chunks::<N>();
        let values = voxels.iter().map(|&bytes| {
            let mut bytes = bytes;
            if self.header.big_endian {
                bytes.reverse();
            }
            let stored = from_le(bytes);
            self.header.scaling.map_or(stored, |scaling| stored * scaling.slope + scaling.intercept)
        });
        values.for_each(visit);
    }
}

/// A file whose header was read.
struct Opened {
    header: Header,
    /// The uncompressed bytes that were read for it, some of which may be voxels.
    begun: Vec<u8>,
    rest: Unpacked<BufReader<File>>,
}

fn open(file: &Path) -> Result<Opened, CohortError> {
    let refuse = |message: String| CohortError::file(file, message);
    let opened = BufReader::new(File::open(file).map_err(CohortError::storage(file))?);
    let mut rest = Unpacked::new(opened).map_err(CohortError::storage(file))?;
    let mut begun = Vec::new();
    let read = rest.by_ref().take(HEADER_BYTES_MAX as u64).read_to_end(&mut begun);
    read.map_err(|e| refuse(format!("cannot be read in its header ({})", reason(&e))))?;
    let header = Header::parse(&begun).map_err(refuse)?;
    Ok(Opened { header, begun, rest })
}

fn read_voxels(header: &Header, begun: &[u8], stream: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut stream = begun.chain(stream);
    let before = std::io::copy(&mut stream.by_ref().take(header.voxels_at), &mut std::io::sink());
    match before {
        Ok(bytes) if bytes == header.voxels_at => (),
        Ok(_) => return Err("is cut off before its voxels".to_owned()),
        Err(e) => return Err(format!("cannot be read before its voxels ({})", reason(&e))),
    }
    let bytes = header.shape.iter().product::<usize>() * header.kind.bytes();
    let mut stored = Vec::new();
    let read = stream.by_ref().take(bytes as u64).read_to_end(&mut stored);
    read.map_err(|e| format!("is damaged in its voxels ({})", reason(&e)))?;
    if stored.len() < bytes {
        return Err("is cut off in its voxels".to_owned());
    }
    end(&mut stream)?;
    Ok(stored)
}

/// Reads up to the end, where a compressed stream's checksum is compared: zeros that fill a block, and nothing else.
fn end(stream: &mut impl Read) -> Result<(), String> {
    let mut rest = Vec::new();
    let read = stream.take(PADDING_MAX + 1).read_to_end(&mut rest);
    read.map_err(|e| format!("is damaged at its end ({})", reason(&e)))?;
    if rest.len() as u64 > PADDING_MAX || rest.iter().any(|&byte| byte != 0) {
        return Err("goes on after its voxels".to_owned());
    }
    Ok(())
}

/// Zeros behind the voxels: less than one block of a tape.
const PADDING_MAX: u64 = 10_240;
