//! The table that is read: invented patients with numbers and categories, of which one in fifty is missing.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

/// Files with the same table. Each has its cohort file beside it.
pub(crate) const FILES: [&str; 2] = ["rows.csv", "rows.parquet"];

/// The schema of both.
pub(crate) const SCHEMA: &str = "schema.toml";

/// Columns of measured numbers, of whole numbers and of categories; with the identifier and the outcome they are 20.
const NUMBERS: usize = 9;
const WHOLES: usize = 5;
const CATEGORIES: usize = 4;

const CODES: [&str; 5] = ["none", "mild", "moderate", "severe", "unclear"];

/// Numbers that look like chance (Steele and Vigna 2014, "SplitMix").
struct Chance(u64);

/// One column of one row group.
enum Column {
    Numbers(Vec<Option<f64>>),
    Wholes(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
}

/// Writes the table in both forms, its schema and the cohort files.
pub(crate) fn write(folder: &Path, rows: u32) -> anyhow::Result<()> {
    std::fs::write(folder.join(SCHEMA), schema())?;
    for (file, source) in FILES.into_iter().zip(["table", "parquet"]) {
        let cohort = format!(
            "name = 'rows'\npatients = {rows}\nsource.{source} = {{ file = '{file}', schema = '{SCHEMA}' }}\n\
             split.modulo = {{ divisor = 5, test = 0 }}\n"
        );
        std::fs::write(folder.join(format!("{file}.toml")), cohort)?;
    }
    let mut csv = BufWriter::new(File::create(folder.join(FILES[0]))?);
    writeln!(csv, "{}", names().join(","))?;
    let message = Arc::new(parse_message_type(&message())?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let file = File::create(folder.join(FILES[1]))?;
    let mut parquet = SerializedFileWriter::new(file, message, Arc::new(properties))?;
    let mut chance = Chance(7);
    for first in (0..rows).step_by(GROUP_ROWS as usize) {
        let columns = draw(first, GROUP_ROWS.min(rows - first), &mut chance);
        write_cells(&mut csv, &columns)?;
        let mut group = parquet.next_row_group()?;
        for column in &columns {
            write_chunk(&mut group, column)?;
        }
        group.close()?;
    }
    csv.flush()?;
    parquet.close()?;
    Ok(())
}

fn names() -> Vec<String> {
    let many = |name: &'static str, count| (0..count).map(move |nth| format!("{name}{nth}"));
    let features = many("x", NUMBERS).chain(many("n", WHOLES)).chain(many("c", CATEGORIES));
    ["id", "died"].into_iter().map(str::to_owned).chain(features).collect()
}

fn schema() -> String {
    let mut schema =
        "patient_id = 'id'\noutcome = { name = 'died', rule = { texts = { yes = ['yes'], no = ['no'] } } }\n"
            .to_owned();
    for name in names().iter().skip(2) {
        let rule = match name.as_bytes()[0] {
            b'x' => "number = { unit = 'u', low = -10000, high = 10000 }".to_owned(),
            b'n' => "number = { unit = 'u', low = 0, high = 300 }".to_owned(),
            _ => {
                let codes = CODES.map(|code| format!("{code} = '{code}'"));
                format!("category.codes = {{ {} }}", codes.join(", "))
            }
        };
        writeln!(schema, "features.{name}.{rule}").expect("a string takes whatever is written");
    }
    schema
}

fn message() -> String {
    let field = |name: &String| match name.as_bytes()[0] {
        b'x' => format!("optional double {name};"),
        b'n' => format!("optional int64 {name};"),
        _ => format!("optional binary {name} (string);"),
    };
    format!("message rows {{ {} }}", names().iter().map(field).collect::<String>())
}

fn draw(first: u32, rows: u32, chance: &mut Chance) -> Vec<Column> {
    let some = |p: &mut Chance| p.below(50) > 0;
    let text = |text: String| Some(text);
    let mut columns = vec![
        Column::Texts((first..first + rows).map(|row| text(format!("p{row:07}"))).collect()),
        Column::Texts(
            (0..rows).map(|_| text(if chance.below(4) == 0 { "yes" } else { "no" }.into())).collect(),
        ),
    ];
    for nth in 0..NUMBERS {
        // With four digits of a fraction, and every third column with all that a double has.
        let number = |chance: &mut Chance| {
            let x = f64::from(chance.below(2_000_000)) / 10_000.0 - 100.0;
            if nth % 3 == 0 { x * std::f64::consts::PI } else { x }
        };
        let column = (0..rows).map(|_| some(chance).then(|| number(chance))).collect();
        columns.push(Column::Numbers(column));
    }
    for _ in 0..WHOLES {
        let column = (0..rows).map(|_| some(chance).then(|| chance.below(200).into())).collect();
        columns.push(Column::Wholes(column));
    }
    for _ in 0..CATEGORIES {
        let code = |chance: &mut Chance| CODES[chance.below(5) as usize].to_owned();
        columns.push(Column::Texts((0..rows).map(|_| some(chance).then(|| code(chance))).collect()));
    }
    columns
}

fn write_cells(csv: &mut impl std::io::Write, columns: &[Column]) -> anyhow::Result<()> {
    let rows = match &columns[0] {
        Column::Texts(ids) => ids.len(),
        Column::Numbers(_) | Column::Wholes(_) => 0,
    };
    for row in 0..rows {
        for (nth, column) in columns.iter().enumerate() {
            let before = if nth == 0 { "" } else { "," };
            match column {
                Column::Numbers(numbers) => match numbers[row] {
                    Some(x) => write!(csv, "{before}{x}")?,
                    None => write!(csv, "{before}")?,
                },
                Column::Wholes(wholes) => match wholes[row] {
                    Some(whole) => write!(csv, "{before}{whole}")?,
                    None => write!(csv, "{before}")?,
                },
                Column::Texts(texts) => write!(csv, "{before}{}", texts[row].as_deref().unwrap_or(""))?,
            }
        }
        writeln!(csv)?;
    }
    Ok(())
}

fn write_chunk(group: &mut SerializedRowGroupWriter<'_, File>, column: &Column) -> anyhow::Result<()> {
    let Some(mut writer) = group.next_column()? else {
        anyhow::bail!("there are as many columns as in the schema")
    };
    match column {
        Column::Numbers(numbers) => {
            let (levels, values) = packed(numbers);
            writer.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Wholes(wholes) => {
            let (levels, values) = packed(wholes);
            writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Texts(texts) => {
            let (levels, values) = packed(texts);
            let values: Vec<_> = values.iter().map(|text| ByteArray::from(text.as_str())).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
        }
    }
    writer.close()?;
    Ok(())
}

/// Returns which values are there, and these.
fn packed<T: Clone>(values: &[Option<T>]) -> (Vec<i16>, Vec<T>) {
    (values.iter().map(|value| value.is_some().into()).collect(), values.iter().flatten().cloned().collect())
}

impl Chance {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z >> 32) % u64::from(bound)).expect("below the bound")
    }
}

/// As many rows as writers put into a group.
const GROUP_ROWS: u32 = 131_072;
