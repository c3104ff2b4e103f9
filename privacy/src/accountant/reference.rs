//! Reference files beside the data sets, for tests.

use std::io::Write;
use std::path::PathBuf;

/// Returns the rows of `file` without its header; without the files, says that `test` is skipped.
pub(crate) fn rows(file: &str, test: &str) -> Option<Vec<Vec<String>>> {
    let folder = std::env::var_os("FEDTWIN_DATA").map(|data| PathBuf::from(data).join("../reference"));
    let text = folder.and_then(|folder| std::fs::read_to_string(folder.join(file)).ok());
    let Some(text) = text else {
        eprintln!("skipped: {test} (FEDTWIN_DATA has no ../reference/{file} beside it)");
        if let Some(list) = std::env::var_os("FEDTWIN_SKIPS") {
            let mut list = std::fs::OpenOptions::new().append(true).create(true).open(list).unwrap();
            writeln!(list, "{test}").unwrap();
        }
        return None;
    };
    Some(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}
