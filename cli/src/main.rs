//! The `fedtwin` program.

use std::process::ExitCode;

use clap::Parser;
use fedtwin_cli::cli::{self, Arguments};
use fedtwin_daemon::output::Output;
use fedtwin_daemon::program;

#[tokio::main]
async fn main() -> ExitCode {
    program::run(cli::run(Arguments::parse(), &mut Output::stdout())).await
}
