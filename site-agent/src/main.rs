//! The site agent program.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use fedtwin_daemon::{program, telemetry};
use fedtwin_site_agent::cli::{self, Arguments};
use fedtwin_trainer::process::ProcessTrainer;
use fedtwin_trainer::{NewTrainer, Trainer};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init(arguments.json_log);
    let run = cli::run(arguments, |config, _base| {
        let trainer = config.trainer.program();
        let start = move || Ok(Box::new(ProcessTrainer::start(&trainer)?) as Box<dyn Trainer>);
        Ok(Arc::new(start) as NewTrainer)
    });
    program::exit(run.await)
}
