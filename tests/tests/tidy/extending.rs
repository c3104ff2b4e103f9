//! `docs/EXTENDING.md` says what an addition touches, and keeps its word.

use super::source::{Finding, Source};

/// What was added, by its heading, the names that came with it, and how many files it may take.
const ADDITIONS: [(&str, &[&str], usize); 2] = [
    (
        "## Add a model family",
        &[
            "PoissonRate",
            "poisson_rate",
            "poisson-rate",
            "Loss::Poisson",
            "Self::Poisson",
            "Link::Log",
            "Self::Log",
            "CountReport",
            "CountRow",
            "Report::Count",
            "poisson_deviance",
        ],
        12,
    ),
    ("## Add a source", &["JsonLinesSource", "JsonLines", "json_lines", "json-lines"], 4),
];

/// Each addition's list is that of the files that name it, tests apart, and no longer than promised.
pub(crate) fn additions_touch_what_is_listed(sources: &[Source]) -> Vec<Finding> {
    let Some(page) = sources.iter().find(|source| source.path == PAGE) else { return Vec::new() };
    let of_addition = |&(heading, names, most): &(&str, &[&str], usize)| {
        let listed = listed(&page.text, heading);
        let mut findings = Vec::new();
        if listed.is_empty() || listed.len() > most {
            let advice = format!("{heading} lists {} files, expected 1 to {most}", listed.len());
            findings.push(page.finding(1, advice));
        }
        let named = |source: &&Source| {
            let is_other = [PAGE, "CHANGELOG.md", "Cargo.lock"].contains(&source.path.as_str());
            !is_other && names.iter().any(|name| has_word(source, name))
        };
        for source in sources.iter().filter(named) {
            if !listed.contains(&source.path.as_str()) {
                findings.push(page.finding(1, format!("{heading} lacks {}", source.path)));
            }
        }
        for &path in &listed {
            if !sources.iter().filter(named).any(|source| source.path == path) {
                findings.push(page.finding(1, format!("{heading} lists {path}, which does not name it")));
            }
        }
        findings
    };
    ADDITIONS.iter().flat_map(of_addition).collect()
}

/// Returns the files that begin the numbered lines of a section.
fn listed<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let section = page.split(heading).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let item = |line: &'a str| {
        let (number, rest) = line.split_once(". `")?;
        number.parse::<u32>().ok()?;
        rest.split('`').next()
    };
    section.lines().filter_map(item).collect()
}

/// Says whether code outside tests, or the text of what is no code, has a word.
fn has_word(source: &Source, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let in_line = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    };
    if source.is_rust() {
        source.production().any(|(_, line)| in_line(line))
    } else {
        source.text.lines().any(in_line)
    }
}

const PAGE: &str = "docs/EXTENDING.md";
