//! The site agent with a scripted trainer: everything but the tensor library is real.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use fedtwin_daemon::{program, telemetry};
use fedtwin_site_agent::cli::{self, Arguments};
use fedtwin_tests::script::{Script, ScriptedTrainer};
use fedtwin_trainer::{NewTrainer, Trainer};

/// Takes part in studies as `fedtwin-site` does; what its trainer returns, the script beside the
/// configuration decides.
#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init(arguments.json_log);
    let run = cli::run(arguments, |_config, base| {
        let (script, home) = (Script::load(base)?, base.to_path_buf());
        let start =
            move || Ok(Box::new(ScriptedTrainer::new(script.clone(), home.clone())) as Box<dyn Trainer>);
        Ok(Arc::new(start) as NewTrainer)
    });
    program::exit(run.await)
}
