//! Set-up, demo, tests, checks and benchmarks of this workspace: `cargo xtask help`.
//!
//! Has no dependencies on purpose: it is the first thing that a newcomer compiles, and it must take seconds.
#![expect(clippy::print_stdout, reason = "a program for the terminal that tells people what it does")]

mod build_bench;
mod ci;
mod error;
mod libtorch;
mod paths;
mod platform;
mod programs;
mod report;
mod shell;
mod test;
mod tools;
mod wheels;

use std::process::ExitCode;

use error::Error;
use paths::Paths;
use platform::Variant;
use test::Data;

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
        ("demo" | "results", rest) => programs::lab(&paths, command, rest),
        ("simulate", rest) => programs::simulate(&paths, rest),
        ("bench", ["build", rest @ ..]) => build_bench::bench(&paths, rest),
        ("bench", ["dp-step", rest @ ..]) => programs::bench_dp_step(&paths, rest),
        ("bench", [_, ..]) => programs::bench(&paths, &rest),
        ("test", []) => test::test(&paths, Data::IfFound),
        ("test", ["--no-data"]) => test::test(&paths, Data::Withheld),
        ("ci", []) => ci::ci(&paths),
        ("libtorch", []) => libtorch::install(&paths, Variant::Cpu),
        ("libtorch", ["--cuda"]) => libtorch::install(&paths, Variant::Cuda),
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(Error::Usage(format!("what does `{}` mean?", arguments.join(" ")))),
    }
}

const HELP: &str = "\
cargo xtask COMMAND: each does all set-up that it needs, and says what it does

  demo [--data DIR] [--compare] [--json FILE]
      trains two models across several hospitals on this machine, without noise and with
  results --data DIR
      makes docs/RESULTS.md from the real data sets
  simulate PLAN --site NAME=PATH ... [--json FILE]
      runs a study of yours over local folders
  bench NAME [--json FILE] [--against FOLDER [--turns N]]
      measures: `noise`, `privacy`, `round`, `secagg`, `data` (--python PATH with polars and pyarrow), and `dp-step`
      (--threads N, --python PATH with Opacus);
      against another build whose programs are in FOLDER, turn by turn, with ratios: `noise`, `round` and `secagg`
  bench build [--against CHECKOUT]
      times builds from nothing, to the first program and to the first test
  test [--no-data]
      builds and tests everything; FEDTWIN_DATA names the folder of the data sets
      (default: shared/data beside this checkout)
  ci
      formatting, lints, licences, documentation, then test
  libtorch [--cuda]
      fetches libtorch into your cache and links it into this checkout, so that plain
      `cargo build` works; LIBTORCH or LIBTORCH_USE_PYTORCH, if set, is used instead
";
