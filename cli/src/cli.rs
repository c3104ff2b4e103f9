//! The arguments of `fedtwin`, and which function each command is.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fedtwin_daemon::clock;
use fedtwin_plan::{FederationName, StudyId};
use fedtwin_research::client::Client;
use fedtwin_research::study::{plan, run};

use crate::address::AddressArguments;
use crate::audit;
use crate::ca::{self, Holder, Order};
use crate::revocation::{self, Revoke};
use crate::simulate;

/// Launches and watches studies, audits ledgers, and issues a federation's certificates.
#[derive(Debug, Parser)]
#[command(name = "fedtwin", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The federation's certificate authority.
    #[command(subcommand)]
    Ca(Ca),
    /// Plans and the studies under them.
    #[command(subcommand)]
    Study(Study),
    /// Budgets and ledgers.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Runs a study over local folders on this machine, with the programs that hospitals run.
    Simulate(simulate::Simulate),
}

#[derive(Debug, Subcommand)]
enum Ca {
    /// Creates a federation's authority in a new folder.
    Init(CaInit),
    /// Issues credentials, each holder's into a folder of its name.
    Issue(CaIssue),
    /// Takes certificates back: signs the next revocation list, revoked.pem in the authority's folder.
    Revoke(CaRevoke),
    /// Shows the SHA-256 of identity keys, by which people compare and pin them.
    Fingerprint(CaFingerprint),
}

#[derive(Debug, Args)]
struct CaInit {
    /// The authority's new folder.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The federation's name.
    #[arg(long, value_name = "NAME")]
    federation: FederationName,
    /// For how many years the authority is good.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    years: u32,
}

#[derive(Debug, Args)]
struct CaIssue {
    /// The authority's folder.
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// The folder in which each holder gets one.
    #[arg(long, value_name = "PARENT")]
    out: PathBuf,
    /// Who gets credentials; roles are site, researcher, auditor, operator and coordinator.
    #[arg(required = true, value_name = "ROLE/NAME")]
    holders: Vec<Holder>,
    /// For how many days the TLS certificates are good.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// A DNS name or IP address at which the coordinator is reached [default: localhost and 127.0.0.1].
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
}

#[derive(Debug, Args)]
struct CaRevoke {
    /// The authority's folder.
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// Whose certificates, all that were issued; without anybody the list is renewed.
    #[arg(value_name = "ROLE/NAME")]
    holders: Vec<Holder>,
    /// The file of a single certificate.
    #[arg(long = "certificate", value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// After how many days the next list is due, and this one of no use [default: when the authority's certificate ends].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: Option<u32>,
}

#[derive(Debug, Args)]
struct CaFingerprint {
    /// Identity certificates.
    #[arg(required = true, value_name = "IDENTITY.PEM")]
    files: Vec<PathBuf>,
    /// The authority's certificate.
    #[arg(long, value_name = "CA.PEM")]
    ca: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Study {
    /// Calibrates a draft and signs it.
    New(StudyNew),
    /// Derives a plan's costs anew and prints them.
    Check(StudyCheck),
    /// Opens a study, follows it, and downloads its model.
    Run(StudyRun),
    /// Follows a study that is open, or was, and downloads its model.
    Watch(StudyWatch),
    /// Ends a study at all sites: for the researcher who opened it, and for operators.
    Cancel(StudyCancel),
}

#[derive(Debug, Args)]
struct StudyNew {
    /// The draft.
    draft: PathBuf,
    /// A model file whose weights the study begins with; the plan names its digest.
    #[arg(long, value_name = "FILE")]
    initial_model: Option<PathBuf>,
    /// The folder with the researcher's credentials.
    #[arg(long, value_name = "DIR")]
    credentials: PathBuf,
    /// The plan's new file; its signature goes to FILE.sig.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct StudyCheck {
    /// The plan.
    file: PathBuf,
    /// The authority's certificate, to verify the signature in FILE.sig.
    #[arg(long, value_name = "CA.PEM")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct StudyRun {
    /// The signed plan.
    file: PathBuf,
    /// The model file that the plan begins with, where it names one.
    #[arg(long, value_name = "FILE")]
    initial_model: Option<PathBuf>,
    #[command(flatten)]
    address: AddressArguments,
    /// Where the final model goes [default: <study>.safetensors].
    #[arg(long, value_name = "FILE")]
    model_out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct StudyWatch {
    /// The study, by its plan's `study.id`.
    study: StudyId,
    #[command(flatten)]
    address: AddressArguments,
    /// Where the final model goes [default: <study>.safetensors].
    #[arg(long, value_name = "FILE")]
    model_out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct StudyCancel {
    /// The study, by its plan's `study.id`.
    study: StudyId,
    #[command(flatten)]
    address: AddressArguments,
}

/// Does what the arguments say; what it has to say goes to `out`, progress to standard error.
///
/// # Errors
/// Returns the command's error.
pub async fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    match arguments.command {
        Command::Ca(command) => run_ca(command, out),
        Command::Study(command) => run_study(command, out).await,
        Command::Audit(command) => Ok(audit::run(command, out).await?),
        Command::Simulate(arguments) => simulate::run(&arguments, out).await,
    }
}

fn run_ca(command: Ca, out: &mut impl Write) -> anyhow::Result<()> {
    let now = clock::now();
    match command {
        Ca::Init(CaInit { folder, federation, years }) => {
            ca::init(&folder, &federation, years, now)?;
            writeln!(
                out,
                "authority of {federation} in {}: whoever has ca.key can be anybody",
                folder.display()
            )?;
        }
        Ca::Issue(CaIssue { ca, out: parent, holders, days, hosts }) => {
            for issued in ca::issue(&ca, &parent, &Order { holders, days, hosts }, now)? {
                writeln!(out, "{issued}")?;
            }
        }
        Ca::Revoke(CaRevoke { ca, holders, certificates, days }) => {
            let order = Revoke { holders, certificates, days };
            writeln!(out, "{}", revocation::revoke(&ca, &order, now)?)?;
        }
        Ca::Fingerprint(CaFingerprint { files, ca }) => {
            for file in files {
                writeln!(out, "{}", ca::fingerprint(&file, &ca)?)?;
            }
        }
    }
    Ok(())
}

async fn run_study(command: Study, out: &mut impl Write) -> anyhow::Result<()> {
    let now = clock::now();
    match command {
        Study::New(StudyNew { draft, initial_model, credentials, out: file }) => {
            let report = plan::new(&draft, initial_model.as_deref(), &credentials, &file, now)?;
            writeln!(out, "{report}")?;
        }
        Study::Check(StudyCheck { file, ca }) => {
            let (report, signer) = plan::check(&file, ca.as_deref(), now)?;
            match signer {
                Some(signer) => writeln!(out, "signed by {signer}")?,
                None => writeln!(out, "signature not verified: that takes --ca")?,
            }
            writeln!(out, "{report}")?;
        }
        Study::Run(StudyRun { file, initial_model, address, model_out }) => {
            let client = Client::connect(&address.into()).await?;
            let finished = run::run(&client, &file, initial_model.as_deref(), model_out).await?;
            writeln!(out, "{finished}")?;
        }
        Study::Watch(StudyWatch { study, address, model_out }) => {
            let client = Client::connect(&address.into()).await?;
            writeln!(out, "{}", run::watch(&client, study, model_out).await?)?;
        }
        Study::Cancel(StudyCancel { study, address }) => {
            run::cancel(&Client::connect(&address.into()).await?, &study).await?;
            writeln!(out, "the study {study} is cancelled")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
