//! The golden table: laboratory codes with two units and the factor between them, from definitions and molar masses.

use dashu_ratio::RBig;
use fedtwin_units::{Analyte, Conversion, Decimal, Valence, conversion};
use proptest::prelude::*;

/// One code of the table.
pub(crate) struct Row {
    pub(crate) loinc: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) analyte: Analyte,
    factor: RBig,
    offset: RBig,
}

impl Row {
    /// Converts a number exactly, without the code under test.
    pub(crate) fn exact(&self, x: &str) -> f64 {
        (number(x) * &self.factor + &self.offset).to_f64().value()
    }

    /// Converts a number of the second unit into the first.
    fn exact_back(&self, y: &str) -> f64 {
        ((number(y) - &self.offset) / &self.factor).to_f64().value()
    }

    pub(crate) fn forth(&self) -> Conversion {
        conversion(&self.from, &self.to, &self.analyte)
            .unwrap_or_else(|error| panic!("{}: {error}", self.loinc))
    }

    fn back(&self) -> Conversion {
        conversion(&self.to, &self.from, &self.analyte)
            .unwrap_or_else(|error| panic!("{}: {error}", self.loinc))
    }
}

/// Reads the table.
pub(crate) fn rows() -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(include_str!("golden.csv").as_bytes());
    let row = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.unwrap();
        let [loinc, _name, from, to, molar_mass, valence, factor, offset, origin] =
            row.iter().collect::<Vec<_>>()[..]
        else {
            panic!("nine cells: {row:?}")
        };
        assert!(!origin.is_empty(), "{loinc}");
        let molar_mass =
            (!molar_mass.is_empty()).then(|| molar_mass.parse::<f64>().unwrap().try_into().unwrap());
        let valence =
            (!valence.is_empty()).then(|| Valence::try_from(valence.parse::<u8>().unwrap()).unwrap());
        let offset = if offset.is_empty() { RBig::ZERO } else { fraction(offset) };
        Row {
            loinc: loinc.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            analyte: Analyte { molar_mass, valence },
            factor: fraction(factor),
            offset,
        }
    };
    reader.records().map(row).collect()
}

/// Reads a decimal number, or two with a slash between.
fn fraction(text: &str) -> RBig {
    match text.split_once('/') {
        Some((above, below)) => number(above) / number(below),
        None => number(text),
    }
}

/// Reads a decimal number as another implementation does: `dashu` has a reader of decimals of its own.
fn number(text: &str) -> RBig {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent = exponent.parse::<i32>().unwrap() - i32::try_from(fraction.len()).unwrap();
    let mantissa: RBig = format!("{whole}{fraction}").parse().unwrap();
    let ten: RBig = format!("1{}", "0".repeat(exponent.unsigned_abs() as usize)).parse().unwrap();
    if exponent < 0 { mantissa / ten } else { mantissa * ten }
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn every_factor_of_the_table_is_exact_both_ways() {
    let rows = rows();
    assert!(rows.len() >= 60, "{}", rows.len());
    for row in rows {
        for x in ["1", "0.1", "5.5", "98.6", "1234.5678901234567890123", "-3e-7", "7e15", "0"] {
            let (found, expected) = (row.forth().apply(&decimal(x)), row.exact(x));
            assert_eq!(found.to_bits(), expected.to_bits(), "{} {x}: {found} {expected}", row.loinc);
            let (found, expected) = (row.back().apply(&decimal(x)), row.exact_back(x));
            assert_eq!(found.to_bits(), expected.to_bits(), "{} back {x}: {found} {expected}", row.loinc);
        }
    }
}

#[test]
fn another_library_finds_the_same_factors_where_it_has_kinds() {
    let mut differ = Vec::new();
    for row in rows() {
        let (x, ours) = (5.5, row.forth().apply(&decimal("5.5")));
        let theirs = ucum::convert(x, &row.from, &row.to);
        let agree = theirs.as_ref().is_ok_and(|theirs| (theirs / ours - 1.0).abs() < 1e-12);
        // A molar mass is no part of a unit.
        if !agree && row.analyte.molar_mass.is_none() {
            differ.push(row.loinc);
        }
    }
    // It has no valence, and an arbitrary unit is for it not even comparable with itself.
    assert_eq!(differ, ["1995-0", "3016-3"]);
}

proptest! {
    /// Two roundings change a number by at most 2^-52 of it, which is below half a unit of the fifteenth digit.
    #[test]
    fn there_and_back_is_the_same_to_fifteen_digits(
        mantissa in 1_i64..1_000_000_000_000_000, exponent in -18_i32..6, row in 0_usize..60,
    ) {
        let row = &rows()[row];
        prop_assume!(row.offset.is_zero());
        let text = format!("{mantissa}e{exponent}");
        let there = row.forth().apply(&decimal(&text));
        let back = row.back().apply(&Decimal::try_from(there).unwrap());
        let digits = |x: f64| format!("{x:.14e}");
        prop_assert_eq!(digits(back), digits(text.parse().unwrap()));
    }

    /// Where the factor is a power of ten, every decimal of fifteen digits is the shortest of its binary number.
    #[test]
    fn powers_of_ten_there_and_back_are_the_identity(mantissa in -1_000_000_000_000_000_i64..1_000_000_000_000_000) {
        let none = Analyte::default();
        for (from, to) in [("m", "cm"), ("g/dL", "mg/L"), ("10*9/L", "/uL"), ("%", "1"), ("Cel", "Cel")] {
            let text = format!("{mantissa}e-7");
            let there = conversion(from, to, &none).unwrap().apply(&decimal(&text));
            let back = conversion(to, from, &none).unwrap().apply(&Decimal::try_from(there).unwrap());
            prop_assert_eq!(back.to_bits(), text.parse::<f64>().unwrap().to_bits());
        }
    }

    /// A hospital that writes a temperature in the other scale, with all its digits, has the same number.
    #[test]
    fn a_temperature_is_one_number_in_both_scales(tenths in 300_i64..450) {
        let fahrenheit = conversion("[degF]", "Cel", &Analyte::default()).unwrap();
        // 1.8 times a tenth, and 32: in hundredths.
        let hundredths = 18 * tenths + 3200;
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let celsius = format!("{}.{}", tenths / 10, tenths % 10);
        prop_assert_eq!(fahrenheit.apply(&decimal(&text)).to_bits(), celsius.parse::<f64>().unwrap().to_bits());
    }
}
