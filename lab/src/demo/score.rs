//! Scores a model on a cohort that did not train it, with the trainer that sites use.

use std::path::Path;

use anyhow::Context;
use fedtwin_plan::{Architecture, model_file};
use fedtwin_trainer::Trainer;
use fedtwin_trainer::process::{ProcessTrainer, TrainerProgram};
use fedtwin_trainer::report::Report;

use fedtwin_simulation::confinement::Confinement;

/// Scores the model file on the test patients of a cohort, as the plan in `plan_file` needs them.
///
/// # Errors
/// Fails where a file cannot be read or the trainer does not answer.
pub fn score(
    trainer: &Path,
    plan_file: &Path,
    architecture: &Architecture,
    model: &Path,
    cohort_file: &Path,
) -> anyhow::Result<Report> {
    let plan = std::fs::read_to_string(plan_file)?;
    let file = std::fs::read(model).with_context(|| format!("{} cannot be read", model.display()))?;
    let weights = model_file::decode(architecture, &file)?;
    let unprotected = Confinement::of(trainer)? == Confinement::Lacking;
    let program = TrainerProgram {
        path: trainer.to_path_buf(),
        threads: 1,
        memory_mb: MEMORY_MB,
        unprotected,
        quiet: true,
    };
    let mut trainer = ProcessTrainer::start(&program)?;
    trainer.load(&plan, cohort_file)?;
    Ok(trainer.score(&weights, false)?)
}

/// What the program takes by itself.
const MEMORY_MB: u64 = 8192;
