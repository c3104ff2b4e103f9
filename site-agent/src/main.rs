//! The site agent program.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use fedtwin_certs::{Role, folder};
use fedtwin_daemon::{clock, config, program, shutdown, telemetry};
use fedtwin_site_agent::audit::AttackArguments;
use fedtwin_site_agent::config::SiteConfig;
use fedtwin_site_agent::trainer::{NewTrainer, ProcessTrainer, Trainer};
use fedtwin_site_agent::{agent, audit, report};

/// Trains at a hospital and lets out only what is paid for.
#[derive(Parser)]
#[command(name = "fedtwin-site", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "site.toml", global = true)]
    config: PathBuf,
    /// Stop when standard input closes.
    #[arg(long, global = true)]
    stop_with_parent: bool,
    /// Write the log as JSON.
    #[arg(long, global = true)]
    json_log: bool,
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Take part in the studies that the policy allows.
    Run,
    /// Show what is spent, reserved and left, per cohort and study.
    Budget {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration, the credentials and the cohort files, without reading patients' data.
    Check,
    /// Put what a plan would release here to the test.
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Subcommand)]
enum Audit {
    /// Attack a plan's releases, and compare what that proves with what the plan claims. Nothing leaves.
    Attack(AttackArguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init(arguments.json_log);
    program::exit(run(&arguments).await)
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config: SiteConfig = config::load(&arguments.config)?;
    let base = arguments.config.parent().unwrap_or(Path::new("")).to_path_buf();
    let credentials = folder::load_credentials(&base.join(&config.credentials))?;
    anyhow::ensure!(
        credentials.identity().role == Role::Site,
        "the credentials are those of {}, expected a site's",
        credentials.identity()
    );
    match arguments.command {
        Action::Run => {
            credentials.check_time(clock::now())?;
            let stop = shutdown::token();
            if arguments.stop_with_parent {
                shutdown::stop_with_parent(&stop);
            }
            let new_trainer = new_trainer(&config);
            agent::run(config, &base, credentials, new_trainer, stop).await
        }
        Action::Budget { json } => report::budget(&config, &base, &credentials, json),
        Action::Check => report::check(&config, &base, &credentials),
        Action::Audit(Audit::Attack(ref arguments)) => {
            let new_trainer = new_trainer(&config);
            tokio::task::block_in_place(|| audit::attack(&config, &base, new_trainer, arguments))
        }
    }
}

fn new_trainer(config: &SiteConfig) -> NewTrainer {
    let trainer = config.trainer.clone();
    Arc::new(move || Ok(Box::new(ProcessTrainer::start(&trainer)?) as Box<dyn Trainer>))
}
