//! The `fedtwin-lab` program.

use std::process::ExitCode;

use clap::Parser;
use fedtwin_daemon::output::Output;
use fedtwin_daemon::program;
use fedtwin_lab::cli::{self, Arguments};

#[tokio::main]
async fn main() -> ExitCode {
    program::run(cli::run(Arguments::parse(), &mut Output::stdout())).await
}
