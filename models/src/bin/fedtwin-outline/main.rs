//! `fedtwin-outline`: the middle slice of a test patient with what models predict there, as JSON.
//!
//! For laboratories and for invented or public patients alone: it shows what must never leave a hospital. It speaks no
//! pipe, so that no agent can ask for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;
use fedtwin_cohort::CohortFile;
use fedtwin_models::engine::Resources;
use fedtwin_models::open::{Parts, device};
use fedtwin_models::segmentation::{Segmentation, UnetModel};
use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::record::{Part, Records};
use fedtwin_plan::text_file::parse;
use fedtwin_plan::{Family, Plan, model_file};
use fedtwin_trainer::middle_slice::MiddleSlice;

/// For laboratories: writes the middle slice of a test patient, with the true outline and those that models predict. Never
/// run it on patients of a hospital: their pictures would be in what it writes.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The cohort, of invented or public patients.
    #[arg(long, value_name = "COHORT.TOML")]
    cohort: PathBuf,
    /// Which test patient, counted from 0.
    #[arg(long, default_value_t = 0)]
    patient: usize,
    /// Folders of studies, with plan.toml and model.safetensors; there is a slice for each, in their order.
    #[arg(required = true, value_name = "STUDY")]
    studies: Vec<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let cohort = CohortFile::load(&args.cohort)?;
    let slices = args.studies.iter().map(|study| middle_slice(study, &cohort, args.patient));
    let slices: Vec<MiddleSlice> = slices.collect::<anyhow::Result<_>>()?;
    Ok(serde_json::to_writer(io::stdout().lock(), &slices)?)
}

fn middle_slice(study: &Path, cohort: &CohortFile, patient: usize) -> anyhow::Result<MiddleSlice> {
    let (plan_file, weights_file) = (study.join("plan.toml"), study.join("model.safetensors"));
    let text =
        fs::read_to_string(&plan_file).with_context(|| format!("{} cannot be read", plan_file.display()))?;
    let plan: Plan = parse(&plan_file.display().to_string(), &text)?;
    let (Family::Unet(size), DataNeed::Images(need)) = (&plan.model.family, &plan.data) else {
        bail!("{} trains no model that outlines anything", plan_file.display());
    };
    let Records::Volumes(test) = cohort.read(&plan.data, Part::Test)? else {
        bail!("the cohort has no images");
    };
    let file =
        fs::read(&weights_file).with_context(|| format!("{} cannot be read", weights_file.display()))?;
    let weights = model_file::decode(plan.architecture(), &file)?;
    let study = Segmentation {
        size: size.clone(),
        architecture: plan.architecture().clone(),
        trained: plan.trained().clone(),
        augmentation: None,
        need: *need,
        loss: plan.training.loss,
        sampling: plan.training.sampling,
    };
    let volumes = Parts { slots: cohort.patients(), train: Vec::new(), test };
    let resources = Resources { device: device(1), threads: 1, memory_mb: MEMORY_MB };
    let mut model = UnetModel::new(study, volumes, &resources)?;
    model.middle_slice(&weights, patient)?.with_context(|| format!("there is no test patient {patient}"))
}

/// What the trainer takes by itself.
const MEMORY_MB: u64 = 8192;
