//! The trainer as a process of its own, at the other end of a pipe.

use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use fedtwin_plan::histogram::Histogram;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::pipe::{FrameLimits, Loaded, Request, Response, read_frame, write_frame};
use fedtwin_plan::report::Report;
use fedtwin_plan::stand_in::StandIn;
use fedtwin_plan::{PatientId, Plan, text_file};

use crate::config::TrainerConfig;
use crate::trainer::{Stopper, Trainer, TrainerError};

/// A trainer in a process of its own.
#[derive(Debug)]
pub struct ProcessTrainer {
    process: Arc<Mutex<Child>>,
    requests: BufWriter<ChildStdin>,
    responses: BufReader<ChildStdout>,
    threads: usize,
    /// How long answers may be; nothing is loaded at first.
    lengths: Lengths,
}

/// The lengths of a plan's answers, and the test patients who can be in them.
#[derive(Debug, Clone, Copy, Default)]
struct Lengths {
    sum: usize,
    cells: usize,
    test: u32,
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
            lengths: Lengths::default(),
        })
    }

    fn ask(
        &mut self,
        request: &Request,
        payload: &[u8],
        limits: FrameLimits,
    ) -> Result<(Response, Vec<u8>), TrainerError> {
        write_frame(&mut self.requests, request, payload).map_err(TrainerError::Gone)?;
        let frame = read_frame(&mut self.responses, limits).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => TrainerError::BeyondBounds(error.to_string()),
            _ => TrainerError::Gone(error),
        })?;
        match frame.ok_or_else(|| TrainerError::Gone(io::ErrorKind::UnexpectedEof.into()))? {
            (Response::Failed { message }, _) => Err(TrainerError::Failed(message)),
            answer => Ok(answer),
        }
    }
}

impl Trainer for ProcessTrainer {
    fn check(&mut self, cohort_file: &Path) -> Result<Inventory, TrainerError> {
        let request = Request::Check { cohort_file: cohort_file.to_path_buf() };
        match self.ask(&request, &[], FrameLimits::REPORT)? {
            (Response::Checked(inventory), _) => Ok(*inventory),
            _ => Err(TrainerError::OtherAnswer),
        }
    }

    fn load(&mut self, plan: &str, cohort_file: &Path) -> Result<Loaded, TrainerError> {
        self.load_altered(plan, cohort_file, None)
    }

    fn load_altered(
        &mut self,
        plan: &str,
        cohort_file: &Path,
        altered: Option<(PatientId, StandIn)>,
    ) -> Result<Loaded, TrainerError> {
        let lengths = Lengths::of(plan)?;
        let (plan, cohort_file, threads) = (plan.to_owned(), cohort_file.to_path_buf(), self.threads);
        let request = Request::Load { plan, cohort_file, threads, altered };
        match self.ask(&request, &[], FrameLimits::integers(0))? {
            (Response::Ready(loaded), _) => {
                self.lengths = Lengths { test: loaded.test, ..lengths };
                Ok(loaded)
            }
            _ => Err(TrainerError::OtherAnswer),
        }
    }

    fn sum(
        &mut self,
        weights: &[f32],
        sampled: Vec<PatientId>,
        slice_seed: u64,
        clip: Positive,
    ) -> Result<Vec<i64>, TrainerError> {
        let limits = FrameLimits::integers(self.lengths.sum);
        match self.ask(&Request::Sum { sampled, slice_seed, clip }, &to_le(weights), limits)? {
            (Response::Sum, payload) => integers(&payload, i64::from_le_bytes),
            _ => Err(TrainerError::OtherAnswer),
        }
    }

    fn measure(&mut self, weights: &[f32]) -> Result<Vec<u32>, TrainerError> {
        let Lengths { cells, test, .. } = self.lengths;
        match self.ask(&Request::Measure, &to_le(weights), FrameLimits::integers(cells))? {
            (Response::Measured, payload) => counts(&integers(&payload, u64::from_le_bytes)?, test),
            _ => Err(TrainerError::OtherAnswer),
        }
    }

    fn score(&mut self, weights: &[f32], fit_intercept: bool) -> Result<Report, TrainerError> {
        match self.ask(&Request::Score { fit_intercept }, &to_le(weights), FrameLimits::REPORT)? {
            (Response::Scored(report), _) => Ok(*report),
            _ => Err(TrainerError::OtherAnswer),
        }
    }

    fn stopper(&self) -> Stopper {
        Stopper::of(Arc::clone(&self.process))
    }
}

impl Drop for ProcessTrainer {
    fn drop(&mut self) {
        self.stopper().stop();
    }
}

impl Lengths {
    fn of(plan: &str) -> Result<Self, TrainerError> {
        let refuse = |problem: String| TrainerError::Failed(format!("the plan is refused: {problem}"));
        let plan: Plan = text_file::parse("plan", plan).map_err(|error| refuse(error.to_string()))?;
        let trained = plan.trained().map_err(|problem| refuse(problem.message))?;
        let cells = plan.histogram().map_or(0, Histogram::cells);
        Ok(Self { sum: plan.update_values(&trained), cells, test: 0 })
    }
}

/// Reads the integers of a payload.
fn integers<T>(payload: &[u8], read: fn([u8; 8]) -> T) -> Result<Vec<T>, TrainerError> {
    match payload.as_chunks() {
        (values, []) => Ok(values.iter().map(|&value| read(value)).collect()),
        _ => Err(TrainerError::OtherAnswer),
    }
}

/// Holds counts against the number of patients who can be in them: each is in one cell at most.
fn counts(counts: &[u64], test: u32) -> Result<Vec<u32>, TrainerError> {
    let counted = counts.iter().fold(0_u64, |sum, &count| sum.saturating_add(count));
    if counted > test.into() {
        let message = format!("it counted {counted} patients where it had loaded {test}");
        return Err(TrainerError::BeyondBounds(message));
    }
    let narrow = |&count| u32::try_from(count).expect("no count is above the total");
    Ok(counts.iter().map(narrow).collect())
}

/// A program's name without a folder means the one that was installed along with the agent.
fn beside_this_program(program: &Path) -> PathBuf {
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
