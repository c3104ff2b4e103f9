//! What is read as a unit besides the codes of UCUM, and what is refused.

use fedtwin_units::Unit;
use proptest::prelude::*;

fn check(text: &str, expected: &str) {
    let unit = Unit::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(unit.code(), expected, "{text}");
}

fn refused(text: &str, expected: &str) {
    assert_eq!(Unit::parse(text).unwrap_err().to_string(), expected, "{text}");
}

#[test]
fn codes_of_ucum_are_what_they_are() {
    for code in [
        "mg/dL",
        "mg/dl",
        "10*3/uL",
        "10*-3",
        "/min",
        "1/min",
        "mm[Hg]",
        "kg/m2",
        "m.s-1",
        "L/(24.h)",
        "100",
        "{score}",
        "g{creat}",
        "mL/min/{1.73_m2}",
        "/100{WBC}",
        "[in_i'H2O]",
        "m[iU]/L",
        "g%",
        "a",
        "%",
        "min",
        "B[SPL]",
        "(mg)/(dL)",
        "U/g{Hb}",
    ] {
        check(code, code);
    }
}

#[test]
fn common_spellings_are_read_as_what_is_meant() {
    for (text, code) in [
        ("years", "a"),
        ("mmHg", "mm[Hg]"),
        ("mm Hg", "mm[Hg]"),
        ("IU/L", "[iU]/L"),
        ("mIU/L", "m[iU]/L"),
        ("10^3/uL", "10*3/uL"),
        ("10^9/L", "10*9/L"),
        ("10\u{b3}/\u{b5}L", "10*3/uL"),
        ("\u{d7}10\u{2079}/L", "10*9/L"),
        ("x 10^9/L", "10*9/L"),
        ("10E9/L", "10*9/L"),
        ("K/uL", "10*3/uL"),
        ("G/L", "10*9/L"),
        ("g/L", "g/L"),
        ("mcg/dL", "ug/dL"),
        ("\u{3bc}mol / L", "umol/L"),
        ("bpm", "{beats}/min"),
        ("beats/min", "{beats}/min"),
        ("degC", "Cel"),
        ("\u{b0}C", "Cel"),
        ("\u{b0}F", "[degF]"),
        ("pH", "[pH]"),
        ("sec", "s"),
        ("hours", "h"),
        ("mm/hr", "mm/h"),
        ("mEq/L", "meq/L"),
        ("mOsm/kg", "mosm/kg"),
        ("mM", "(mmol/L)"),
        ("kg/m^2", "kg/m2"),
        ("kg/m\u{b2}", "kg/m2"),
        ("mL/min/1.73 m2", "mL/min/{1.73_m2}"),
        ("mL/min/1.73m\u{b2}", "mL/min/{1.73_m2}"),
        ("mL/min/1.73", "mL/min/{1.73_m2}"),
        ("10x3/uL", "10*3/uL"),
        ("lbs", "[lb_av]"),
        ("ft", "[ft_i]"),
        ("ft2", "[ft_i]2"),
        ("m.sec^-2", "m.s-2"),
        (" mg/dL ", "mg/dL"),
    ] {
        check(text, code);
    }
}

#[test]
fn what_is_unknown_or_ambiguous_is_refused_with_what_might_be_meant() {
    refused("C", "\"C\" is the coulomb: degrees Celsius are Cel");
    refused("F", "\"F\" is the farad: degrees Fahrenheit are [degF]");
    refused("units", "\"units\" says not which: enzyme units are U, international ones [iU]");
    refused("u/L", "\"u/L\" is daltons in a litre: enzyme units are U/L");
    refused("mL/h/1.73.m2", "\"mL/h/1.73.m2\" has a number with a fraction, whose point means times");
    refused("mg/dLL", "\"mg/dLL\" is no known unit; mg/dL is one");
    refused("KG", "\"KG\" is no known unit; kg is one");
    refused("vessels", "\"vessels\" is no known unit");
    refused("yeras", "\"yeras\" is no known unit; years is one");
    refused(
        "Cel/h",
        "\"Cel/h\" has Cel within, whose 0 lies elsewhere than at no warmth: differences are in K",
    );
    refused("", "a unit has 1 to 64 letters");
    refused(&"m.".repeat(40), "a unit has 1 to 64 letters");
    refused("mg/", "\"mg/\" lacks a unit beside a point, a slash or a bracket; mg/L is one");
    refused("(mg/dL", "\"(mg/dL\" opens a bracket that it does not close; mg/dL is one");
    refused("mg/dL)", "\"mg/dL)\" closes a bracket that it does not open; mg/dL is one");
    refused("{beats/min", "\"{beats/min\" opens a brace that it does not close; {beats}/min is one");
    refused("[iU", "\"[iU\" opens a square bracket that it does not close; [iU] is one");
    refused("10*99", "\"10*99\" has a power of 0, or beyond all measures; 10*9/L is one");
    refused("0/L", "\"0/L\" has a factor of 0, or beyond all measures; g/L is one");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,70}") {
        drop(Unit::parse(&text));
    }

    #[test]
    fn no_text_of_the_grammars_letters_panics(text in "[mgdLus0-9*^./(){}\\[\\]'%-]{1,64}") {
        drop(Unit::parse(&text));
    }
}
