//! A trainer that follows a script, in simulated time: one of its patients is odd, or a null record.

use std::path::Path;
use std::time::Duration;

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, PatientId};
use fedtwin_trainer::pipe::Loaded;
use fedtwin_trainer::report::{Report, RiskReport, RiskRow};
use fedtwin_trainer::{Stopper, Trainer, TrainerError};

/// What the odd patient's record does to a trainer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Nothing: it is a null record.
    Null,
    /// Its gradient is not finite, and its score is no number.
    NotANumber,
    /// The trainer says that it cannot, and why.
    Fails,
    /// The process ends.
    Ends,
    /// The thread that waits for it panics.
    Panics,
    /// It takes longer, by so many milliseconds.
    Slow(u64),
    /// It never answers.
    Silent,
    /// Its answer has another length.
    OtherLength,
    /// Its answer is as large as integers are.
    Huge,
    /// The cohort cannot be loaded, or is not as it was checked.
    LoadFails,
    /// Loading takes longer, by so many milliseconds.
    LoadSlow(u64),
    /// Loading never ends.
    LoadSilent,
    /// Test patients cannot be scored.
    ScoreFails,
    /// Scoring takes longer, by so many milliseconds.
    ScoreSlow(u64),
}

/// The trainer and the time that it took so far; nothing where it never answers.
pub(crate) struct Scripted {
    pub(crate) odd: Odd,
    pub(crate) patient: u32,
    pub(crate) took: Option<Duration>,
}

impl Scripted {
    pub(crate) fn new(odd: Odd, patient: u32) -> Self {
        Self { odd, patient, took: Some(Duration::ZERO) }
    }

    fn takes(&mut self, ms: u64) {
        self.took = self.took.map(|took| took + Duration::from_millis(ms));
    }
}

impl Trainer for Scripted {
    fn load(&mut self, _plan: &str, _cohort_file: &Path) -> Result<Loaded, TrainerError> {
        self.takes(700);
        match self.odd {
            Odd::LoadFails => return Err(TrainerError::Failed(format!("patient {} is odd", self.patient))),
            Odd::LoadSlow(ms) => self.takes(ms),
            Odd::LoadSilent => self.took = None,
            _ => {}
        }
        Ok(Loaded { train: 8, test: 2, digest: Digest::of(b"") })
    }

    fn sum(
        &mut self,
        weights: &[f32],
        sampled: Vec<PatientId>,
        _slice_seed: u64,
        _clip: Positive,
    ) -> Result<Vec<i64>, TrainerError> {
        self.takes(300);
        let mut sum: Vec<i64> = vec![0; weights.len()];
        for patient in sampled {
            sum.iter_mut().for_each(|value| *value += i64::from(patient.0) - 3);
            if patient.0 != self.patient {
                continue;
            }
            match self.odd {
                Odd::Fails => return Err(TrainerError::Failed(format!("patient {} is odd", patient.0))),
                Odd::Ends => return Err(TrainerError::Gone(std::io::ErrorKind::UnexpectedEof.into())),
                // As a panic, without its lines in the test's output.
                Odd::Panics => std::panic::resume_unwind(Box::new(())),
                Odd::Slow(ms) => self.takes(ms),
                Odd::Silent => self.took = None,
                Odd::OtherLength => return Ok(vec![0; weights.len() + 1]),
                Odd::Huge => return Ok(vec![i64::MAX; weights.len()]),
                _ => {}
            }
        }
        Ok(sum)
    }

    fn measure(&mut self, _weights: &[f32]) -> Result<Vec<u32>, TrainerError> {
        self.takes(200);
        let mut counts = vec![0; CELLS];
        match self.odd {
            // A score that is no number is in no cell.
            Odd::NotANumber => {}
            Odd::ScoreFails => return Err(TrainerError::Failed(format!("patient {} is odd", self.patient))),
            Odd::ScoreSlow(ms) => self.takes(ms),
            _ => counts[10] = 1,
        }
        Ok(counts)
    }

    fn score(&mut self, _weights: &[f32], _fit_intercept: bool) -> Result<Report, TrainerError> {
        self.takes(200);
        let mut row = RiskRow { outcome: true, global: Some(0.25), local: Some(0.5) };
        match self.odd {
            Odd::NotANumber => row.global = None,
            Odd::ScoreFails => return Err(TrainerError::Failed(format!("patient {} is odd", self.patient))),
            Odd::ScoreSlow(ms) => self.takes(ms),
            _ => {}
        }
        Ok(Report::Risk(RiskReport { intercept: 0.0, rows: vec![row] }))
    }

    fn stopper(&self) -> Stopper {
        Stopper::default()
    }
}

/// Twenty scores of each outcome.
const CELLS: usize = 40;
