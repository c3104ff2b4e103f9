//! Scores a model on a cohort that did not train it, with the trainer that sites use.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use fedtwin_plan::pipe::{FrameLimits, Request, Response, read_frame, write_frame};
use fedtwin_plan::report::Report;
use fedtwin_plan::{ModelSpec, model_file};

use crate::simulate::confinement::Confinement;

/// Scores the model file on the test patients of a cohort, as the plan in `plan_file` needs them.
///
/// # Errors
/// Fails where a file cannot be read or the trainer does not answer.
pub fn score(
    trainer: &Path,
    plan_file: &Path,
    spec: &ModelSpec,
    model: &Path,
    cohort_file: &Path,
) -> anyhow::Result<Report> {
    let plan = std::fs::read_to_string(plan_file)?;
    let file = std::fs::read(model).with_context(|| format!("{} cannot be read", model.display()))?;
    let weights = model_file::decode(spec, &file)?;
    let payload: Vec<u8> = weights.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    let mut trainer = Trainer::start(trainer)?;
    trainer.ask(
        &Request::Load { plan, cohort_file: cohort_file.to_path_buf(), threads: 1, altered: None },
        &[],
    )?;
    match trainer.ask(&Request::Score { fit_intercept: false }, &payload)? {
        Response::Scored(report) => Ok(*report),
        Response::Checked(_)
        | Response::Ready(_)
        | Response::Sum
        | Response::Measured
        | Response::Failed { .. } => bail!("the trainer gave another answer"),
    }
}

struct Trainer(Child);

impl Trainer {
    fn start(program: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        if Confinement::of(program)? == Confinement::Lacking {
            command.arg("--unprotected");
        }
        // What goes wrong comes back as an answer.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = command.spawn();
        Ok(Self(started.with_context(|| format!("cannot start {}", program.display()))?))
    }

    fn ask(&mut self, request: &Request, payload: &[u8]) -> anyhow::Result<Response> {
        let stdin = self.0.stdin.as_mut().context("standard input is piped")?;
        write_frame(stdin, request, payload)?;
        let stdout = self.0.stdout.as_mut().context("standard output is piped")?;
        match read_frame(stdout, FrameLimits::REPORT)?.context("the trainer ended")? {
            (Response::Failed { message }, _) => bail!("the trainer: {message}"),
            (answer, _) => Ok(answer),
        }
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        // It ends by itself when its input closes; if it is stuck, this is what ends it.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
