//! Pages of column chunks, each checked before it is unpacked.

use std::fs::File;
use std::io::{self, Cursor};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::header::page_sizes;

/// A file, or bytes, from which several columns are read at once.
pub(super) struct Source {
    bytes: Stored,
    length: u64,
}

enum Stored {
    File(File),
    Memory(Vec<u8>),
}

/// A source whose page headers are checked.
struct Checked(Arc<Source>);

/// The pages of one column chunk.
pub(super) struct Pages {
    pages: SerializedPageReader<Checked>,
}

impl Source {
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { bytes: Stored::File(file), length })
    }

    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { length: bytes.len() as u64, bytes: Stored::Memory(bytes) }
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// Reads up to `length` bytes from `start` on: fewer at the end.
    pub(super) fn read(&self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        let there = usize::try_from(self.length.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(there)];
        match &self.bytes {
            Stored::File(file) => file.read_exact_at(&mut bytes, start)?,
            Stored::Memory(all) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                bytes.clear();
                bytes.extend(all.get(start..).unwrap_or_default().iter().take(length));
            }
        }
        Ok(bytes)
    }
}

impl Length for Checked {
    fn len(&self) -> u64 {
        self.0.length
    }
}

impl ChunkReader for Checked {
    type T = Cursor<Vec<u8>>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let refuse = |message: &str| Err(ParquetError::General(message.to_owned()));
        let mut bytes = self.0.read(start, HEADER_BYTES)?;
        let mut sizes = page_sizes(&bytes);
        if sizes.is_none() {
            // One with long statistics.
            bytes = self.0.read(start, HEADER_BYTES_MAX)?;
            sizes = page_sizes(&bytes);
        }
        let Some(sizes) = sizes else { return refuse("no page header") };
        let is_bomb = sizes.uncompressed > RATIO_BYTES && sizes.uncompressed / RATIO_MAX > sizes.compressed;
        if sizes.uncompressed > PAGE_BYTES_MAX || is_bomb {
            return refuse("a page of such a size");
        }
        Ok(Cursor::new(bytes))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.0.read(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF("the file ends before the bytes that it names".to_owned()));
        }
        Ok(bytes.into())
    }
}

impl Pages {
    /// Begins a column chunk of a row group with `rows` rows; its place in the file must be checked.
    pub(super) fn new(source: Arc<Source>, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Self> {
        let pages = SerializedPageReader::new(Arc::new(Checked(source)), chunk, rows, None)?;
        Ok(Self { pages })
    }

    /// Refuses a page with more values than its bytes can hold, for each of which a decoder makes room.
    fn check(page: Page) -> Result<Page> {
        let values = page.num_values() as usize;
        if page.is_dictionary_page() && values > page.buffer().len() {
            return Err(ParquetError::General("a dictionary of fewer bytes than values".to_owned()));
        }
        Ok(page)
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.pages.get_next_page()?.map(Self::check).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

/// More than any program writes into a page, which is a mebibyte, or a dictionary of a few, by default.
const PAGE_BYTES_MAX: u64 = 256 << 20;

/// A page above [`RATIO_BYTES`] that was packed better than this holds one value, over and over, where a run would do.
const RATIO_MAX: u64 = 1000;
const RATIO_BYTES: u64 = 16 << 20;

/// Headers have some dozens of bytes, and statistics of two values.
const HEADER_BYTES: usize = 256;
const HEADER_BYTES_MAX: usize = 1 << 20;
