//! The trainer as a process of its own, at the other end of a pipe.
//!
//! A process reads one cohort and gives up the right to read anything else; for another cohort there is another process.

use std::io::{self, BufReader, BufWriter};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use fedtwin_plan::PatientId;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::numbers::Positive;

use crate::answers::{Lengths, counts, integers};
use crate::kept_memory;
use crate::pipe::{FrameLimits, Loaded, Request, Response, read_frame, write_frame};
use crate::report::Report;
use crate::stand_in::StandIn;
use crate::trainer::{Stopper, Trainer, TrainerError};

/// The program, and how it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainerProgram {
    /// Where it is; without a folder in its name, beside this program.
    pub path: PathBuf,
    /// Threads of the tensor library.
    pub threads: usize,
    /// Memory that it may map, in MiB.
    pub memory_mb: u64,
    /// Go on where the kernel cannot confine it.
    pub unprotected: bool,
    /// Drop what it logs; reasons come back as answers.
    pub quiet: bool,
}

/// A trainer in a process of its own.
#[derive(Debug)]
pub struct ProcessTrainer {
    program: TrainerProgram,
    process: Arc<Mutex<Child>>,
    requests: BufWriter<ChildStdin>,
    responses: BufReader<ChildStdout>,
    /// The only cohort that the process can read.
    cohort_file: Option<PathBuf>,
    /// How long answers may be; nothing is loaded at first.
    lengths: Lengths,
}

impl ProcessTrainer {
    /// Starts the process.
    ///
    /// # Errors
    /// Fails where the program cannot be started.
    pub fn start(program: &TrainerProgram) -> Result<Self, TrainerError> {
        let (child, requests, responses) = spawn(program)?;
        Ok(Self {
            program: program.clone(),
            process: Arc::new(Mutex::new(child)),
            requests,
            responses,
            cohort_file: None,
            lengths: Lengths::default(),
        })
    }

    /// Has another process where this one has read another cohort.
    fn reading(&mut self, cohort_file: &Path) -> Result<(), TrainerError> {
        if self.cohort_file.as_deref().is_some_and(|own| own != cohort_file) {
            let (child, requests, responses) = spawn(&self.program)?;
            let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have ended by itself.
            let _ended = process.kill();
            let _reaped = process.wait();
            *process = child;
            drop(process);
            (self.requests, self.responses, self.lengths) = (requests, responses, Lengths::default());
        }
        self.cohort_file = Some(cohort_file.to_path_buf());
        Ok(())
    }

    /// Says how the process ended, which its pipe does not tell.
    fn gone(&self, error: io::Error) -> TrainerError {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        // Who closes its pipe and stays would be waited for without end. One that is ending keeps its own status.
        let _ended = process.kill();
        let status = process.wait().ok();
        TrainerError::Gone(match status.and_then(|status| status.signal()) {
            Some(SIGSYS) => io::Error::other(
                "it was ended by the kernel (SIGSYS), because it made a system call that its sandbox forbids",
            ),
            Some(SIGKILL) => io::Error::other("it was killed, or closed its pipe and was killed for that"),
            Some(signal) => io::Error::other(format!("it was ended by signal {signal}")),
            None => error,
        })
    }

    fn ask(
        &mut self,
        request: &Request,
        payload: &[u8],
        limits: FrameLimits,
    ) -> Result<(Response, Vec<u8>), TrainerError> {
        write_frame(&mut self.requests, request, payload).map_err(|error| self.gone(error))?;
        let frame = match read_frame(&mut self.responses, limits) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(self.gone(io::ErrorKind::UnexpectedEof.into())),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                // What follows cannot be understood, and nobody is to wait for it.
                self.stopper().stop();
                return Err(TrainerError::BeyondBounds(error.to_string()));
            }
            Err(error) => return Err(self.gone(error)),
        };
        match frame {
            (Response::Failed { message }, _) => Err(TrainerError::Failed(message)),
            answer => Ok(answer),
        }
    }
}

impl Trainer for ProcessTrainer {
    fn check(&mut self, cohort_file: &Path) -> Result<Inventory, TrainerError> {
        self.reading(cohort_file)?;
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
        self.reading(cohort_file)?;
        let threads = self.program.threads;
        let (plan, cohort_file) = (plan.to_owned(), cohort_file.to_path_buf());
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

type Process = (Child, BufWriter<ChildStdin>, BufReader<ChildStdout>);

fn spawn(program: &TrainerProgram) -> Result<Process, TrainerError> {
    let path = beside_this_program(&program.path);
    let started = Command::new(&path)
        .arg("--memory-mb")
        .arg(program.memory_mb.to_string())
        .args(program.unprotected.then_some("--unprotected"))
        .envs(kept_memory::SETTINGS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(if program.quiet { Stdio::null() } else { Stdio::inherit() })
        .spawn();
    let mut child =
        started.map_err(|source| TrainerError::Start { program: path.display().to_string(), source })?;
    let requests = child.stdin.take().expect("standard input is piped");
    let responses = child.stdout.take().expect("standard output is piped");
    Ok((child, BufWriter::new(requests), BufReader::new(responses)))
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

/// With what the kernel ends a process that makes a forbidden call; the same on x86-64 and aarch64.
const SIGSYS: i32 = 31;
/// With what the kernel ends a process that takes too much memory, and this agent any.
const SIGKILL: i32 = 9;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use fedtwin_plan::Digest;
    use tempfile::TempDir;

    use super::*;
    use crate::report::RiskReport;

    const PLAN: &str = r#"
data.table = { outcome = "ill", features.age.number = { unit = "years", low = 0, high = 100 } }
study = { id = "s", title = "t", sites = ["north"], expires = "2030-01-01" }
cohort = { name = "c", patients_max = 100 }
model = { family = "linear-risk", seed = 1 }
rounds = { count = 1, attempts_max = 1, blocks = 1, sites_min = 1, join_s = 1, deadline_s = 9, slot_s = 0 }
training = { sampling = "1", loss = "bce", site = "gradient", server.fedavg = { learning_rate = 1.0 } }
privacy.none = { clip = 8.0 }
calibrated = { m = 10, c_int = 8000, modulus_bits = 32, steps = 1 }
"#;

    /// A subverted trainer: a program that answers what it was told beforehand, whatever it is asked.
    struct Subverted(ProcessTrainer, #[expect(dead_code, reason = "the program lies there")] TempDir);

    fn subverted(answers: &[u8]) -> Subverted {
        let folder = TempDir::new().unwrap();
        let answer = folder.path().join("answers");
        fs::write(&answer, answers).unwrap();
        running(folder, &format!("cat '{}'\nexec cat >/dev/null", answer.display()))
    }

    fn running(folder: TempDir, script: &str) -> Subverted {
        let program = folder.path().join("trainer");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let program =
            TrainerProgram { path: program, threads: 1, memory_mb: 16_384, unprotected: false, quiet: false };
        Subverted(ProcessTrainer::start(&program).unwrap(), folder)
    }

    /// It loads a cohort of one test patient first.
    fn after_loading(answer: (&Response, &[u8])) -> Subverted {
        let mut answers = Vec::new();
        let loaded = Loaded { train: 9, test: 1, digest: Digest::of(b"") };
        write_frame(&mut answers, &Response::Ready(loaded), &[]).unwrap();
        write_frame(&mut answers, answer.0, answer.1).unwrap();
        let mut trainer = subverted(&answers);
        assert_eq!(trainer.0.load(PLAN, Path::new("cohort.toml")).unwrap(), loaded);
        trainer
    }

    fn sum_of(trainer: &mut Subverted) -> Result<Vec<i64>, TrainerError> {
        trainer.0.sum(&[0.0; 3], vec![PatientId(0)], 0, 8.0.try_into().unwrap())
    }

    #[test]
    fn answers_longer_than_the_model_are_refused_before_they_are_read() {
        let three = [0; 24];
        assert_eq!(sum_of(&mut after_loading((&Response::Sum, &three))).unwrap(), [0; 3]);
        let refused = sum_of(&mut after_loading((&Response::Sum, &[0; 32]))).unwrap_err();
        assert!(matches!(refused, TrainerError::BeyondBounds(_)), "{refused}");
        // A header that would claim memory: a report where a sum was asked for.
        let message = "x".repeat(1 << 20);
        let refused = sum_of(&mut after_loading((&Response::Failed { message }, &[]))).unwrap_err();
        assert!(matches!(refused, TrainerError::BeyondBounds(_)), "{refused}");
        // A payload that is announced and never comes.
        let mut announced = Vec::new();
        let loaded = Loaded { train: 9, test: 1, digest: Digest::of(b"") };
        write_frame(&mut announced, &Response::Ready(loaded), &[]).unwrap();
        announced.extend([&8_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat());
        let mut trainer = subverted(&announced);
        trainer.0.load(PLAN, Path::new("cohort.toml")).unwrap();
        let refused = sum_of(&mut trainer).unwrap_err();
        assert!(matches!(refused, TrainerError::BeyondBounds(_)), "{refused}");
    }

    #[test]
    fn more_patients_than_were_loaded_are_not_counted() {
        let counts = |of: [u64; 2]| {
            let mut counts = vec![0_u64; 40];
            (counts[3], counts[39]) = (of[0], of[1]);
            let payload: Vec<u8> = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
            after_loading((&Response::Measured, &payload)).0.measure(&[0.0; 3])
        };
        assert_eq!(counts([0, 1]).unwrap()[39], 1);
        for beyond in [[1, 1], [0, 2], [u64::MAX, 2], [u64::MAX, u64::MAX]] {
            let refused = counts(beyond).unwrap_err();
            assert!(matches!(refused, TrainerError::BeyondBounds(_)), "{refused}");
        }
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let report = Report::Risk(RiskReport::default());
        let other = sum_of(&mut after_loading((&Response::Measured, &[0; 24]))).unwrap_err();
        assert!(matches!(other, TrainerError::OtherAnswer), "{other}");
        let other = after_loading((&Response::Scored(Box::new(report)), &[])).0.measure(&[0.0; 3]);
        assert!(other.is_err());
        let part = sum_of(&mut after_loading((&Response::Sum, &[0; 23]))).unwrap_err();
        assert!(matches!(part, TrainerError::OtherAnswer), "{part}");
    }

    /// Asks a trainer that runs this script, and returns what is said of its end.
    fn end_of(script: &'static str) -> String {
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut trainer = running(TempDir::new().unwrap(), script);
            let gone = trainer.0.check(Path::new("cohort.toml")).unwrap_err();
            let TrainerError::Gone(source) = gone else { panic!("{gone}") };
            drop(trainer);
            said.send(source.to_string()).unwrap();
        });
        heard.recv_timeout(std::time::Duration::from_secs(60)).expect("nobody waits for the trainer")
    }

    #[test]
    fn a_trainer_that_its_sandbox_ended_is_named_for_what_it_did() {
        let said = end_of("head -c 1 >/dev/null\nkill -SYS $$");
        assert!(said.contains("its sandbox forbids"), "{said}");
    }

    #[test]
    fn a_trainer_that_closes_its_pipe_and_stays_holds_nobody() {
        let said = end_of("exec >&-\nexec sleep 1000");
        assert!(said.contains("closed its pipe"), "{said}");
    }
}
