//! Tables in memory, read as `check` reads them: for those who look for bytes that end the program.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use fedtwin_plan::text_file;

use crate::confirmed::Confirmed;
use crate::declared::Declared;
use crate::error::CohortError;
use crate::limits::Limits;
use crate::reader::Reader as _;
use crate::reader::rows::{RowReader, RowSource};
use crate::source::{parquet, sheet_of_objects};
use crate::split::pattern::PatientPattern;
use crate::split::{ModuloSplit, Split};
use crate::table::schema::TableSchema;
use crate::table::sheet::Sheet;
use crate::table::stream::Stream;

/// What the bytes are read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines of cells; the first byte chooses among dialects.
    Cells,
    /// Lines with one object each.
    Objects,
    /// A Parquet file.
    Parquet,
}

/// Reads a table with the columns `id`, `x`, `c` and `died`; returns how many patients it has, or the refusal.
///
/// # Errors
/// Says what is refused, as for a file.
pub fn read(form: Form, bytes: &[u8]) -> Result<u32, CohortError> {
    let (dialect, bytes) = match (form, bytes.split_first()) {
        (Form::Cells, Some((&first, rest))) => (DIALECTS[usize::from(first) % DIALECTS.len()], rest),
        (Form::Cells | Form::Objects | Form::Parquet, _) => ("", bytes),
    };
    let schema = text_file::parse(SCHEMA_FILE, &format!("{dialect}\n{SCHEMA}"))?;
    let reader = RowReader { source: InMemory { form, bytes: bytes.to_vec() }, schema };
    let (divisor, test) = (2.try_into().expect("in range"), 1.try_into().expect("in range"));
    let declared = Declared {
        cohort_file: PathBuf::from("cohort.toml"),
        patients: u32::MAX,
        limits: Limits::default(),
        confirmed: Confirmed::default(),
        split: Split::Modulo(ModuloSplit { divisor, test }),
    };
    let tally = reader.count(&declared)?;
    Ok(tally.train + tally.test)
}

/// A table in memory.
#[derive(Debug)]
struct InMemory {
    form: Form,
    bytes: Vec<u8>,
}

impl RowSource for InMemory {
    fn open(&self, _declared: &Declared, schema: &TableSchema) -> Result<Sheet, CohortError> {
        let file = Path::new("table");
        let text = || Stream::of_bytes(file, Box::new(Cursor::new(self.bytes.clone())), schema.encoding);
        match self.form {
            Form::Cells => Sheet::of_text(text()?, schema.format()),
            Form::Objects => Ok(sheet_of_objects(text()?, schema)),
            Form::Parquet => parquet::sheet(file, &self.bytes, schema),
        }
    }

    fn files(&self, _cohort_file: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn pattern(&self) -> Option<&PatientPattern> {
        None
    }
}

const SCHEMA_FILE: &str = "schema.toml";

const SCHEMA: &str = "
patient_id = 'id'
missing = ['', '-9']
outcome = { name = 'died', rule = { texts = { yes = ['1', 'true'], no = ['0', 'false'] } }, unknown = ['8'] }
features.x.number = { unit = 'u', low = 0, high = 100, sentinels = [99] }
features.c.category.codes = { a = 'a', '2.5' = 'b', '\u{e4}' = 'c' }
";

const DIALECTS: [&str; 5] = [
    "",
    "delimiter = ';'\ndecimal = ','\nthousands = '.'",
    "delimiter = \"\\t\"\nquote = 'single'\nencoding = 'latin-1'",
    "delimiter = '\u{a6}'\nquote = 'none'\nthousands = ' '",
    "encoding = 'utf-16'",
];
