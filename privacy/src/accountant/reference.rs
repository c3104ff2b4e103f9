//! Reference files beside the data sets, for tests.

use std::path::PathBuf;

/// Returns the rows of `file` without its header; without the files, says that the calling test is skipped.
#[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
pub(crate) fn rows(file: &str) -> Option<Vec<Vec<String>>> {
    let data = std::env::var_os("FEDTWIN_DATA").filter(|data| !data.is_empty());
    let path = data.map(|data| PathBuf::from(data).join("../reference").join(file));
    let Some(text) = path.and_then(|path| std::fs::read_to_string(path).ok()) else {
        println!("skipped: FEDTWIN_DATA has no ../reference/{file} beside it");
        return None;
    };
    Some(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}
