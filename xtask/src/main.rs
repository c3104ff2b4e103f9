//! Set-up, demo, tests, checks and benchmarks of this workspace: `cargo xtask help`.
//!
//! Has no dependencies on purpose: it is the first thing that a newcomer compiles, and it must take seconds.
#![expect(
    clippy::print_stdout,
    reason = "a program for the terminal that tells people what it does"
)]

mod error;
mod libtorch;
mod paths;
mod platform;
mod shell;
mod tools;
mod wheels;

use std::process::ExitCode;

use error::Error;
use paths::Paths;
use platform::Variant;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<(), Error> {
    let paths = Paths::from_env()?;
    let Some((command, rest)) = arguments.split_first() else {
        print!("{HELP}");
        return Ok(());
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (command.as_str(), rest.as_slice()) {
        ("libtorch", []) => libtorch::install(&paths, Variant::Cpu),
        ("libtorch", ["--cuda"]) => libtorch::install(&paths, Variant::Cuda),
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(())
        }
        (command, rest) => Err(Error::Usage(format!(
            "what does `{command} {}` mean?",
            rest.join(" ")
        ))),
    }
}

const HELP: &str = "\
cargo xtask COMMAND

  libtorch [--cuda]   fetches libtorch into your cache and links it into this checkout
";
