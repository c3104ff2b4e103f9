//! The workspace's files as rules see them: code without comments and texts, tests told apart.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A place where a rule is broken, and what to do.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.advice)
    }
}

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Relative to the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of string literals blanked, line by line.
    code: String,
    is_test: bool,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let is_rust = path.ends_with(".rs");
        let code = if is_rust { blank(text) } else { text.to_owned() };
        let in_tests = ["/tests/", "/examples/", "/benches/"].iter().any(|part| path.contains(part));
        let is_test = in_tests || path.starts_with("tests/") || path.ends_with("tests.rs");
        Self { path: path.to_owned(), text: text.to_owned(), code, is_test }
    }

    /// Reads all files of the workspace that people write, but for this test's own, which names what it
    /// forbids.
    pub(crate) fn all() -> Vec<Self> {
        let mut paths = Vec::new();
        collect(&root(), &mut paths);
        let mut sources: Vec<_> = paths.iter().filter_map(|path| Self::read(path)).collect();
        let only_for_tests: Vec<_> = sources.iter().flat_map(Self::modules_for_tests).collect();
        for source in &mut sources {
            source.is_test |= only_for_tests.contains(&source.path);
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }

    fn read(path: &Path) -> Option<Self> {
        let name = path.strip_prefix(root()).expect("found below the root").to_str()?.to_owned();
        let is_text = [".rs", ".toml", ".md", ".proto", ".lock"].iter().any(|end| name.ends_with(end));
        if !is_text || name.starts_with("tests/tests/tidy") {
            return None;
        }
        Some(Self::new(&name, &fs::read_to_string(path).ok()?))
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Numbered lines of code, tests included.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    /// Numbered lines of code that runs outside tests.
    pub(crate) fn production(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<_> = self.code.lines().collect();
        let tests = lines.windows(2).position(|pair| {
            pair[0].trim() == "#[cfg(test)]" && pair[1].contains("mod ") && pair[1].ends_with('{')
        });
        let end = if self.is_test || !self.is_rust() { 0 } else { tests.unwrap_or(lines.len()) };
        self.lines().take(end)
    }

    /// Finds `pattern` in production code, where no longer name begins before it.
    pub(crate) fn find(&self, pattern: &str, advice: &str) -> Vec<Finding> {
        let found = self.production().filter(|(_, line)| names(line, pattern));
        found.map(|(line, _)| self.finding(line, advice)).collect()
    }

    pub(crate) fn finding(&self, line: usize, advice: impl Into<String>) -> Finding {
        Finding { file: self.path.clone(), line, advice: advice.into() }
    }

    /// Files of modules that are declared `#[cfg(test)] mod name;` here.
    fn modules_for_tests(&self) -> Vec<String> {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let folder = match file {
            "lib.rs" | "mod.rs" | "main.rs" => folder.to_owned(),
            named => format!("{folder}/{}", named.trim_end_matches(".rs")),
        };
        let lines: Vec<_> = self.code.lines().map(str::trim).collect();
        let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]");
        let names = declared.filter_map(|pair| pair[1].strip_suffix(';')?.split("mod ").nth(1));
        names.map(|name| format!("{folder}/{name}.rs")).collect()
    }
}

/// Says whether `line` holds `pattern`, and not as the end of a longer name.
pub(crate) fn names(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let starts_a_name = pattern.starts_with(|c: char| c.is_alphanumeric());
        !(starts_a_name && before.is_some_and(|c| c.is_alphanumeric() || c == '_'))
    })
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is below the root").to_path_buf()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the workspace can be read") {
        let path = entry.expect("the workspace can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || name == "target" || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

/// Blanks comments and the insides of string and character literals; keeps every line in its place.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = token(rest, first);
        if keep {
            code.push_str(&rest[..length]);
        } else {
            code.extend(rest[..length].chars().map(|c| if c == '\n' { c } else { ' ' }));
        }
        rest = &rest[length..];
    }
    code
}

/// Returns the length of what `rest` starts with, and whether it is code.
fn token(rest: &str, first: char) -> (usize, bool) {
    let until =
        |end: &str, skip: usize| rest[skip..].find(end).map_or(rest.len(), |at| skip + at + end.len());
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (until("*/", 2), false);
    }
    let hashes = rest.strip_prefix('r').map(|raw| raw.bytes().take_while(|&b| b == b'#').count());
    if let Some(hashes) = hashes
        && rest[1 + hashes..].starts_with('"')
    {
        return (until(&format!("\"{}", "#".repeat(hashes)), 2 + hashes), false);
    }
    if first == '"' {
        return (quoted(rest), false);
    }
    if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') && first == '\'' {
        return (1 + until("'", 2).max(3) - 1, false);
    }
    // A whole word at once, so that the `r` of `for"` is no raw string.
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    (word.max(first.len_utf8()), true)
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    rest.len()
}

mod tests {
    use super::Source;

    #[test]
    fn comments_texts_and_tests_are_no_production_code() {
        let text = concat!(
            "let a = \"x.unwrap() \\\" y\"; // .unwrap()\n",
            "let b = ('\"', r#\"\n.unwrap() \"#, '\\'');\n",
            "c.unwrap(); /* .unwrap()\n .unwrap() */ fn f<'a>(d: &'a str) {}\n",
            "#[cfg(test)]\n",
            "mod tests {\n",
            "    e.unwrap()\n",
            "}\n",
        );
        let source = Source::new("plan/src/a.rs", text);
        let lines = |found: Vec<super::Finding>| found.iter().map(|f| f.line).collect::<Vec<_>>();
        assert_eq!(lines(source.find(".unwrap()", "")), [4]);
        assert_eq!(source.lines().filter(|(_, line)| line.contains("fn f<'a>(d: &'a str) {}")).count(), 1);
        assert!(Source::new("plan/src/a_tests.rs", text).find(".unwrap()", "").is_empty());
        assert!(super::names("x: wire::A", "wire::") && !super::names("x: rewire::A", "wire::"));
    }
}
