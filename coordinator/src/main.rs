//! The coordinator program.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use fedtwin_certs::folder::{self, Revocations};
use fedtwin_coordinator::{config::CoordinatorConfig, server};
use fedtwin_daemon::{clock, config, program, shutdown, telemetry};
use tokio::net::TcpListener;

/// Runs federated rounds: offers signed plans to sites, collects their updates, and makes the next model.
#[derive(Parser)]
#[command(name = "fedtwin-coordinator", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, default_value = "coordinator.toml")]
    config: PathBuf,
    /// Write the address that is listened on to this file, once it is.
    #[arg(long)]
    address_file: Option<PathBuf>,
    /// Stop when standard input closes.
    #[arg(long)]
    stop_with_parent: bool,
    /// Write the log as JSON.
    #[arg(long)]
    json_log: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::init(arguments.json_log);
    program::exit(run(&arguments).await)
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let config: CoordinatorConfig = config::load(&arguments.config)?;
    let base = arguments.config.parent().unwrap_or(Path::new(""));
    let mut credentials = folder::load_credentials(&base.join(&config.credentials))?;
    credentials.check_time(clock::now())?;
    if let Some(list) = &config.revoked {
        let state = base.join(&config.state);
        std::fs::create_dir_all(&state).with_context(|| format!("cannot make {}", state.display()))?;
        let (list, seen) = (base.join(list), state.join("revoked.seen"));
        let revocations = Revocations::new(list, seen, credentials.authority().clone());
        revocations.current(clock::now())?;
        credentials = credentials.with_revocation(Arc::new(revocations));
    }
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}: is another program using it?", config.listen))?;
    let address = listener.local_addr()?;
    if let Some(path) = &arguments.address_file {
        write_at_once(path, &address.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    tracing::info!(%address, "listening");
    let stop = shutdown::token();
    if arguments.stop_with_parent {
        shutdown::stop_with_parent(&stop);
    }
    server::serve(listener, credentials, (base.join(&config.state), config.policy), stop).await
}

/// Whoever waits for the file must not read half of it.
fn write_at_once(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path)
}
