//! The conventions that no lint checks.

use crate::source::{Finding, Source};

/// A file holds one idea.
pub(crate) fn files_are_short(sources: &[Source]) -> Vec<Finding> {
    let long = sources.iter().filter(|source| source.is_rust() && source.text.lines().count() > LINES_MAX);
    long.map(|source| source.finding(LINES_MAX, format!("longer than {LINES_MAX} lines: split it"))).collect()
}

/// A test that does not run is no test.
pub(crate) fn no_test_is_ignored(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.is_rust());
    rust.flat_map(|source| {
        let ignored = source.lines().filter(|(_, code)| code.contains("#[ignore"));
        ignored.map(|(line, _)| source.finding(line, "run the test, or count it as skipped with a reason"))
    })
    .collect()
}

/// Nothing is left to be written.
pub(crate) fn nothing_is_left_undone(sources: &[Source]) -> Vec<Finding> {
    let rust = sources.iter().filter(|source| source.is_rust());
    rust.flat_map(|source| {
        let undone = source
            .lines()
            .filter(|(_, code)| ["todo!(", "unimplemented!(", "dbg!("].iter().any(|m| code.contains(m)));
        undone.map(|(line, _)| source.finding(line, "write it, or leave it out"))
    })
    .collect()
}

/// Production code returns errors, or states an invariant.
pub(crate) fn production_code_does_not_unwrap(sources: &[Source]) -> Vec<Finding> {
    let advice = "return an error, or expect(\"…\") with the invariant that makes failure impossible";
    sources.iter().flat_map(|source| source.find(".unwrap()", advice)).collect()
}

/// Every crate has the workspace's lints, and the workspace forbids unsafe code.
pub(crate) fn every_crate_has_the_workspaces_lints(sources: &[Source]) -> Vec<Finding> {
    let manifests = sources.iter().filter(|source| source.path.ends_with("Cargo.toml"));
    let expected = |source: &Source| {
        if source.path == "Cargo.toml" { "unsafe_code = \"forbid\"" } else { "[lints]\nworkspace = true" }
    };
    let without = manifests.filter(|source| !source.text.contains(expected(source)));
    without.map(|source| source.finding(1, format!("add {:?}", expected(source)))).collect()
}

/// One TLS, one cryptographic provider, one version of what crosses crates.
pub(crate) fn one_version_of_what_carries_trust(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for lock in sources.iter().filter(|source| source.path == "Cargo.lock") {
        let places = |name: &str| {
            let entry = format!("name = \"{name}\"");
            lock.text
                .lines()
                .enumerate()
                .filter(|(_, line)| *line == entry)
                .map(|(i, _)| i + 1)
                .collect::<Vec<_>>()
        };
        for name in ["aws-lc-rs", "aws-lc-sys", "native-tls", "reqwest", "boring"] {
            findings.extend(
                places(name).first().map(|&line| {
                    lock.finding(line, format!("{name}: find who brings it in and turn that off"))
                }),
            );
        }
        for name in ["rustls", "ring", "tonic", "prost", "tokio", "hyper"] {
            findings.extend(
                places(name)
                    .get(1)
                    .map(|&line| lock.finding(line, format!("a second {name}: agree on one version"))),
            );
        }
    }
    findings
}

/// The repository works from any folder of any machine.
pub(crate) fn no_file_names_a_path_of_one_machine(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path != "Cargo.lock") {
        // Tests of path handling may name any path.
        let lines = if source.is_rust() { source.production().count() } else { usize::MAX };
        for (i, line) in source.text.lines().take(lines).enumerate() {
            let named = ["/home/", "/root/", "/Users/"].iter().any(|path| line.contains(path));
            if named {
                findings.push(source.finding(i + 1, "name it relative to the checkout or to a variable"));
            }
        }
    }
    findings
}

/// The map in `docs/ARCHITECTURE.md` has every crate on it.
pub(crate) fn the_code_map_names_every_crate(sources: &[Source]) -> Vec<Finding> {
    let Some(map) = sources.iter().find(|source| source.path == "docs/ARCHITECTURE.md") else {
        return Vec::new();
    };
    let manifests = sources.iter().filter_map(|source| source.path.strip_suffix("/Cargo.toml"));
    let missing = manifests.filter(|folder| !map.text.contains(&format!("### `{folder}`")));
    missing.map(|folder| map.finding(1, format!("the code map has no section ### `{folder}`"))).collect()
}

/// A claim rests on a test that exists.
pub(crate) fn every_claims_tests_exist(sources: &[Source]) -> Vec<Finding> {
    let is_test = |name: &str| {
        let function = format!("fn {name}(");
        sources
            .iter()
            .any(|source| source.is_rust() && source.lines().any(|(_, code)| code.contains(&function)))
    };
    let claims = |source: &'_ Source| {
        let (_, section) = CLAIMS.iter().find(|(path, _)| source.path == *path)?;
        let rows = source.lines().skip_while(|(_, line)| !line.starts_with(section));
        let names = rows
            .filter(|(_, line)| line.starts_with('|'))
            .flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |name| (number, name)))
            .filter(|(_, name)| !is_test(name))
            .map(|(number, name)| source.finding(number, format!("there is no test {name}")));
        Some(names.collect::<Vec<_>>())
    };
    sources.iter().filter_map(claims).flatten().collect()
}

/// Documents with tables of claims and the tests that would fail, and the sections that these are in.
const CLAIMS: [(&str, &str); 2] =
    [("docs/PRIVACY.md", "## Claims"), ("docs/PROTOCOL.md", "## What is covered, and by which test")];

const LINES_MAX: usize = 400;
