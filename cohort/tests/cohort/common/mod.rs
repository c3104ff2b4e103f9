//! What several of the tests share.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fedtwin_cohort::{CohortError, CohortFile};
use fedtwin_plan::cohort_need::{DataNeed, ImageNeed};
use fedtwin_plan::record::{Records, TableRecord, VolumeRecord};
use parquet::basic::{LogicalType, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

/// A folder with a cohort file and what it names, removed on drop.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Loads `text` as the cohort file.
    pub(crate) fn cohort(&self, text: &str) -> Result<CohortFile, CohortError> {
        self.write("cohort.toml", text);
        CohortFile::load(&self.path("cohort.toml"))
    }

    /// Renders an error with its causes, the folder's own name left out.
    pub(crate) fn message(&self, error: &dyn Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            write!(text, ": {error}").unwrap();
            cause = error.source();
        }
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/cohorts").join(name)
}

pub(crate) fn image_need(height: i64, width: i64) -> DataNeed {
    DataNeed::Images(ImageNeed {
        height: height.try_into().unwrap(),
        width: width.try_into().unwrap(),
        slices_per_patient: 4.try_into().unwrap(),
        coordinates: false,
        tiles: false,
    })
}

pub(crate) fn rows(records: Records) -> Vec<TableRecord> {
    match records {
        Records::Table(rows) => rows,
        Records::Volumes(_) => panic!("expected a table"),
    }
}

pub(crate) fn volumes(records: Records) -> Vec<VolumeRecord> {
    match records {
        Records::Volumes(volumes) => volumes,
        Records::Table(_) => panic!("expected volumes"),
    }
}

/// A NIfTI-1 file as the standard lays it out (nifti1.h): 348 bytes, 4 without extensions, voxels.
#[derive(Clone)]
pub(crate) struct Nifti {
    pub dim: [i16; 8],
    pub datatype: i16,
    pub pixdim: [f32; 8],
    pub slope: f32,
    pub intercept: f32,
    /// Three rows of the affine map, and its code.
    pub sform: Option<(i16, [[f32; 4]; 3])>,
    /// The quaternion's b, c and d, and the first voxel's place. Of zeros: axes to the right, to the front and upwards.
    pub qform: Option<[f32; 6]>,
    /// 1 are metres, 2 millimetres, 3 micrometres.
    pub unit: u8,
    /// Whole extensions between header and voxels.
    pub extension: Vec<u8>,
    pub voxels: Vec<u8>,
}

impl Nifti {
    pub(crate) fn uint8(shape: [i16; 3], voxels: Vec<u8>) -> Self {
        let [a, b, c] = shape;
        let pixdim = [1.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0];
        Self {
            dim: [3, a, b, c, 1, 1, 1, 1],
            datatype: 2,
            pixdim,
            slope: 1.0,
            intercept: 0.0,
            sform: None,
            qform: Some([0.0; 6]),
            unit: 2,
            extension: Vec::new(),
            voxels,
        }
    }

    pub(crate) fn float32(shape: [i16; 3], voxels: &[f32]) -> Self {
        let bytes = voxels.iter().flat_map(|x| x.to_le_bytes()).collect();
        Self { datatype: 16, ..Self::uint8(shape, bytes) }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 352];
        bytes[..4].copy_from_slice(&348_i32.to_le_bytes());
        for (index, size) in self.dim.iter().enumerate() {
            bytes[40 + 2 * index..][..2].copy_from_slice(&size.to_le_bytes());
        }
        bytes[70..72].copy_from_slice(&self.datatype.to_le_bytes());
        let bits: i16 = match self.datatype {
            2 | 256 => 8,
            4 | 512 => 16,
            8 | 16 | 768 => 32,
            32 | 64 | 1024 | 1280 => 64,
            _ => 0,
        };
        bytes[72..74].copy_from_slice(&bits.to_le_bytes());
        for (index, distance) in self.pixdim.iter().enumerate() {
            bytes[76 + 4 * index..][..4].copy_from_slice(&distance.to_le_bytes());
        }
        let mut put = |at: usize, number: f32| bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        put(108, 352.0 + self.extension.len() as f32);
        let rows = self.sform.map_or([[0.0; 4]; 3], |(_, rows)| rows);
        rows.as_flattened().iter().enumerate().for_each(|(i, &x)| put(280 + 4 * i, x));
        self.qform.unwrap_or_default().iter().enumerate().for_each(|(i, &x)| put(256 + 4 * i, x));
        bytes[123] = self.unit;
        bytes[252..254].copy_from_slice(&i16::from(self.qform.is_some()).to_le_bytes());
        bytes[254..256].copy_from_slice(&self.sform.map_or(0, |(code, _)| code).to_le_bytes());
        bytes[348] = u8::from(!self.extension.is_empty());
        bytes[112..116].copy_from_slice(&self.slope.to_le_bytes());
        bytes[116..120].copy_from_slice(&self.intercept.to_le_bytes());
        bytes[344..348].copy_from_slice(b"n+1\0");
        bytes.extend(&self.extension);
        bytes.extend(&self.voxels);
        bytes
    }
}

pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes a Parquet file of texts, in two row groups, in which the empty text is null.
pub(crate) fn parquet(columns: &[&str], rows: &[Vec<&str>]) -> Vec<u8> {
    let fields = columns.iter().map(|name| {
        let text = Type::primitive_type_builder(name, PhysicalType::BYTE_ARRAY);
        Arc::new(text.with_logical_type(Some(LogicalType::String)).build().unwrap())
    });
    let schema = Type::group_type_builder("rows").with_fields(fields.collect()).build().unwrap();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::default()).unwrap();
    for rows in rows.chunks(rows.len().div_ceil(2).max(1)) {
        let mut group = writer.next_row_group().unwrap();
        for at in 0..columns.len() {
            let texts: Vec<_> = rows.iter().map(|row| row[at]).collect();
            let levels: Vec<_> = texts.iter().map(|text| i16::from(!text.is_empty())).collect();
            let values: Vec<_> =
                texts.into_iter().filter(|text| !text.is_empty()).map(ByteArray::from).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

/// Returns the folder of real data, or says that the calling test is skipped; an empty variable names none.
#[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
pub(crate) fn data_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("FEDTWIN_DATA").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        println!("skipped: FEDTWIN_DATA names no folder with the real data sets");
    }
    folder.map(PathBuf::from)
}
