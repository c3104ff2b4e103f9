//! Starting other programs: cargo, pip and what was built.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::Error;
use crate::paths::Paths;

/// Runs a program with this terminal's input and output, and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    println!("> {}", line(command));
    let status = command.status().map_err(|source| Error::Start { command: line(command), source })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed { command: line(command), status: status.to_string() })
}

/// Says whether a program can be started and succeeds; prints nothing.
pub(crate) fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Makes a cargo command that runs in the checkout exactly as one typed by hand.
///
/// `cargo run` hands its own variables and the workspace's `[env]` to this program. Passed on, they would look like a
/// changed environment to the build scripts of ring and torch-sys, which would compile again at every turn.
pub(crate) fn cargo<S: AsRef<OsStr>>(paths: &Paths, arguments: impl IntoIterator<Item = S>) -> Command {
    let program = std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&paths.root);
    for (name, value) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if set_by_cargo(&name) || (name == "LIBTORCH" && value == paths.link().as_os_str()) {
            command.env_remove(name);
        }
    }
    command
}

/// Says whether `cargo run` sets a variable for the program that it runs.
fn set_by_cargo(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || ["CARGO_BIN_NAME", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OPENSSL_NO_VENDOR"]
            .contains(&name)
}

/// Writes a command as a person would type it.
fn line(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(name).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_cargo_run_are_told_from_those_of_the_user() {
        for (name, expected) in [
            ("CARGO_PKG_NAME", true),
            ("CARGO_MANIFEST_DIR", true),
            ("OPENSSL_NO_VENDOR", true),
            ("CARGO_TARGET_DIR", false),
            ("CARGO_HOME", false),
            ("RUSTFLAGS", false),
        ] {
            assert_eq!(set_by_cargo(name), expected, "{name}");
        }
    }

    #[test]
    fn command_lines_name_the_program_without_its_folder() {
        assert_eq!(line(Command::new("/usr/bin/true").args(["a", "b"])), "true a b");
    }
}
