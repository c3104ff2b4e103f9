//! The site agent's command line, for whatever trainer its program brings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, Subcommand};
use fedtwin_certs::Role;
use fedtwin_certs::folder::{self, Revocations};
use fedtwin_daemon::output::Output;
use fedtwin_daemon::{clock, config, shutdown};
use fedtwin_trainer::{NewTrainer, kept_memory};

use crate::audit::AttackArguments;
use crate::budget_command::{self, BudgetArguments, Place};
use crate::config::SiteConfig;
use crate::ledger_command::{self, LedgerAction};
use crate::study_command::{self, StudyAction};
use crate::{agent, audit, check_command, state_folder};

/// Trains at a hospital and lets out only what is paid for.
#[derive(Debug, Parser)]
#[command(name = "fedtwin-site", version)]
pub struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "site.toml", global = true)]
    config: PathBuf,
    /// Stop when standard input closes.
    #[arg(long, global = true)]
    stop_with_parent: bool,
    /// Write the log as JSON.
    #[arg(long, global = true)]
    pub json_log: bool,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Take part in the studies that the policy allows.
    Run {
        /// A checkpoint of this site's ledger that somebody else kept, such as an auditor, to compare the ledger with.
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
    },
    /// Show what is spent, reserved and left, per cohort and study; open and raise budgets.
    Budget(BudgetArguments),
    /// List studies, and close one that nobody will end any more.
    #[command(subcommand)]
    Study(StudyAction),
    /// Check configuration, credentials, peers, trainer and every cohort's data, say what is there, and open the cohorts
    /// that are in order to studies.
    Check,
    /// Go on with the ledger under new credentials, or although the coordinator lost its copy.
    #[command(subcommand)]
    Ledger(LedgerAction),
    /// Put what a plan would release here to the test.
    #[command(subcommand)]
    Audit(Audit),
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Attack a plan's releases, and compare what that proves with what the plan claims. Nothing leaves.
    Attack(AttackArguments),
}

/// Runs the command; `new_trainer` gets the configuration and its folder.
///
/// # Errors
/// Returns what keeps the command from its work.
pub async fn run(
    arguments: Arguments,
    new_trainer: impl FnOnce(&SiteConfig, &Path) -> anyhow::Result<NewTrainer>,
) -> anyhow::Result<()> {
    let mut config: SiteConfig = config::load(&arguments.config)?;
    let base = arguments.config.parent().unwrap_or(Path::new("")).to_path_buf();
    state_folder::make_files_private();
    let mut credentials = folder::load_credentials(&base.join(&config.credentials))?;
    if let Some(list) = &config.revoked {
        let state = base.join(&config.state);
        state_folder::open(&state)?;
        let (list, seen) = (base.join(list), state.join("revoked.seen"));
        let revocations = Revocations::new(list, seen, credentials.authority().clone());
        credentials = credentials.with_revocation(Arc::new(revocations));
    }
    let credentials = Arc::new(credentials);
    anyhow::ensure!(
        credentials.identity().role == Role::Site,
        "the credentials are those of {}, expected a site's",
        credentials.identity()
    );
    let place = Place { config: &config, base: &base, credentials: &credentials };
    match arguments.command {
        Action::Run { checkpoints } => {
            if let Err(error) = kept_memory::keep() {
                tracing::warn!(%error, "this program could not start anew with memory that it keeps: rounds take longer");
            }
            credentials.check_time(clock::now())?;
            for checkpoint in checkpoints {
                // Paths of the configuration start from its folder, and this one from where the command was given.
                config.ledger.checkpoints.push(std::path::absolute(checkpoint)?);
            }
            let stop = shutdown::token();
            if arguments.stop_with_parent {
                shutdown::stop_with_parent(&stop);
            }
            let new_trainer = new_trainer(&config, &base)?;
            agent::run(config, &base, credentials, new_trainer, stop).await
        }
        Action::Budget(arguments) => budget_command::run(place, arguments, &mut Output::stdout()),
        Action::Ledger(action) => ledger_command::run(place, action, &mut Output::stdout()),
        Action::Study(action) => study_command::run(place, action, &mut Output::stdout()),
        Action::Check => {
            place.note_waiver(clock::now())?;
            let new_trainer = new_trainer(&config, &base)?;
            tokio::task::block_in_place(|| check_command::run(place, &new_trainer, &mut Output::stdout()))
        }
        Action::Audit(Audit::Attack(arguments)) => {
            place.note_waiver(clock::now())?;
            let new_trainer = new_trainer(&config, &base)?;
            tokio::task::block_in_place(|| audit::attack(&config, &base, new_trainer, &arguments))
        }
    }
}
