//! The `fedtwin-lab` program.

use std::process::ExitCode;

use clap::Parser;
use fedtwin_daemon::{program, shutdown};
use fedtwin_lab::cli::{self, Arguments};

#[tokio::main]
async fn main() -> ExitCode {
    let mut out = std::io::stdout();
    let running = cli::run(Arguments::parse(), &mut out);
    // Dropping what runs ends every process that it started.
    let result = tokio::select! {
        result = running => result,
        signal = shutdown::signal() => signal.map_err(Into::into).and_then(|()| Err(anyhow::anyhow!("stopped on request"))),
    };
    program::exit(result)
}
