//! The atoms and prefixes of UCUM that hospitals use, each as its definition has it.
//!
//! From UCUM 2.2 (the Unified Code for Units of Measure, Regenstrief Institute, 2024), tables 1 to 20: the number and the unit
//! by which each atom is defined, as decimals, so that every factor between them is exact. Left out on purpose are units
//! that nobody measures patients in (typographic and British ones, wires, homeopathic dilutions), and pi, which has no
//! decimal: degrees and radians are two quantities here.

use dashu_ratio::RBig;

use crate::decimal::Decimal;

/// One unit of UCUM without a prefix.
#[derive(Debug)]
pub(crate) struct Atom {
    pub(crate) code: &'static str,
    /// Whether prefixes go with it.
    is_metric: bool,
    pub(crate) meaning: Meaning,
}

/// What an atom stands for.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// A quantity of its own, which no other atom measures.
    Own,
    /// So many of another unit.
    Of(&'static str, &'static str),
    /// So many of one: a share of the whole.
    Share(&'static str),
    /// A scale of temperature: its degree in kelvin, and what absolute zero is below its 0, in its degrees.
    Scale { degree: [&'static str; 2], zero: &'static str },
}

/// Finds a symbol's atom and the factor of its prefix; an atom of the whole symbol comes before any prefix, as in `cd`.
pub(crate) fn find(symbol: &str) -> Option<(RBig, &'static Atom)> {
    let atom = |code: &str| ATOMS.iter().find(|atom| atom.code == code);
    if let Some(atom) = atom(symbol) {
        return Some((RBig::ONE, atom));
    }
    PREFIXES.iter().find_map(|(prefix, factor)| {
        let atom = atom(symbol.strip_prefix(prefix)?).filter(|atom| atom.is_metric)?;
        Some((number(factor), atom))
    })
}

/// Returns the codes of all atoms.
pub(crate) fn codes() -> impl Iterator<Item = &'static str> {
    ATOMS.iter().map(|atom| atom.code)
}

/// Reads a number of the tables below.
pub(crate) fn number(text: &str) -> RBig {
    text.parse::<Decimal>().expect("the tables hold decimal numbers").ratio()
}

const fn own(code: &'static str, is_metric: bool) -> Atom {
    Atom { code, is_metric, meaning: Meaning::Own }
}

/// A unit that takes prefixes.
const fn metric(code: &'static str, value: &'static str, unit: &'static str) -> Atom {
    Atom { code, is_metric: true, meaning: Meaning::Of(value, unit) }
}

/// A unit that takes none.
const fn of(code: &'static str, value: &'static str, unit: &'static str) -> Atom {
    Atom { code, is_metric: false, meaning: Meaning::Of(value, unit) }
}

const fn share(code: &'static str, value: &'static str) -> Atom {
    Atom { code, is_metric: false, meaning: Meaning::Share(value) }
}

const fn scale(code: &'static str, degree: [&'static str; 2], zero: &'static str) -> Atom {
    Atom { code, is_metric: false, meaning: Meaning::Scale { degree, zero } }
}

/// `da` before `d`, which begins it.
const PREFIXES: &[(&str, &str)] = &[
    ("da", "1e1"),
    ("Y", "1e24"),
    ("Z", "1e21"),
    ("E", "1e18"),
    ("P", "1e15"),
    ("T", "1e12"),
    ("G", "1e9"),
    ("M", "1e6"),
    ("k", "1e3"),
    ("h", "1e2"),
    ("d", "1e-1"),
    ("c", "1e-2"),
    ("m", "1e-3"),
    ("u", "1e-6"),
    ("n", "1e-9"),
    ("p", "1e-12"),
    ("f", "1e-15"),
    ("a", "1e-18"),
    ("z", "1e-21"),
    ("y", "1e-24"),
];

const ATOMS: &[Atom] = &[
    // Base quantities.
    own("m", true),
    own("s", true),
    own("g", true),
    own("rad", true),
    own("K", true),
    own("C", true),
    own("cd", true),
    // Of one dimension for UCUM and of different kinds for medicine.
    own("mol", true),
    own("eq", true),
    own("osm", true),
    own("Bq", true),
    own("Gy", true),
    own("Sv", true),
    own("deg", false),
    // Logarithms: numbers of one scale are the same scale's alone.
    own("[pH]", false),
    own("Np", true),
    own("B", true),
    own("B[SPL]", true),
    own("B[V]", true),
    own("B[mV]", true),
    own("B[uV]", true),
    own("B[W]", true),
    // Arbitrary units: defined by a procedure, each by its own.
    own("[iU]", true),
    metric("[IU]", "1", "[iU]"),
    own("[arb'U]", false),
    own("[USP'U]", false),
    own("[GPL'U]", false),
    own("[MPL'U]", false),
    own("[APL'U]", false),
    own("[beth'U]", false),
    own("[anti'Xa'U]", false),
    own("[todd'U]", false),
    own("[dye'U]", false),
    own("[smgy'U]", false),
    own("[bdsk'U]", false),
    own("[ka'U]", false),
    own("[knk'U]", false),
    own("[mclg'U]", false),
    own("[tb'U]", false),
    own("[hnsf'U]", false),
    own("[CCID_50]", false),
    own("[TCID_50]", false),
    own("[EID_50]", false),
    own("[PFU]", false),
    own("[FFU]", false),
    own("[CFU]", false),
    own("[IR]", false),
    own("[BAU]", false),
    own("[AU]", false),
    own("[Amb'a'1'U]", false),
    own("[PNU]", false),
    own("[Lf]", false),
    own("[D'ag'U]", false),
    own("[FEU]", false),
    own("[ELU]", false),
    own("[EU]", false),
    own("[NTU]", false),
    own("[FNU]", false),
    // Fields of a microscope, whose sizes differ between microscopes.
    own("[HPF]", false),
    own("[LPF]", false),
    // Numbers and shares.
    of("10*", "10", "1"),
    of("10^", "10", "1"),
    share("%", "1e-2"),
    share("[ppth]", "1e-3"),
    share("[ppm]", "1e-6"),
    share("[ppb]", "1e-9"),
    share("[pptr]", "1e-12"),
    // SI.
    metric("sr", "1", "rad2"),
    metric("Hz", "1", "s-1"),
    metric("N", "1", "kg.m/s2"),
    metric("Pa", "1", "N/m2"),
    metric("J", "1", "N.m"),
    metric("W", "1", "J/s"),
    metric("A", "1", "C/s"),
    metric("V", "1", "J/C"),
    metric("F", "1", "C/V"),
    metric("Ohm", "1", "V/A"),
    metric("S", "1", "Ohm-1"),
    metric("Wb", "1", "V.s"),
    metric("T", "1", "Wb/m2"),
    metric("H", "1", "Wb/A"),
    metric("lm", "1", "cd.sr"),
    metric("lx", "1", "lm/m2"),
    metric("kat", "1", "mol/s"),
    metric("U", "1", "umol/min"),
    scale("Cel", ["1", "1"], "273.15"),
    scale("[degF]", ["5", "9"], "459.67"),
    of("'", "1", "deg/60"),
    of("''", "1", "'/60"),
    of("gon", "0.9", "deg"),
    metric("l", "1", "dm3"),
    metric("L", "1", "l"),
    metric("ar", "100", "m2"),
    of("min", "60", "s"),
    of("h", "60", "min"),
    of("d", "24", "h"),
    of("wk", "7", "d"),
    of("a_t", "365.24219", "d"),
    of("a_j", "365.25", "d"),
    of("a_g", "365.2425", "d"),
    of("a", "1", "a_j"),
    of("mo_s", "29.53059", "d"),
    of("mo_j", "1", "a_j/12"),
    of("mo_g", "1", "a_g/12"),
    of("mo", "1", "mo_j"),
    metric("t", "1e3", "kg"),
    metric("bar", "1e5", "Pa"),
    metric("u", "1.66053906660e-24", "g"),
    metric("eV", "1.602176634e-19", "J"),
    // Older and customary ones.
    of("[g]", "9.80665", "m/s2"),
    metric("gf", "1", "g.[g]"),
    of("[lbf_av]", "1", "[lb_av].[g]"),
    of("atm", "101325", "Pa"),
    of("[psi]", "1", "[lbf_av]/[in_i]2"),
    metric("dyn", "1", "g.cm/s2"),
    metric("erg", "1", "dyn.cm"),
    metric("P", "1", "dyn.s/cm2"),
    metric("St", "1", "cm2/s"),
    metric("G", "1e-4", "T"),
    metric("Ci", "37e9", "Bq"),
    metric("R", "2.58e-4", "C/kg"),
    metric("RAD", "1e-2", "Gy"),
    metric("REM", "1e-2", "Sv"),
    metric("cal", "4.184", "J"),
    metric("cal_th", "4.184", "J"),
    metric("cal_IT", "4.1868", "J"),
    of("[Cal]", "1", "kcal"),
    of("Ao", "0.1", "nm"),
    of("[in_i]", "2.54", "cm"),
    of("[ft_i]", "12", "[in_i]"),
    of("[yd_i]", "3", "[ft_i]"),
    of("[mi_i]", "5280", "[ft_i]"),
    of("[nmi_i]", "1852", "m"),
    of("[kn_i]", "1", "[nmi_i]/h"),
    of("[sin_i]", "1", "[in_i]2"),
    of("[sft_i]", "1", "[ft_i]2"),
    of("[cin_i]", "1", "[in_i]3"),
    of("[cft_i]", "1", "[ft_i]3"),
    of("[gr]", "64.79891", "mg"),
    of("[lb_av]", "7000", "[gr]"),
    of("[oz_av]", "1", "[lb_av]/16"),
    of("[stone_av]", "14", "[lb_av]"),
    of("[oz_tr]", "480", "[gr]"),
    of("[gal_us]", "231", "[in_i]3"),
    of("[qt_us]", "1", "[gal_us]/4"),
    of("[pt_us]", "1", "[qt_us]/2"),
    of("[foz_us]", "1", "[pt_us]/16"),
    of("[cup_us]", "8", "[foz_us]"),
    of("[tbs_us]", "1", "[foz_us]/2"),
    of("[tsp_us]", "1", "[tbs_us]/3"),
    of("[cup_m]", "240", "mL"),
    of("[foz_m]", "30", "mL"),
    of("[tbs_m]", "15", "mL"),
    of("[tsp_m]", "5", "mL"),
    of("[gal_br]", "4.54609", "l"),
    of("[pt_br]", "1", "[gal_br]/8"),
    of("[foz_br]", "1", "[pt_br]/20"),
    // Clinical ones. UCUM's metre of mercury is 133.3220 kPa, 3 parts in a million below the conventional one.
    metric("m[H2O]", "9.80665", "kPa"),
    metric("m[Hg]", "133.3220", "kPa"),
    of("[in_i'H2O]", "0.0254", "m[H2O]"),
    of("[in_i'Hg]", "0.0254", "m[Hg]"),
    of("[PRU]", "1", "mm[Hg].s/ml"),
    of("[wood'U]", "1", "mm[Hg].min/L"),
    of("[diop]", "1", "/m"),
    of("[Ch]", "1", "mm/3"),
    of("[drp]", "1", "ml/20"),
    of("[MET]", "3.5", "mL/min/kg"),
    metric("g%", "1", "g/dl"),
    of("[S]", "1e-13", "s"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::measure;

    #[test]
    fn every_atom_is_there_once_and_is_defined_by_others() {
        let mut codes: Vec<_> = codes().collect();
        for atom in ATOMS {
            let is_scale = matches!(atom.meaning, Meaning::Scale { .. });
            assert_eq!(measure(atom).is_err(), is_scale, "{}", atom.code);
        }
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }

    /// Another reading of UCUM's table, by the crate `ucum-units`: a magnitude in its base units.
    #[test]
    fn another_library_gives_every_atom_the_same_size() {
        let mut compared = 0;
        for Atom { code, meaning, .. } in ATOMS {
            let (value, unit) = match meaning {
                Meaning::Of(value, unit) => (*value, *unit),
                Meaning::Share(value) => (*value, "1"),
                Meaning::Own | Meaning::Scale { .. } => continue,
            };
            // Its absorbed doses are energies by mass, and its counts of decays frequencies; ratios of them are the same.
            let expected = ucum::analyze(code).unwrap_or_else(|error| panic!("{code}: {error}"));
            let by = ucum::analyze(unit).unwrap_or_else(|error| panic!("{unit}: {error}"));
            let ratio = expected.factor / by.factor / number(value).to_f64().value();
            assert!((ratio - 1.0).abs() < 1e-13, "{code}: {ratio}");
            assert_eq!(expected.dimension, by.dimension, "{code}");
            compared += 1;
        }
        assert!(compared > 90, "{compared}");
    }

    #[test]
    fn temperatures_begin_where_another_library_lets_them() {
        for code in ["Cel", "[degF]"] {
            let (_, Atom { meaning, .. }) = find(code).unwrap();
            let Meaning::Scale { degree: [over, under], zero } = meaning else { panic!("{code} is a scale") };
            let found = ucum::analyze(code).unwrap();
            let degree = number(over) / number(under);
            assert!((found.factor - degree.to_f64().value()).abs() < 1e-15, "{code}");
            assert!((found.offset - (number(zero) * degree).to_f64().value()).abs() < 1e-12, "{code}");
        }
    }

    #[test]
    fn an_atom_comes_before_a_prefix_and_a_prefix_goes_with_metric_atoms_alone() {
        let found = |symbol: &str| find(symbol).map(|(factor, atom)| (factor, atom.code));
        assert_eq!(found("cd"), Some((RBig::ONE, "cd")));
        assert_eq!(found("dag"), Some((number("10"), "g")));
        assert_eq!(found("mm[Hg]"), Some((number("1e-3"), "m[Hg]")));
        assert_eq!(found("min"), Some((RBig::ONE, "min")));
        for symbol in ["kmin", "mug", "k%", "k", ""] {
            assert_eq!(found(symbol), None, "{symbol}");
        }
    }
}
