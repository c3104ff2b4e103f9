//! `cargo xtask test`: set-up, build, documentation tests, tests, and the list of what was skipped.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::libtorch;
use crate::paths::Paths;
use crate::report::Report;
use crate::shell::{cargo, run};
use crate::tools::{CargoTool, cargo_with_tools};

/// Says whether tests may use the data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    /// Where they are found, they are used.
    IfFound,
    /// Tests that need them are to skip, as on a machine without them.
    Withheld,
}

/// Sets up what is missing, then builds and runs all tests of the workspace, with the programs as a hospital runs them.
pub(crate) fn test(paths: &Paths, data: Data) -> Result<(), Error> {
    libtorch::ensure(paths)?;
    let data = match data {
        Data::IfFound => data_folder(env::var_os("FEDTWIN_DATA"), &paths.root),
        Data::Withheld => None,
    };
    match &data {
        Some(folder) => println!("data: {}", folder.display()),
        None => {
            println!("data: none; tests that need it will say so (set FEDTWIN_DATA to its folder)")
        }
    }
    let setting = TestSetting { data: data.map_or_else(OsString::new, PathBuf::into_os_string) };
    // The programs too, because the end-to-end tests start them.
    run(&mut cargo(paths, ["build", "--release", "--workspace", "--bins", "--tests"]))?;
    run(setting.apply(&mut cargo(paths, ["test", "--release", "--workspace", "--doc"]), paths))?;
    if let Err(error) = CargoTool::Nextest.ensure(paths) {
        println!("cargo-nextest: {error}; `cargo test` takes its place");
    }
    let (outcome, report) = if CargoTool::Nextest.is_installed(paths) {
        run_nextest(paths, &setting)?
    } else {
        run_cargo_test(paths, &setting)?
    };
    print_report(&report);
    outcome
}

/// What every test process is told by its environment.
struct TestSetting {
    /// The folder of the data sets; empty if there is none.
    data: OsString,
}

impl TestSetting {
    fn apply<'a>(&self, command: &'a mut Command, paths: &Paths) -> &'a mut Command {
        // Only the programs of `models` have an rpath; a test of another package may come to link libtorch with it.
        let (variable, own) = ("LD_LIBRARY_PATH", env::var_os("LD_LIBRARY_PATH").unwrap_or_default());
        let folders = env::split_paths(&own).chain([paths.link().join("lib")]);
        if let Ok(folders) = env::join_paths(folders) {
            command.env(variable, folders);
        }
        command.env("FEDTWIN_DATA", &self.data)
    }
}

type Outcome = (Result<(), Error>, Report);

fn run_nextest(paths: &Paths, setting: &TestSetting) -> Result<Outcome, Error> {
    // Its store is in the checkout, wherever cargo builds.
    let junit = paths.root.join("target/nextest/default/junit.xml");
    fs::remove_file(&junit).ok();
    let config = format!("xtask:{}", paths.root.join("xtask/nextest.toml").display());
    let arguments =
        ["nextest", "run", "--release", "--workspace", "--no-fail-fast", "--tool-config-file", &config];
    let outcome = run(setting.apply(&mut cargo_with_tools(paths, &arguments)?, paths));
    // Without a report, the tests did not come to run, and the outcome says why.
    let report = fs::read_to_string(&junit).map(|xml| Report::from_junit(&xml)).unwrap_or_default();
    Ok((outcome, report))
}

fn run_cargo_test(paths: &Paths, setting: &TestSetting) -> Result<Outcome, Error> {
    let arguments = [
        "test",
        "--release",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--no-fail-fast",
        "--",
        "--show-output",
    ];
    let mut command = cargo(paths, arguments);
    let start = |source| Error::Start { command: "cargo test".to_owned(), source };
    let mut child = setting.apply(&mut command, paths).stdout(Stdio::piped()).spawn().map_err(start)?;
    let mut output = String::new();
    for line in BufReader::new(child.stdout.take().expect("stdout was piped just above")).lines() {
        let line = line.map_err(start)?;
        println!("{line}");
        output.push_str(&line);
        output.push('\n');
    }
    let status = child.wait().map_err(start)?;
    let failed = Error::Failed { command: "cargo test".to_owned(), status: status.to_string() };
    let outcome = if status.success() { Ok(()) } else { Err(failed) };
    Ok((outcome, Report::from_cargo_test(&output)))
}

fn print_report(report: &Report) {
    let skipped = report.skips.len();
    if skipped > 0 {
        let tests = if skipped == 1 { "test" } else { "tests" };
        println!("{skipped} {tests} skipped for want of data:");
        for skip in &report.skips {
            println!("  {}: {}", skip.test, skip.why);
        }
    }
    let passed = report.run.saturating_sub(report.failed + skipped);
    println!("tests: {passed} passed, {} failed, {skipped} skipped", report.failed);
}

/// Finds the data sets: where the variable says (empty means nowhere), or else in `shared/data` beside the checkout.
pub(crate) fn data_folder(variable: Option<OsString>, root: &Path) -> Option<PathBuf> {
    let folder = match variable {
        Some(folder) if folder.is_empty() => return None,
        // Tests run in their packages' folders, so a relative path would lead them astray.
        Some(folder) => env::current_dir().unwrap_or_default().join(folder),
        None => root.parent()?.join("shared/data"),
    };
    folder.is_dir().then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_found_by_the_variable_or_beside_the_checkout() {
        let root = env::temp_dir().join(format!("fedtwin-xtask-{}", std::process::id()));
        let beside = root.join("shared/data");
        fs::create_dir_all(&beside).unwrap();
        let checkout = root.join("checkout");
        assert_eq!(data_folder(None, &checkout), Some(beside.clone()));
        assert_eq!(data_folder(Some("".into()), &checkout), None);
        assert_eq!(data_folder(Some(beside.clone().into()), Path::new("/")), Some(beside));
        assert_eq!(data_folder(Some(root.join("absent").into()), &checkout), None);
        fs::remove_dir_all(root).unwrap();
    }
}
