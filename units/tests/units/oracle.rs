//! The golden table held against another language: `pint` and `ucumvert`, where a Python has them.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::golden::rows;

/// Says which Python has the libraries.
#[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
fn python() -> Option<String> {
    let python = std::env::var("FEDTWIN_PYTHON").ok().filter(|path| !path.is_empty());
    let python = python.unwrap_or_else(|| "python3".to_owned());
    let has = Command::new(&python)
        .args(["-c", "import ucumvert"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status();
    if has.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    println!("skipped: {python} has no ucumvert; FEDTWIN_PYTHON names one that has");
    None
}

#[test]
fn python_finds_the_same_factors_where_it_is_right() {
    let Some(python) = python() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = String::new();
    let rows: Vec<_> = rows().into_iter().filter(|row| row.analyte.molar_mass.is_none()).collect();
    for row in &rows {
        let expected = row.exact("5.5");
        lines.push_str(&format!("{}\t{}\t{}\t{expected:e}\n", row.loinc, row.from, row.to));
    }
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answer = String::from_utf8(output.stdout).unwrap();
    let wrong: Vec<_> = answer.lines().collect();
    assert_eq!(wrong, WRONG, "compared {}", rows.len());
}

/// Codes of which ucumvert 0.3.2 on pint 0.25.3 has another factor, or none: calcium in equivalents, which are moles there;
/// a pH; pressures in millimetres of mercury, which are the conventional ones and not those of UCUM; and {INR}.
const WRONG: [&str; 7] = ["1995-0", "2744-1", "2703-7", "2019-8", "6301-6", "8480-6", "20584-9"];
