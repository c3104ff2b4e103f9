//! `fedtwin-trainer`: computes on patients for a site agent, over a pipe and behind a sandbox.
//!
//! The agent starts it with `MALLOC_TRIM_THRESHOLD_` and `MALLOC_MMAP_THRESHOLD_` at 1 GiB: glibc then keeps
//! the memory of freed tensors, and the kernel need not clear new pages in each step (15 % of a core's time).

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use fedtwin_cohort::CohortFile;
use fedtwin_models::engine::Resources;
use fedtwin_models::open::{self, Cohort};
use fedtwin_models::sandbox;
use fedtwin_models::serve::{Files, Load, Opened, serve};
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::record::Part;
use tracing::{info, warn};

/// Computes clipped sums of patients' gradients for a site agent, which starts it and speaks with it
/// on stdin and stdout. It has no network and writes no file.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Memory that it may take, in MB.
    #[arg(long, default_value_t = 8192)]
    memory_mb: u64,
    /// Tries what the sandbox denies, writing into this folder, and exits; succeeds if nothing was possible.
    #[arg(long, value_name = "FOLDER")]
    check_sandbox: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(false).init();
    let args = Args::parse();
    let entered = sandbox::enter(args.memory_mb).context("the trainer could not confine itself")?;
    if !entered.files_read_only {
        warn!("this kernel lacks Landlock: the trainer may write where its user may");
    }
    if let Some(folder) = args.check_sandbox {
        let possible = sandbox::possible(&folder);
        for what in &possible {
            warn!("the trainer can {what}");
        }
        return Ok(if possible.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut files = HospitalFiles { memory_mb: args.memory_mb };
    serve(&mut io::stdin().lock(), &mut io::stdout().lock(), &mut files).context("the agent's pipe broke")?;
    Ok(ExitCode::SUCCESS)
}

/// The hospital's files, for libtorch.
struct HospitalFiles {
    memory_mb: u64,
}

impl Files for HospitalFiles {
    fn check(&mut self, cohort_file: &Path) -> Result<Inventory, Box<dyn Error>> {
        Ok(CohortFile::load(cohort_file)?.take_inventory()?)
    }

    fn open(&mut self, load: &Load) -> Result<Opened, Box<dyn Error>> {
        let need = &load.plan.data;
        let file = CohortFile::load(&load.cohort_file)?;
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
        Ok(Opened { trainer: open::trainer(&load.plan, cohort, &resources)?, digest })
    }
}
