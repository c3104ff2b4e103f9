//! Reading from a test run what was skipped for want of data.
//!
//! A test that lacks its data prints a line `skipped: <why>` and passes, so that no runner needs to know of it.

/// Names a test that did nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    /// The test, with its package where the runner says it.
    pub(crate) test: String,
    /// What it lacked.
    pub(crate) why: String,
}

/// Holds what a test run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Tests that ran, the skipped ones included.
    pub(crate) run: usize,
    /// Tests that failed.
    pub(crate) failed: usize,
    /// Tests that lacked their data.
    pub(crate) skips: Vec<Skip>,
}

impl Report {
    /// Reads a JUnit file as nextest writes it.
    pub(crate) fn from_junit(xml: &str) -> Self {
        let mut report = Self::default();
        for case in xml.split("<testcase ").skip(1) {
            let case = case.split("</testcase>").next().unwrap_or(case);
            report.run += 1;
            report.failed += usize::from(case.contains("<failure") || case.contains("<error"));
            let test = format!("{} {}", attribute(case, "classname"), attribute(case, "name"));
            let output = case.split_once("<system-out>").map_or("", |(_, output)| output);
            report.skips.extend(why(&unescape(output)).map(|why| Skip { test, why }));
        }
        report
    }

    /// Reads what `cargo test -- --show-output` prints.
    pub(crate) fn from_cargo_test(output: &str) -> Self {
        let mut report = Self::default();
        let mut test = String::new();
        for line in output.lines() {
            if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----"))
            {
                name.clone_into(&mut test);
            } else if let Some(result) = line.strip_prefix("test result: ") {
                let (passed, failed) = (count(result, "passed"), count(result, "failed"));
                report.run += passed + failed;
                report.failed += failed;
                test.clear();
            } else if let (false, Some(why)) = (test.is_empty(), why(line)) {
                report.skips.push(Skip { test: std::mem::take(&mut test), why });
            }
        }
        report
    }
}

/// Finds the reason in a test's output.
fn why(output: &str) -> Option<String> {
    let reason = output.lines().find_map(|line| line.trim_start().strip_prefix("skipped: "))?;
    Some(reason.trim_end().to_owned())
}

fn attribute(element: &str, name: &str) -> String {
    let start = format!("{name}=\"");
    // The attribute `classname` ends in `name`: only one after a blank, or at the start, is meant.
    let at =
        element.match_indices(&start).map(|(at, _)| at).find(|at| *at == 0 || element[..*at].ends_with(' '));
    let value = at.and_then(|at| element[at + start.len()..].split('"').next());
    unescape(value.unwrap_or("?"))
}

fn unescape(text: &str) -> String {
    let plain = text.split("</system-out>").next().unwrap_or(text);
    plain
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

/// Reads the number before a word in `ok. 3 passed; 0 failed; ...`.
fn count(result: &str, word: &str) -> usize {
    let mut parts = result.split([' ', ';']).filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        if parts.peek() == Some(&word) {
            return part.parse().unwrap_or(0);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_gives_counts_and_skips_of_passing_tests() {
        let xml = r#"<testsuites><testsuite name="a">
            <testcase name="x::needs_data" classname="fedtwin-cohort" time="0.0"><system-out>
running 1 test
skipped: no folder &quot;uci_heart&quot;
test x::needs_data ... ok</system-out></testcase>
            <testcase name="y::fails" classname="fedtwin-cohort" time="0.0"><failure/><system-out>no</system-out></testcase>
            <testcase name="z::passes" classname="fedtwin-plan" time="0.0"/>
            </testsuite></testsuites>"#;
        let report = Report::from_junit(xml);
        let skip = Skip {
            test: "fedtwin-cohort x::needs_data".to_owned(),
            why: "no folder \"uci_heart\"".to_owned(),
        };
        assert_eq!(report, Report { run: 3, failed: 1, skips: vec![skip] });
    }

    #[test]
    fn cargo_test_gives_counts_and_skips_of_all_its_binaries() {
        let output = "running 2 tests\n---- a stdout ----\nskipped: no data\nskipped: twice\n\n---- b stdout ----\nhello\n\
            test result: ok. 2 passed; 0 failed; 0 ignored\nskipped: not in a test\n\
            test result: FAILED. 3 passed; 1 failed; 0 ignored\n";
        let skip = Skip { test: "a".to_owned(), why: "no data".to_owned() };
        assert_eq!(Report::from_cargo_test(output), Report { run: 6, failed: 1, skips: vec![skip] });
    }

    #[test]
    fn an_empty_run_is_an_empty_report() {
        assert_eq!(Report::from_junit(""), Report::default());
        assert_eq!(Report::from_cargo_test(""), Report::default());
    }
}
