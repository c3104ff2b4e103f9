//! Values of one column chunk, piece by piece, as the cells that rows lend.

use std::fmt::Write as _;

use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, Int96};
use parquet::errors::{ParquetError, Result};

use super::kind::Kind;
use super::time::{Unit, write_date, write_time, write_timestamp};
use crate::table::column::{Column, Letters, Values};

/// What is read of one column.
pub(super) struct ColumnValues {
    kind: Kind,
    physical: Type,
    /// The level of a value that is there.
    level_max: i16,
    levels: Vec<i16>,
    stored: Stored,
}

/// Values as they are stored, if that is not as cells lend them.
#[derive(Default)]
struct Stored {
    words: Vec<i32>,
    long_words: Vec<i64>,
    floats: Vec<f32>,
    old_times: Vec<Int96>,
    texts: Vec<parquet::data_type::ByteArray>,
    fixed: Vec<parquet::data_type::FixedLenByteArray>,
}

impl ColumnValues {
    pub(super) fn new(kind: Kind, physical: Type, level_max: i16) -> Self {
        Self { kind, physical, level_max, levels: Vec::new(), stored: Stored::default() }
    }

    /// Makes room for values as cells lend them.
    fn room(&self) -> Values {
        match self.kind {
            Kind::Flag => Values::Flags(Vec::new()),
            Kind::Whole => Values::Wholes(Vec::new()),
            Kind::Unsigned if self.physical == Type::INT32 => Values::Wholes(Vec::new()),
            Kind::Number => Values::Numbers(Vec::new()),
            Kind::Unsigned | Kind::Decimal(_) => Values::Digits(Letters::default()),
            Kind::Text | Kind::Date | Kind::Time(_) | Kind::Timestamp(..) | Kind::OldTimestamp => {
                Values::Texts(Letters::default())
            }
        }
    }

    /// Reads the next `rows` rows, all of which must be there.
    pub(super) fn read(&mut self, reader: &mut ColumnReader, rows: usize) -> Result<Column> {
        let mut values = self.room();
        let Self { kind, level_max, levels, stored, .. } = self;
        levels.clear();
        let mut chunk = Chunk { levels, level_max: *level_max, rows };
        match (reader, &mut values) {
            (ColumnReader::BoolColumnReader(reader), Values::Flags(flags)) => chunk.read(reader, flags)?,
            (ColumnReader::Int64ColumnReader(reader), Values::Wholes(wholes)) => {
                chunk.read(reader, wholes)?
            }
            (ColumnReader::DoubleColumnReader(reader), Values::Numbers(numbers)) => {
                chunk.read(reader, numbers)?;
            }
            (ColumnReader::Int32ColumnReader(reader), Values::Wholes(wholes)) => {
                chunk.read(reader, &mut stored.words)?;
                let is_unsigned = *kind == Kind::Unsigned;
                let whole =
                    |&word: &i32| if is_unsigned { i64::from(word.cast_unsigned()) } else { word.into() };
                wholes.extend(stored.words.iter().map(whole));
            }
            (ColumnReader::FloatColumnReader(reader), Values::Numbers(numbers)) => {
                chunk.read(reader, &mut stored.floats)?;
                numbers.extend(stored.floats.iter().copied().map(f64::from));
            }
            (ColumnReader::ByteArrayColumnReader(reader), Values::Texts(texts)) => {
                chunk.read(reader, &mut stored.texts)?;
                for text in &stored.texts {
                    texts.add(&String::from_utf8_lossy(text.data()));
                }
            }
            (reader, Values::Texts(letters) | Values::Digits(letters)) => {
                written(&mut chunk, reader, *kind, stored, letters)?;
            }
            (_, Values::Flags(_) | Values::Wholes(_) | Values::Numbers(_)) => return Err(contradiction()),
        }
        let is_there = |level: &i16| *level == self.level_max;
        let have_values = self.levels.iter().map(is_there);
        Ok(if self.levels.iter().all(is_there) {
            Column::full(values)
        } else {
            Column::with_gaps(values, have_values)
        })
    }
}

/// The rows that are read at once.
struct Chunk<'a> {
    levels: &'a mut Vec<i16>,
    level_max: i16,
    rows: usize,
}

impl Chunk<'_> {
    /// Reads into `values` what is there of the next rows.
    fn read<T: DataType>(&mut self, reader: &mut ColumnReaderImpl<T>, values: &mut Vec<T::T>) -> Result<()> {
        values.clear();
        let levels = (self.level_max > 0).then_some(&mut *self.levels);
        let (rows, there, _levels) = reader.read_records(self.rows, levels, None, values)?;
        let expected = match self.level_max {
            0 => rows,
            max => self.levels.iter().filter(|&&level| level == max).count(),
        };
        if rows != self.rows || there != expected || values.len() != expected {
            return Err(ParquetError::EOF("fewer values than rows".to_owned()));
        }
        Ok(())
    }
}

/// Writes values that are neither numbers nor texts as the schema's texts and digits.
fn written(
    chunk: &mut Chunk<'_>,
    reader: &mut ColumnReader,
    kind: Kind,
    stored: &mut Stored,
    letters: &mut Letters,
) -> Result<()> {
    let mut text = String::new();
    let mut add = |value: Stamp| -> Result<()> {
        text.clear();
        value.write(kind, &mut text)?;
        letters.add(&text);
        Ok(())
    };
    match reader {
        ColumnReader::Int32ColumnReader(reader) => {
            chunk.read(reader, &mut stored.words)?;
            stored.words.iter().try_for_each(|&word| add(Stamp::Whole(word.into())))
        }
        ColumnReader::Int64ColumnReader(reader) => {
            chunk.read(reader, &mut stored.long_words)?;
            stored.long_words.iter().try_for_each(|&word| add(Stamp::Whole(word.into())))
        }
        ColumnReader::Int96ColumnReader(reader) => {
            chunk.read(reader, &mut stored.old_times)?;
            stored.old_times.iter().try_for_each(|time| add(Stamp::Old(*time)))
        }
        ColumnReader::ByteArrayColumnReader(reader) => {
            chunk.read(reader, &mut stored.texts)?;
            stored.texts.iter().try_for_each(|bytes| add(Stamp::Whole(big_endian(bytes.data())?)))
        }
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            chunk.read(reader, &mut stored.fixed)?;
            stored.fixed.iter().try_for_each(|bytes| add(Stamp::Whole(big_endian(bytes.data())?)))
        }
        ColumnReader::BoolColumnReader(_)
        | ColumnReader::FloatColumnReader(_)
        | ColumnReader::DoubleColumnReader(_) => Err(contradiction()),
    }
}

/// One stored value.
enum Stamp {
    Whole(i128),
    Old(Int96),
}

impl Stamp {
    fn write(&self, kind: Kind, text: &mut String) -> Result<()> {
        let whole = |value: i128| i64::try_from(value).map_err(|_too_large| contradiction());
        let written = match (self, kind) {
            (Self::Whole(value), Kind::Decimal(fraction)) => write_decimal(text, *value, fraction),
            // Of 64 bits: those of 32 are whole numbers.
            (Self::Whole(value), Kind::Unsigned) => write!(text, "{}", whole(*value)?.cast_unsigned()),
            (Self::Whole(value), Kind::Date) => write_date(text, whole(*value)?),
            (Self::Whole(value), Kind::Time(unit)) => write_time(text, whole(*value)?, unit),
            (Self::Whole(value), Kind::Timestamp(unit, is_of_greenwich)) => {
                write_timestamp(text, whole(*value)?, unit).map(|()| {
                    if is_of_greenwich {
                        text.push('Z');
                    }
                })
            }
            (Self::Old(time), Kind::OldTimestamp) => {
                let [low, high, day] = *time.data() else { return Err(contradiction()) };
                let nanos = i64::from(low) | i64::from(high) << 32;
                // Days are counted from noon of the first day of the year -4712 (Julian).
                write_date(text, i64::from(day) - 2_440_588).and_then(|()| {
                    text.push('T');
                    write_time(text, nanos, Unit::Nano)
                })
            }
            (Self::Whole(_) | Self::Old(_), _other) => return Err(contradiction()),
        };
        written.map_err(|_never| contradiction())
    }
}

/// Writes a number whose last digits are a fraction.
fn write_decimal(text: &mut String, value: i128, fraction: usize) -> std::fmt::Result {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = fraction + 1);
    let (whole, fraction) = digits.split_at(digits.len() - fraction);
    let point = if fraction.is_empty() { "" } else { "." };
    write!(text, "{sign}{whole}{point}{fraction}")
}

/// Reads a whole number of up to 16 bytes, in two's complement.
fn big_endian(bytes: &[u8]) -> Result<i128> {
    let Some(first) = bytes.first().filter(|_| bytes.len() <= 16) else { return Err(contradiction()) };
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(bytes.iter().fold(sign, |value, &byte| value << 8 | i128::from(byte)))
}

fn contradiction() -> ParquetError {
    ParquetError::General("values of another type than the column's".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_all_their_digits() {
        for (bytes, fraction, expected) in [
            (&[0][..], 0, "0"),
            (&[0], 2, "0.00"),
            (&[0xff], 2, "-0.01"),
            (&[0x30, 0x39], 2, "123.45"),
            (&[0xcf, 0xc7], 4, "-1.2345"),
            (&[0x7f; 16], 38, "1.69473963133173273960190490760135540607"),
        ] {
            let mut text = String::new();
            write_decimal(&mut text, big_endian(bytes).unwrap(), fraction).unwrap();
            assert_eq!(text, expected);
        }
        let mut least = String::new();
        write_decimal(&mut least, i128::MIN, 0).unwrap();
        assert_eq!(least, "-170141183460469231731687303715884105728");
        assert!(big_endian(&[]).is_err() && big_endian(&[1; 17]).is_err());
    }
}
