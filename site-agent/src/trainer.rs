//! The trainer, seen from the agent: a process that knows data and gradients, and nothing else.

use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use fedtwin_plan::PatientId;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::pipe::{Request, Response, read_frame, write_frame};
use fedtwin_plan::report::Report;
use fedtwin_plan::stand_in::StandIn;

use crate::config::TrainerConfig;

/// What computes on patients' data.
pub trait Trainer: Send {
    /// Loads the cohort as the plan needs it; returns the numbers of training and test patients.
    ///
    /// # Errors
    /// Fails where the data do not fit the plan, or the trainer is gone.
    fn load(&mut self, plan: &str, cohort_file: &Path) -> Result<(u32, u32), TrainerError>;

    /// Loads the cohort with a stand-in for one patient's record: for audits alone.
    ///
    /// # Errors
    /// As [`load`](Self::load), and where a trainer has no records to alter.
    fn load_altered(
        &mut self,
        plan: &str,
        cohort_file: &Path,
        altered: Option<(PatientId, StandIn)>,
    ) -> Result<(u32, u32), TrainerError> {
        match altered {
            None => self.load(plan, cohort_file),
            Some(_) => Err(TrainerError::OtherAnswer),
        }
    }

    /// Returns the sum of the sampled patients' gradients at `weights`, clipped to the round's `clip` and
    /// quantised.
    ///
    /// # Shapes
    /// `weights`: all of the model's values. Returns the plan's trained values, in the same order,
    /// and the indicator where the clip adapts.
    ///
    /// # Errors
    /// Fails where the gradients cannot be computed, or the trainer is gone.
    fn sum(
        &mut self,
        weights: &[f32],
        sampled: Vec<PatientId>,
        slice_seed: u64,
        clip: Positive,
    ) -> Result<Vec<i64>, TrainerError>;

    /// Scores `weights` on the test patients.
    ///
    /// # Errors
    /// Fails where the scores cannot be computed, or the trainer is gone.
    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainerError>;

    /// Returns what ends the trainer from another thread, whatever it is doing.
    fn stopper(&self) -> Stopper;
}

/// Ends a trainer from another thread.
#[derive(Debug, Clone, Default)]
pub struct Stopper(Option<Arc<Mutex<Child>>>);

impl Stopper {
    /// Ends the process, if there is one.
    pub fn stop(&self) {
        if let Some(child) = &self.0 {
            let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have ended by itself; then there is nothing to kill, only to reap.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// Makes a trainer for one study.
pub type NewTrainer = Arc<dyn Fn() -> Result<Box<dyn Trainer>, TrainerError> + Send + Sync>;

/// Why the trainer did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The program cannot be started.
    #[error("cannot start the trainer {program}; is it installed beside the agent?")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The process ended, or its pipe broke.
    #[error("the trainer ended in the middle of its work (out of memory, perhaps)")]
    Gone(#[source] io::Error),
    /// The trainer says what is wrong.
    #[error("{0}")]
    Failed(String),
    /// The trainer's answer is not one to this question.
    #[error("the trainer answered another question; are agent and trainer of the same version?")]
    OtherAnswer,
}

/// A trainer in a process of its own.
#[derive(Debug)]
pub struct ProcessTrainer {
    process: Arc<Mutex<Child>>,
    requests: BufWriter<ChildStdin>,
    responses: BufReader<ChildStdout>,
    threads: usize,
}

impl ProcessTrainer {
    /// Starts the process.
    ///
    /// # Errors
    /// Fails where the program cannot be started.
    pub fn start(config: &TrainerConfig) -> Result<Self, TrainerError> {
        let program = beside_this_program(&config.program);
        let started = Command::new(&program)
            .arg("--memory-mb")
            .arg(config.memory_mb.get().to_string())
            // Buffers of every step are of the same sizes: keeping them saves 10 to 25 % of the time.
            .env("MALLOC_TRIM_THRESHOLD_", KEPT_BYTES)
            .env("MALLOC_MMAP_THRESHOLD_", KEPT_BYTES)
            // And the threads of a step share them: each would give its own back in pieces of 64 MiB.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = started
            .map_err(|source| TrainerError::Start { program: program.display().to_string(), source })?;
        let requests = child.stdin.take().expect("standard input is piped");
        let responses = child.stdout.take().expect("standard output is piped");
        Ok(Self {
            process: Arc::new(Mutex::new(child)),
            requests: BufWriter::new(requests),
            responses: BufReader::new(responses),
            threads: config.threads.size(),
        })
    }

    fn ask(&mut self, request: &Request, payload: &[u8]) -> Result<(Response, Vec<u8>), TrainerError> {
        write_frame(&mut self.requests, request, payload).map_err(TrainerError::Gone)?;
        let frame = read_frame(&mut self.responses).map_err(TrainerError::Gone)?;
        match frame.ok_or_else(|| TrainerError::Gone(io::ErrorKind::UnexpectedEof.into()))? {
            (Response::Failed { message }, _) => Err(TrainerError::Failed(message)),
            answer => Ok(answer),
        }
    }
}

impl Trainer for ProcessTrainer {
    fn load(&mut self, plan: &str, cohort_file: &Path) -> Result<(u32, u32), TrainerError> {
        self.load_altered(plan, cohort_file, None)
    }

    fn load_altered(
        &mut self,
        plan: &str,
        cohort_file: &Path,
        altered: Option<(PatientId, StandIn)>,
    ) -> Result<(u32, u32), TrainerError> {
        let (plan, cohort_file, threads) = (plan.to_owned(), cohort_file.to_path_buf(), self.threads);
        match self.ask(&Request::Load { plan, cohort_file, threads, altered }, &[])? {
            (Response::Ready { train, test }, _) => Ok((train, test)),
            (Response::Sum | Response::Scored(_) | Response::Failed { .. }, _) => {
                Err(TrainerError::OtherAnswer)
            }
        }
    }

    fn sum(
        &mut self,
        weights: &[f32],
        sampled: Vec<PatientId>,
        slice_seed: u64,
        clip: Positive,
    ) -> Result<Vec<i64>, TrainerError> {
        match self.ask(&Request::Sum { sampled, slice_seed, clip }, &to_le(weights))? {
            (Response::Sum, payload) if payload.len() % 8 == 0 => {
                let (values, _none) = payload.as_chunks::<8>();
                Ok(values.iter().map(|&value| i64::from_le_bytes(value)).collect())
            }
            (Response::Sum | Response::Ready { .. } | Response::Scored(_) | Response::Failed { .. }, _) => {
                Err(TrainerError::OtherAnswer)
            }
        }
    }

    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainerError> {
        match self.ask(&Request::Score { fit_intercept }, &to_le(weights))? {
            (Response::Scored(report), _) => Ok(*report),
            (Response::Ready { .. } | Response::Sum | Response::Failed { .. }, _) => {
                Err(TrainerError::OtherAnswer)
            }
        }
    }

    fn stopper(&self) -> Stopper {
        Stopper(Some(Arc::clone(&self.process)))
    }
}

impl Drop for ProcessTrainer {
    fn drop(&mut self) {
        self.stopper().stop();
    }
}

/// A program's name without a folder means the one that was installed along with the agent.
fn beside_this_program(program: &Path) -> std::path::PathBuf {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(program)));
    match beside {
        Some(beside) if program.components().count() == 1 && beside.exists() => beside,
        Some(_) | None => program.to_path_buf(),
    }
}

fn to_le(weights: &[f32]) -> Vec<u8> {
    weights.iter().flat_map(|weight| weight.to_le_bytes()).collect()
}

/// The C library gives memory above this back at once; a GiB is more than a step takes.
const KEPT_BYTES: &str = "1073741824";
