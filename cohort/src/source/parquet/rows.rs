//! The rows of a file, from one row group after the other.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};

use super::guard::guarded;
use super::kind::kind;
use super::pages::{Pages, Source};
use super::values::ColumnValues;
use crate::error::CohortError;
use crate::table::column::Column;
use crate::table::row::{Row, Rows};
use crate::table::sheet::column;
use crate::table::text::trimmed;

/// The rows still to come, which a thread of their own unpacks while those before are read.
pub(super) struct GroupRows {
    /// Nothing once all were received, or one is refused.
    pieces: Option<Receiver<Unpacked>>,
    unpacking: Option<JoinHandle<()>>,
    /// The piece that is read now, and the place in it of the row that was read last.
    piece: Piece,
    nth: usize,
    /// The row that was read last, counted from 1.
    row: u64,
}

/// Some rows of each column that is used, in the order of [`Groups::used`].
#[derive(Default)]
struct Piece {
    columns: Vec<Column>,
    rows: usize,
}

type Unpacked = std::result::Result<Piece, CohortError>;

/// The row groups of a file.
struct Groups {
    file: PathBuf,
    source: Arc<Source>,
    metadata: ParquetMetaData,
    used: Vec<Used>,
    /// The row group that is read now or next, and its rows that are in no piece yet.
    group: usize,
    left: usize,
}

/// A column that is used.
struct Used {
    name: String,
    /// Its place among the columns of each row group.
    at: usize,
    values: ColumnValues,
    reader: Option<ColumnReader>,
}

impl GroupRows {
    /// Opens a file, of which `columns` are used.
    pub(super) fn open(file: &Path, columns: &[String]) -> std::result::Result<Self, CohortError> {
        let opened = File::open(file).map_err(CohortError::storage(file))?;
        let source = Source::of_file(opened).map_err(CohortError::storage(file))?;
        Self::of(file, source, columns)
    }

    /// Reads a source, for which `file` stands in messages.
    pub(super) fn of(
        file: &Path,
        source: Source,
        names: &[String],
    ) -> std::result::Result<Self, CohortError> {
        let groups = Groups::new(file, source, names)?;
        let (sender, pieces) = sync_channel(PIECES_AHEAD);
        let unpack = move || groups.send_to(&sender);
        let unpacking = thread::Builder::new().name("parquet".to_owned()).spawn(unpack);
        let unpacking = Some(unpacking.map_err(CohortError::storage(file))?);
        Ok(Self { pieces: Some(pieces), unpacking, piece: Piece::default(), nth: 0, row: 0 })
    }
}

impl Rows for GroupRows {
    fn advance(&mut self) -> std::result::Result<bool, CohortError> {
        self.nth += 1;
        if self.nth >= self.piece.rows {
            let received = self.pieces.as_ref().and_then(|pieces| pieces.recv().ok());
            let Some(Ok(piece)) = received else {
                self.pieces = None;
                return received.map_or(Ok(false), |refused| refused.map(|_piece| false));
            };
            (self.piece, self.nth) = (piece, 0);
        }
        self.row += 1;
        Ok(true)
    }

    fn row(&self) -> Row<'_> {
        Row::of_columns(self.row, &self.piece.columns, self.nth)
    }
}

impl Drop for GroupRows {
    fn drop(&mut self) {
        // Whom nobody listens to ends at the next piece.
        self.pieces = None;
        if let Some(unpacking) = self.unpacking.take() {
            let _ended = unpacking.join();
        }
    }
}

impl Groups {
    fn new(file: &Path, source: Source, names: &[String]) -> std::result::Result<Self, CohortError> {
        let refuse = |message: String| CohortError::file(file, message);
        let metadata = metadata(&source).map_err(CohortError::storage(file))?;
        let metadata = metadata.map_err(|message| refuse(message.to_owned()))?;
        check_sizes(&metadata, source.len()).map_err(refuse)?;
        let mut used = Vec::new();
        for name in names {
            let one = find(&metadata, name).map_err(refuse)?;
            check_codec(&metadata, &one).map_err(refuse)?;
            used.push(one);
        }
        Ok(Self { file: file.to_owned(), source: Arc::new(source), metadata, used, group: 0, left: 0 })
    }

    /// Unpacks all rows, as long as somebody wants them.
    fn send_to(mut self, sender: &SyncSender<Unpacked>) {
        while let Some(piece) = self.next_piece() {
            let is_last = piece.is_err();
            if sender.send(piece).is_err() || is_last {
                return;
            }
        }
    }

    /// Reads the next piece of every column, if there is one.
    fn next_piece(&mut self) -> Option<Unpacked> {
        while self.left == 0 {
            let group = self.metadata.row_groups().get(self.group)?;
            self.left = usize::try_from(group.num_rows()).unwrap_or_default();
            self.group += 1;
            for used in &mut self.used {
                used.reader = None;
            }
        }
        let group = &self.metadata.row_groups()[self.group - 1];
        let mut piece =
            Piece { columns: Vec::with_capacity(self.used.len()), rows: self.left.min(PIECE_ROWS) };
        for used in &mut self.used {
            let Some(Ok(column)) = guarded(|| used.read(&self.source, group, piece.rows)) else {
                let (name, group) = (&used.name, self.group);
                let message = format!(
                    "is damaged, or no file that is read here: column {name:?} cannot be read in row group {group}"
                );
                return Some(Err(CohortError::file(&self.file, message)));
            };
            piece.columns.push(column);
        }
        self.left -= piece.rows;
        Some(Ok(piece))
    }
}

impl Used {
    fn read(&mut self, source: &Arc<Source>, group: &RowGroupMetaData, rows: usize) -> Result<Column> {
        if self.reader.is_none() {
            let chunk = group.columns().get(self.at);
            let chunk = chunk.ok_or_else(|| ParquetError::General("too few columns".to_owned()))?;
            let pages = Pages::new(Arc::clone(source), chunk, rows)?;
            self.reader = Some(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)));
        }
        let reader = self.reader.as_mut().expect("made above");
        self.values.read(reader, rows)
    }
}

/// Reads what the end of a file says of it, or says why it is no such file.
fn metadata(source: &Source) -> std::io::Result<std::result::Result<ParquetMetaData, &'static str>> {
    let length = source.len();
    let (first, last) = (source.read(0, 4)?, source.read(length.saturating_sub(8), 8)?);
    let Some((footer_bytes, end)) = last.split_first_chunk::<4>() else { return Ok(Err(NO_PARQUET)) };
    if end == b"PARE" {
        return Ok(Err("is encrypted: store it without, on the hospital's own disk"));
    }
    if first != b"PAR1" || end != b"PAR1" {
        return Ok(Err(NO_PARQUET));
    }
    let footer_bytes = u32::from_le_bytes(*footer_bytes);
    if u64::from(footer_bytes) + 12 > length {
        return Ok(Err(DAMAGED));
    }
    if footer_bytes > FOOTER_BYTES_MAX {
        return Ok(Err("has a list of columns and row groups of more than 64 MiB"));
    }
    let footer = source.read(length - 8 - u64::from(footer_bytes), footer_bytes as usize)?;
    let metadata = guarded(|| ParquetMetaDataReader::decode_metadata(&footer));
    Ok(metadata.and_then(Result::ok).ok_or(DAMAGED))
}

/// Checks that sizes are whole and within the file: the decoder takes them as they are.
fn check_sizes(metadata: &ParquetMetaData, length: u64) -> std::result::Result<(), String> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    if columns > COLUMNS_MAX {
        return Err(format!("has {columns} columns, expected at most {COLUMNS_MAX}"));
    }
    let mut rows = 0_u64;
    for group in metadata.row_groups() {
        let own = u64::try_from(group.num_rows()).map_err(|_negative| DAMAGED)?;
        rows = rows.saturating_add(own);
        if rows > ROWS_MAX {
            return Err(format!("has more than {ROWS_MAX} rows"));
        }
        if group.columns().len() != columns || !group.columns().iter().all(|chunk| is_within(chunk, length)) {
            return Err(DAMAGED.to_owned());
        }
    }
    Ok(())
}

fn is_within(chunk: &ColumnChunkMetaData, length: u64) -> bool {
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let (start, bytes) = (u64::try_from(start), u64::try_from(chunk.compressed_size()));
    // Values that are in another file are read nowhere here.
    chunk.file_path().is_none()
        && matches!((start, bytes), (Ok(start), Ok(bytes)) if start.checked_add(bytes).is_some_and(|end| end <= length))
}

/// Finds a column by its name, which no other may have.
fn find(metadata: &ParquetMetaData, name: &str) -> std::result::Result<Used, String> {
    let schema = metadata.file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields();
    let names: Vec<_> = fields.iter().map(|field| trimmed(field.name()).to_owned()).collect();
    let field = &fields[column(&names, name)?];
    let is_of_field =
        |at: &usize| schema.column(*at).path().parts().first().is_some_and(|first| first == field.name());
    let at = (0..schema.num_columns()).find(is_of_field).ok_or(DAMAGED)?;
    let own = schema.column(at);
    let kind = kind(&own).map_err(|what| format!("column {name:?} holds {what}"))?;
    let values = ColumnValues::new(kind, own.physical_type(), own.max_def_level());
    Ok(Used { name: name.to_owned(), at, values, reader: None })
}

/// Refuses a column that is packed in a way for which nothing is here.
fn check_codec(metadata: &ParquetMetaData, used: &Used) -> std::result::Result<(), String> {
    let mut codecs = metadata.row_groups().iter().map(|group| group.column(used.at).compression());
    let other = codecs.find_map(|codec| match codec {
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::LZ4
        | Compression::LZ4_RAW
        | Compression::ZSTD(_) => None,
        Compression::BROTLI(_) => Some("Brotli"),
        Compression::LZO => Some("LZO"),
    });
    other.map_or(Ok(()), |codec| {
        let name = &used.name;
        Err(format!(
            "column {name:?} is compressed with {codec}, expected Snappy, gzip, LZ4, Zstandard or nothing"
        ))
    })
}

const NO_PARQUET: &str = "is no Parquet file: those begin and end with the letters PAR1";
const DAMAGED: &str = "is damaged: what its end says does not fit the file";

/// So many rows of all used columns are held at once: few enough for a processor's cache, and enough that calls take no time.
const PIECE_ROWS: usize = 4096;

/// Enough that neither thread waits for the other's longest piece, which ends with a page.
const PIECES_AHEAD: usize = 4;

/// Twenty columns in thousands of row groups take a mebibyte.
const FOOTER_BYTES_MAX: u32 = 64 << 20;

/// More than any export has; each takes room in each row group.
const COLUMNS_MAX: usize = 100_000;

/// More patients than there are: counts of them have 32 bits.
const ROWS_MAX: u64 = u32::MAX as u64;
