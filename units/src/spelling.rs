//! Spellings that are no codes of UCUM, or are codes of something that nobody means.

use crate::atoms;

/// The longest text that is read as a unit.
pub(crate) const LENGTH_MAX: usize = 64;

/// Why a text is refused that is a unit of UCUM.
pub(crate) struct Hint(pub(crate) &'static str);

/// Returns the code of UCUM that a text stands for; itself, where no other is known.
pub(crate) fn code(text: &str) -> Result<String, Hint> {
    if let Some((_, hint)) = HINTS.iter().find(|(unit, _)| *unit == text) {
        return Err(Hint(hint));
    }
    let plain = plain(text);
    if let Some((_, code)) = WHOLE.iter().find(|(unit, _)| *unit == plain) {
        return Ok((*code).to_owned());
    }
    let mut code = String::new();
    let mut rest = plain.as_str();
    while !rest.is_empty() {
        let end = component_end(rest);
        code.push_str(&component(&rest[..end]));
        let next = rest[end..].chars().next().map_or(0, char::len_utf8);
        code.push_str(&rest[end..end + next]);
        rest = &rest[end + next..];
    }
    Ok(code)
}

/// Finds the unit in use that is written most alike, if one is.
pub(crate) fn nearest(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let candidates = USUAL.iter().copied().chain(atoms::codes());
    let far = |unit: &str| (distance(&lower, &unit.to_lowercase()), distance(text, unit));
    let best = candidates.min_by_key(|unit| far(unit))?;
    let most = if text.chars().count() > 3 { 2 } else { 1 };
    (far(best).0 <= most).then(|| best.to_owned())
}

/// Writes signs of one meaning in one way, outside annotations: micro, powers, points, blanks beside signs.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut in_braces = false;
    for letter in text.chars() {
        in_braces = (in_braces || letter == '{') && letter != '}';
        if in_braces || letter == '}' {
            plain.push(letter);
            continue;
        }
        match letter {
            '\u{b5}' | '\u{3bc}' => plain.push('u'),
            '\u{b7}' | '\u{22c5}' | '\u{2219}' => plain.push('.'),
            '\u{d7}' => plain.push('x'),
            '\u{207b}' | '\u{2212}' => plain.push('-'),
            c if c.is_whitespace() && plain.ends_with(['/', '.', ' ', '^']) => {}
            c if c.is_whitespace() => plain.push(' '),
            '/' | '.' | '^' => {
                plain.truncate(plain.trim_end_matches(' ').len());
                plain.push(letter);
            }
            c => match SUPERSCRIPTS.iter().position(|&superscript| superscript == c) {
                Some(digit) => {
                    if plain.ends_with("10") {
                        plain.push('*');
                    }
                    plain.push_str(&digit.to_string());
                }
                None => plain.push(c),
            },
        }
    }
    plain
}

/// Returns where the component ends with which a text begins.
fn component_end(text: &str) -> usize {
    let mut closing = None;
    for (at, letter) in text.char_indices() {
        match (closing, letter) {
            (None, '[') => closing = Some(']'),
            (None, '{') => closing = Some('}'),
            (None, '.' | '/' | '(' | ')') => return at,
            (Some(end), letter) if letter == end => closing = None,
            (None | Some(_), _) => {}
        }
    }
    text.len()
}

/// Returns the code of a unit without points and slashes.
fn component(text: &str) -> String {
    let (text, note) = text.split_at(text.find('{').unwrap_or(text.len()));
    if let Some((_, code)) = WORDS.iter().find(|(word, _)| *word == text) {
        return format!("{code}{note}");
    }
    // x10^9, x 10*9, 10e9: powers of ten.
    let ten = text.strip_prefix('x').unwrap_or(text).trim_start();
    if let Some(power) = ["10e", "10E", "10x", "10^", "10*", "10**"].iter().find_map(|ten_to| {
        let power = ten.strip_prefix(ten_to)?;
        let digits = power.strip_prefix(['-', '+']).unwrap_or(power);
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(power)
    }) {
        return format!("10*{power}{note}");
    }
    // m^2, cm^-1 and sec2.
    let text = text.replacen('^', "", 1);
    let base = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let base = base.strip_suffix(['-', '+']).unwrap_or(base);
    let power = &text[base.len()..];
    let base = WORDS.iter().find(|(word, _)| *word == base).map_or(base, |(_, code)| code);
    format!("{base}{power}{note}")
}

/// Counts the letters to insert, remove or replace (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

const SUPERSCRIPTS: [char; 10] = [
    '\u{2070}', '\u{b9}', '\u{b2}', '\u{b3}', '\u{2074}', '\u{2075}', '\u{2076}', '\u{2077}', '\u{2078}',
    '\u{2079}',
];

/// Units of UCUM that are refused, since most who write them mean another.
const HINTS: &[(&str, &str)] = &[
    ("C", "is the coulomb: degrees Celsius are Cel"),
    ("F", "is the farad: degrees Fahrenheit are [degF]"),
    ("units", "says not which: enzyme units are U, international ones [iU]"),
    ("unit", "says not which: enzyme units are U, international ones [iU]"),
    ("M", "is a prefix: moles in a litre are mol/L"),
    ("G", "is the gauss: grams are g"),
    ("u/L", "is daltons in a litre: enzyme units are U/L"),
    ("u/l", "is daltons in a litre: enzyme units are U/L"),
];

/// Whole texts. Capitals matter: g/L are grams, and G/L a thousand million cells.
const WHOLE: &[(&str, &str)] = &[
    ("K/uL", "10*3/uL"),
    ("k/uL", "10*3/uL"),
    ("K/mm3", "10*3/uL"),
    ("K/cumm", "10*3/uL"),
    ("thou/uL", "10*3/uL"),
    ("M/uL", "10*6/uL"),
    ("mil/uL", "10*6/uL"),
    ("M/mm3", "10*6/uL"),
    ("G/L", "10*9/L"),
    ("T/L", "10*12/L"),
    ("bpm", "{beats}/min"),
    ("beats per minute", "{beats}/min"),
    ("breaths per minute", "{breaths}/min"),
    ("per minute", "/min"),
    ("mL/min/1.73m2", "mL/min/{1.73_m2}"),
    ("mL/min/1.73 m2", "mL/min/{1.73_m2}"),
    ("mL/min/1.73m^2", "mL/min/{1.73_m2}"),
    ("mL/min/1.73", "mL/min/{1.73_m2}"),
    ("ml/min/1.73", "mL/min/{1.73_m2}"),
    ("ml/min/1.73m2", "mL/min/{1.73_m2}"),
    ("ml/min/1.73 m2", "mL/min/{1.73_m2}"),
    ("ml/min/1.73m^2", "mL/min/{1.73_m2}"),
    ("pH", "[pH]"),
    ("PH", "[pH]"),
    ("deg C", "Cel"),
    ("deg F", "[degF]"),
    ("\u{b0} C", "Cel"),
    ("\u{b0} F", "[degF]"),
    ("percent", "%"),
];

/// Words between points and slashes.
const WORDS: &[(&str, &str)] = &[
    ("years", "a"),
    ("year", "a"),
    ("yrs", "a"),
    ("yr", "a"),
    ("y", "a"),
    ("months", "mo"),
    ("month", "mo"),
    ("weeks", "wk"),
    ("week", "wk"),
    ("days", "d"),
    ("day", "d"),
    ("hours", "h"),
    ("hour", "h"),
    ("hrs", "h"),
    ("hr", "h"),
    ("minutes", "min"),
    ("minute", "min"),
    ("mins", "min"),
    ("seconds", "s"),
    ("second", "s"),
    ("secs", "s"),
    ("sec", "s"),
    ("msec", "ms"),
    ("mmHg", "mm[Hg]"),
    ("mm Hg", "mm[Hg]"),
    ("cmH2O", "cm[H2O]"),
    ("cm H2O", "cm[H2O]"),
    ("degC", "Cel"),
    ("\u{b0}C", "Cel"),
    ("\u{2103}", "Cel"),
    ("celsius", "Cel"),
    ("Celsius", "Cel"),
    ("degF", "[degF]"),
    ("\u{b0}F", "[degF]"),
    ("fahrenheit", "[degF]"),
    ("Fahrenheit", "[degF]"),
    ("IU", "[iU]"),
    ("kIU", "k[iU]"),
    ("mIU", "m[iU]"),
    ("uIU", "u[iU]"),
    ("mcg", "ug"),
    ("mcL", "uL"),
    ("mcmol", "umol"),
    ("gm", "g"),
    ("gram", "g"),
    ("grams", "g"),
    ("Kg", "kg"),
    ("kgs", "kg"),
    ("lb", "[lb_av]"),
    ("lbs", "[lb_av]"),
    ("oz", "[oz_av]"),
    ("in", "[in_i]"),
    ("inch", "[in_i]"),
    ("inches", "[in_i]"),
    ("ft", "[ft_i]"),
    ("feet", "[ft_i]"),
    ("cc", "mL"),
    ("cumm", "mm3"),
    ("mEq", "meq"),
    ("uEq", "ueq"),
    ("Eq", "eq"),
    ("mOsm", "mosm"),
    ("mOsmol", "mosm"),
    ("mosmol", "mosm"),
    ("Osm", "osm"),
    ("mM", "(mmol/L)"),
    ("uM", "(umol/L)"),
    ("nM", "(nmol/L)"),
    ("pM", "(pmol/L)"),
    ("hpf", "[HPF]"),
    ("HPF", "[HPF]"),
    ("lpf", "[LPF]"),
    ("LPF", "[LPF]"),
    ("cells", "{cells}"),
    ("copies", "{copies}"),
    ("beats", "{beats}"),
    ("breaths", "{breaths}"),
    ("score", "{score}"),
    ("points", "{points}"),
    ("ratio", "{ratio}"),
    ("index", "{index}"),
];

/// What unknown texts are compared with, besides the atoms.
const USUAL: &[&str] = &[
    "mg/dL",
    "g/dL",
    "ug/dL",
    "ng/dL",
    "mg/L",
    "g/L",
    "ug/L",
    "ng/mL",
    "pg/mL",
    "ng/L",
    "mmol/L",
    "umol/L",
    "nmol/L",
    "pmol/L",
    "mmol/mol",
    "meq/L",
    "mosm/kg",
    "U/L",
    "ukat/L",
    "[iU]/L",
    "m[iU]/L",
    "u[iU]/mL",
    "[iU]/mL",
    "10*3/uL",
    "10*6/uL",
    "10*9/L",
    "10*12/L",
    "/min",
    "{beats}/min",
    "{breaths}/min",
    "mm[Hg]",
    "kPa",
    "cm[H2O]",
    "kg/m2",
    "mL/min",
    "mL/min/{1.73_m2}",
    "L/min",
    "mL/kg",
    "mg/kg",
    "kg",
    "mg",
    "ug",
    "ng",
    "cm",
    "mm",
    "um",
    "mL",
    "dL",
    "uL",
    "fL",
    "ms",
    "mV",
    "kcal",
    "{score}",
    "mmHg",
    "years",
    "months",
    "days",
    "hours",
    "minutes",
    "seconds",
];
