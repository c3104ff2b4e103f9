//! The site agent with a scripted trainer: everything but the tensor library is real.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use fedtwin_certs::folder;
use fedtwin_daemon::{config, program, shutdown, telemetry};
use fedtwin_site_agent::agent;
use fedtwin_site_agent::config::SiteConfig;
use fedtwin_site_agent::trainer::Trainer;
use fedtwin_tests::script::{Script, ScriptedTrainer};

/// Takes part in studies as `fedtwin-site` does; what its trainer returns, a script decides.
#[derive(Parser)]
#[command(name = "fedtwin-scripted-site")]
struct Arguments {
    /// The configuration file; the script stands beside it.
    #[arg(long)]
    config: PathBuf,
    /// Stop when standard input closes.
    #[arg(long)]
    stop_with_parent: bool,
    /// What to do.
    #[arg(value_parser = ["run"])]
    command: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init(false);
    program::exit(run(&arguments).await)
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let base = arguments.config.parent().unwrap_or(Path::new("")).to_path_buf();
    let config: SiteConfig = config::load(&arguments.config)?;
    let credentials = folder::load_credentials(&base.join(&config.credentials))?;
    let script = Script::load(&base)?;
    let stop = shutdown::token();
    if arguments.stop_with_parent {
        shutdown::stop_with_parent(&stop);
    }
    let home = base.clone();
    let new_trainer =
        Arc::new(
            move || Ok(Box::new(ScriptedTrainer::new(script.clone(), home.clone())) as Box<dyn Trainer>),
        );
    agent::run(config, &base, credentials, new_trainer, stop).await
}
