//! What a column of a Parquet file is, by its physical and its logical type.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::schema::types::ColumnDescriptor;

use super::time::Unit;

/// How the stored values of a column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    /// A whole number with its sign.
    Whole,
    /// A whole number without a sign, of 32 or 64 bits.
    Unsigned,
    Number,
    Text,
    /// A number whose last digits, as many as this, are a fraction.
    Decimal(usize),
    Date,
    Time(Unit),
    /// A time since 1970, with whether it is one of Greenwich.
    Timestamp(Unit, bool),
    /// A day and its nanoseconds, of a zone that nobody says.
    OldTimestamp,
}

/// Returns how a column is read, or what it is instead of one that is.
pub(super) fn kind(column: &ColumnDescriptor) -> Result<Kind, &'static str> {
    if column.max_rep_level() > 0 || column.path().parts().len() > 1 {
        return Err("a list or a structure in each row, expected one value");
    }
    let physical = column.physical_type();
    let meant = match column.logical_type_ref() {
        Some(logical) => of_logical(logical)?,
        None => of_converted(column)?,
    };
    let kind = match meant {
        Some(kind) => kind,
        None => match physical {
            Type::BOOLEAN => Kind::Flag,
            Type::INT32 | Type::INT64 => Kind::Whole,
            Type::FLOAT | Type::DOUBLE => Kind::Number,
            Type::INT96 => Kind::OldTimestamp,
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => {
                return Err("bytes that are not said to be text");
            }
        },
    };
    let fits = match kind {
        Kind::Flag => physical == Type::BOOLEAN,
        Kind::Whole | Kind::Unsigned | Kind::Time(_) => matches!(physical, Type::INT32 | Type::INT64),
        Kind::Number => matches!(physical, Type::FLOAT | Type::DOUBLE),
        Kind::Text => physical == Type::BYTE_ARRAY,
        Kind::Decimal(_) => {
            matches!(physical, Type::INT32 | Type::INT64 | Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY)
        }
        Kind::Date => physical == Type::INT32,
        Kind::Timestamp(..) => physical == Type::INT64,
        Kind::OldTimestamp => physical == Type::INT96,
    };
    if fits { Ok(kind) } else { Err("of two types that contradict each other") }
}

/// Reads a logical type; nothing where the physical one says all.
fn of_logical(logical: &LogicalType) -> Result<Option<Kind>, &'static str> {
    Ok(Some(match logical {
        LogicalType::String | LogicalType::Enum => Kind::Text,
        LogicalType::Decimal(decimal) => fractions(decimal.precision, decimal.scale)?,
        LogicalType::Date => Kind::Date,
        LogicalType::Time(time) => Kind::Time(unit(&time.unit)),
        LogicalType::Timestamp(time) => Kind::Timestamp(unit(&time.unit), time.is_adjusted_to_u_t_c),
        LogicalType::Integer(whole) if whole.is_signed => Kind::Whole,
        LogicalType::Integer(_) => Kind::Unsigned,
        // What has no value has no type.
        LogicalType::Unknown => return Ok(None),
        LogicalType::Float16 => return Err("numbers of 16 bits, expected at least 32"),
        // Parquet's, not ours: new ones come with the format.
        _ => return Err("of a type that is not read here"),
    }))
}

/// Reads the older form of a logical type.
fn of_converted(column: &ColumnDescriptor) -> Result<Option<Kind>, &'static str> {
    Ok(Some(match column.converted_type() {
        ConvertedType::NONE => return Ok(None),
        ConvertedType::UTF8 | ConvertedType::ENUM => Kind::Text,
        ConvertedType::DECIMAL => fractions(column.type_precision(), column.type_scale())?,
        ConvertedType::DATE => Kind::Date,
        ConvertedType::TIME_MILLIS => Kind::Time(Unit::Milli),
        ConvertedType::TIME_MICROS => Kind::Time(Unit::Micro),
        ConvertedType::TIMESTAMP_MILLIS => Kind::Timestamp(Unit::Milli, true),
        ConvertedType::TIMESTAMP_MICROS => Kind::Timestamp(Unit::Micro, true),
        ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32 | ConvertedType::INT_64 => {
            Kind::Whole
        }
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            Kind::Unsigned
        }
        ConvertedType::JSON
        | ConvertedType::BSON
        | ConvertedType::INTERVAL
        | ConvertedType::MAP
        | ConvertedType::MAP_KEY_VALUE
        | ConvertedType::LIST => return Err("of a type that is not read here"),
    }))
}

fn fractions(digits: i32, fraction: i32) -> Result<Kind, &'static str> {
    if !(1..=DECIMAL_DIGITS_MAX).contains(&digits) {
        return Err("decimals of more digits than 38");
    }
    match usize::try_from(fraction) {
        Ok(places) if fraction <= digits => Ok(Kind::Decimal(places)),
        Ok(_) | Err(_) => Err("decimals with a fraction of more digits than they have"),
    }
}

fn unit(unit: &TimeUnit) -> Unit {
    match unit {
        TimeUnit::MILLIS => Unit::Milli,
        TimeUnit::MICROS => Unit::Micro,
        TimeUnit::NANOS => Unit::Nano,
    }
}

/// So many digits of a decimal fit into 128 bits with a sign.
const DECIMAL_DIGITS_MAX: i32 = 38;
