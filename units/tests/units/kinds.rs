//! Which units are comparable, rule by rule.

use fedtwin_units::{Analyte, NotComparable, Unit, conversion};

fn analyte(molar_mass: Option<f64>, valence: Option<u8>) -> Analyte {
    let valence = valence.map(|valence| valence.try_into().unwrap());
    Analyte { molar_mass: molar_mass.map(|mass| mass.try_into().unwrap()), valence }
}

fn one(from: &str, to: &str, analyte: &Analyte) -> Result<f64, NotComparable> {
    let (from, to) = (Unit::parse(from).unwrap(), Unit::parse(to).unwrap());
    let there = from.conversion_to(&to, analyte);
    // What is comparable is so both ways.
    assert_eq!(there.is_ok(), to.conversion_to(&from, analyte).is_ok(), "{} {}", from.code(), to.code());
    there.map(|there| there.apply(&"1".parse().unwrap()))
}

fn fits(from: &str, to: &str, expected: f64) {
    assert_eq!(one(from, to, &Analyte::default()), Ok(expected), "{from} {to}");
}

fn differs(from: &str, to: &str, expected: &str) {
    let found = one(from, to, &Analyte::default());
    assert_eq!(found.map_err(|e| e.to_string()), Err(expected.to_owned()), "{from} {to}");
}

#[test]
fn what_is_one_dimension_for_ucum_may_be_several_kinds() {
    differs("10*9/L", "mmol/L", "one is measured in /m3, the other in mol/m3");
    differs("meq/L", "mosm/L", "one is measured in eq/m3, the other in osm/m3");
    differs("mosm/kg", "mmol/kg", "one is measured in osm/g, the other in mol/g");
    differs("[iU]/L", "U/L", "one is measured in [iU]/m3, the other in mol/m3/s");
    differs("[iU]/L", "[arb'U]/L", "one is measured in [iU]/m3, the other in [arb'U]/m3");
    differs("[iU]", "1", "one is measured in [iU], the other in 1");
    differs("Bq", "Hz", "one is measured in Bq, the other in /s");
    differs("Gy", "Sv", "one is measured in Gy, the other in Sv");
    differs("deg", "rad", "one is measured in deg, the other in rad");
    differs("[HPF]", "1", "one is measured in [HPF], the other in 1");
    fits("m[iU]/L", "u[IU]/mL", 1.0);
    fits("U/L", "kat/L", 1.0 / 6e7);
    fits("U/L", "umol/min/L", 1.0);
}

#[test]
fn logarithms_are_comparable_with_themselves_alone() {
    differs("[pH]", "mol/L", "one is measured in [pH], the other in mol/m3");
    differs("[pH]", "1", "one is measured in [pH], the other in 1");
    differs("B", "Np", "one is measured in B, the other in Np");
    differs("B[V]", "V", "one is measured in B[V], the other in g.m2/C/s2");
    fits("dB", "B", 0.1);
    fits("[pH]", "[pH]", 1.0);
}

#[test]
fn shares_are_numbers_and_no_masses_amounts_or_scores() {
    fits("%", "1", 0.01);
    fits("%", "L/L", 0.01);
    fits("mL/L", "[ppth]", 1.0);
    fits("mmol/mol", "umol/mmol", 1.0);
    fits("mg/g", "ug/mg", 1.0);
    differs("mmol/mol", "%", "one is measured in mol/mol, the other in 1");
    differs("mg/g", "%", "one is measured in g/g, the other in 1");
    differs("mmol/mol", "mg/g", "one is measured in mol/mol, the other in g/g");
    differs("%", "{score}", "a share of a whole is no {score}");
    differs("{score}", "L/L", "a share of a whole is no {score}");
    fits("{score}", "1", 1.0);
    fits("%{saturation}", "%", 1.0);
}

#[test]
fn annotations_are_equal_or_one_is_absent() {
    fits("{beats}/min", "/min", 1.0);
    fits("/min", "{breaths}/min", 1.0);
    fits("{beats}/min", "{beats}/h", 60.0);
    fits("mg/g{creat}", "mg/g", 1.0);
    differs("{beats}/min", "{breaths}/min", "{beats} is something else than {breaths}");
    differs("mg{alb}/g", "mg/g{creat}", "{alb} is something else than {creat}");
}

#[test]
fn what_is_counted_below_the_line_is_a_divisor() {
    fits("mL/min/{1.73_m2}", "L/h/{1.73_m2}", 0.06);
    differs("mL/min/{1.73_m2}", "mL/min", "one is by 1.73_m2, the other by nothing");
    differs("/{HPF}", "/{LPF}", "one is by HPF, the other by LPF");
    differs("/100{WBC}", "%", "one is by WBC, the other by nothing");
}

#[test]
fn a_mass_becomes_an_amount_by_the_molar_mass_alone() {
    let glucose = analyte(Some(180.156), None);
    assert_eq!(one("mg/dL", "mmol/L", &Analyte::default()), Err(NotComparable::MolarMassNeeded));
    assert_eq!(one("mg/dL", "mmol/L", &glucose), Ok(2500.0 / 45_039.0));
    assert_eq!(one("mmol/L", "mg/dL", &glucose), Ok(18.0156));
    assert_eq!(one("mg/mmol", "mg/g", &analyte(Some(113.12), None)), Ok(100_000.0 / 11_312.0));
    // A unit without either is as before, and of two changes at once nobody knows whose molar mass it is.
    assert_eq!(one("mg/dL", "g/L", &glucose), Ok(0.01));
    assert!(matches!(one("mg/g", "mmol/mol", &glucose), Err(NotComparable::Kinds { .. })));
    assert!(matches!(one("mg/dL", "mmol/kg", &glucose), Err(NotComparable::Kinds { .. })));
    assert!(matches!(one("kg.m/s2", "m/s2", &glucose), Err(NotComparable::Kinds { .. })));
    assert!(matches!(one("mosm/kg", "mg/kg", &glucose), Err(NotComparable::Kinds { .. })));
}

#[test]
fn equivalents_become_amounts_by_the_valence_alone() {
    let calcium = analyte(Some(40.078), Some(2));
    assert_eq!(one("meq/L", "mmol/L", &Analyte::default()), Err(NotComparable::ValenceNeeded));
    assert_eq!(
        one("meq/L", "mg/dL", &analyte(Some(40.078), None)),
        Err(NotComparable::ValenceAndMolarMassNeeded)
    );
    assert_eq!(one("meq/L", "mmol/L", &calcium), Ok(0.5));
    assert_eq!(one("mmol/L", "meq/L", &calcium), Ok(2.0));
    assert_eq!(one("meq/L", "mg/dL", &calcium), Ok(2.0039));
    assert_eq!(one("mg/dL", "meq/L", &calcium), Ok(20_000.0 / 40_078.0));
}

#[test]
fn temperatures_keep_their_zeros() {
    let check = |from: &str, to: &str, x: &str, expected: f64| {
        let there = conversion(from, to, &Analyte::default()).unwrap();
        assert_eq!(there.apply(&x.parse().unwrap()).to_bits(), expected.to_bits(), "{x} {from}");
    };
    check("[degF]", "Cel", "98.6", 37.0);
    check("Cel", "[degF]", "37", 98.6);
    check("Cel", "K", "36.6", 309.75);
    check("K", "Cel", "0", -273.15);
    check("Cel{oral}", "Cel", "36.6", 36.6);
    assert!(!Unit::parse("Cel").unwrap().has_true_zero());
    assert!(!Unit::parse("[pH]").unwrap().has_true_zero());
    assert!(Unit::parse("K").unwrap().has_true_zero());
    assert!(Unit::parse("mg/dL").unwrap().has_true_zero());
}

#[test]
fn constants_of_substances_are_above_zero() {
    for grams in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e10] {
        assert!(fedtwin_units::MolarMass::try_from(grams).is_err(), "{grams}");
    }
    for charges in [0, 10] {
        assert!(fedtwin_units::Valence::try_from(charges).is_err(), "{charges}");
    }
}
