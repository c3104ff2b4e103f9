//! `fedtwin-trainer`: computes on patients for a site agent, over a pipe and behind a sandbox.
//!
//! The agent starts it with `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` at 1 GiB: glibc then keeps
//! the memory of freed tensors, and the kernel need not clear new pages in each step (15 % of a core's time).

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::Parser;
use fedtwin_cohort::CohortFile;
use fedtwin_models::engine::Resources;
use fedtwin_models::open::{self, Cohort};
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::record::Part;
use fedtwin_trainer::sandbox::{self, Requirement, Sandbox};
use fedtwin_trainer::serve::{Files, Load, OpenCohort, serve};
use tracing::{info, warn};

/// Computes clipped sums of patients' gradients for a site agent, which starts it and speaks with it
/// on stdin and stdout. It has no network, writes no file, and reads its cohort's alone.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Memory that it may take, in MB.
    #[arg(long, default_value_t = 8192)]
    memory_mb: u64,
    /// Goes on where the kernel cannot confine it; people at the site say so in the agent's configuration.
    #[arg(long)]
    unprotected: bool,
    /// Tries what the sandbox denies, writing into this folder, and exits; succeeds if nothing was possible.
    #[arg(long, value_name = "FOLDER")]
    check_sandbox: Option<PathBuf>,
    /// Confines itself and exits: succeeds where this kernel can.
    #[arg(long)]
    check_kernel: bool,
    /// Makes one of these attempts, in the sandbox.
    #[arg(long, value_name = "NUMBER", requires = "check_sandbox", hide = true)]
    attempt: Option<usize>,
}

fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let args = Args::parse();
    if let (Some(folder), None) = (&args.check_sandbox, args.attempt) {
        return check_sandbox(folder, &args);
    }
    let requirement = if args.unprotected { Requirement::Waived } else { Requirement::Protected };
    let entered = Sandbox::enter(args.memory_mb, requirement);
    let mut sandbox = entered.context("the trainer could not confine itself")?;
    if args.check_kernel {
        sandbox.read_only(&[]).context("the trainer could not confine itself")?;
        return Ok(ExitCode::SUCCESS);
    }
    if let (Some(folder), Some(number)) = (&args.check_sandbox, args.attempt) {
        sandbox.read_only(&[]).context("the trainer could not confine itself")?;
        let possible = sandbox::attempt(number, folder);
        return Ok(if possible { ExitCode::SUCCESS } else { ExitCode::from(sandbox::DENIED) });
    }
    let mut files = HospitalFiles { memory_mb: args.memory_mb, sandbox };
    serve(&mut io::stdin().lock(), &mut io::stdout().lock(), &mut files).context("the agent's pipe broke")?;
    Ok(ExitCode::SUCCESS)
}

fn check_sandbox(folder: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe()?;
    let checked = sandbox::check(folder, |number| {
        let mut command = Command::new(&program);
        command.arg("--check-sandbox").arg(folder).arg("--attempt").arg(number.to_string());
        command.args(args.unprotected.then_some("--unprotected"));
        command
    })?;
    for what in &checked.possible {
        warn!("the trainer can {what}");
    }
    for what in &checked.impossible {
        warn!("the trainer cannot {what}");
    }
    let sound = checked.possible.is_empty() && checked.impossible.is_empty();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The hospital's files, for libtorch.
struct HospitalFiles {
    memory_mb: u64,
    sandbox: Sandbox,
}

impl HospitalFiles {
    /// Leaves the cohort's files as all that can be read, before the first patient is.
    fn cohort(&mut self, cohort_file: &Path) -> Result<CohortFile, Box<dyn Error>> {
        let file = CohortFile::load(cohort_file)?;
        self.sandbox.read_only(&file.files()?)?;
        Ok(file)
    }
}

impl Files for HospitalFiles {
    fn check(&mut self, cohort_file: &Path) -> Result<Inventory, Box<dyn Error>> {
        Ok(self.cohort(cohort_file)?.take_inventory()?)
    }

    fn open(&mut self, load: &Load) -> Result<OpenCohort, Box<dyn Error>> {
        let need = &load.plan.data;
        let file = self.cohort(&load.cohort_file)?;
        let mut train = file.read(need, Part::Train)?;
        let empty = train.null_volumes();
        if empty > 0 {
            warn!(empty, "training patients whose slices are larger than the plan's have empty places");
        }
        if let Some((patient, stand_in)) = load.altered {
            stand_in.replace(&mut train, patient);
        }
        let cohort = Cohort { slots: file.patients(), train, test: file.read(need, Part::Test)? };
        let digest = file.digest()?;
        let device = open::device(load.threads);
        let resources = Resources { device, threads: load.threads, memory_mb: self.memory_mb };
        info!(study = %load.plan.study.id, ?device, "cohort loaded");
        Ok(OpenCohort { model: open::model(&load.plan, cohort, &resources)?, digest })
    }
}
