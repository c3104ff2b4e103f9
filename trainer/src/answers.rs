//! What a trainer's answers are held against: a plan's lengths, and the patients who can be in them.

use fedtwin_plan::histogram::Histogram;
use fedtwin_plan::{Plan, text_file};

use crate::trainer::TrainerError;

/// The lengths of a plan's answers, and the test patients who can be in them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lengths {
    pub(crate) sum: usize,
    pub(crate) cells: usize,
    pub(crate) test: u32,
}

impl Lengths {
    pub(crate) fn of(plan: &str) -> Result<Self, TrainerError> {
        let refuse = |problem: String| TrainerError::Failed(format!("the plan is refused: {problem}"));
        let plan: Plan = text_file::parse("plan", plan).map_err(|error| refuse(error.to_string()))?;
        let cells = plan.model.family.histogram().map_or(0, Histogram::cells);
        Ok(Self { sum: plan.update_values(), cells, test: 0 })
    }
}

/// Reads the integers of a payload.
pub(crate) fn integers<T>(payload: &[u8], read: fn([u8; 8]) -> T) -> Result<Vec<T>, TrainerError> {
    match payload.as_chunks() {
        (values, []) => Ok(values.iter().map(|&value| read(value)).collect()),
        _ => Err(TrainerError::OtherAnswer),
    }
}

/// Holds counts against the number of patients who can be in them: each is in one cell at most.
pub(crate) fn counts(counts: &[u64], test: u32) -> Result<Vec<u32>, TrainerError> {
    let counted = counts.iter().fold(0_u64, |sum, &count| sum.saturating_add(count));
    if counted > test.into() {
        let message = format!("it counted {counted} patients where it had loaded {test}");
        return Err(TrainerError::BeyondBounds(message));
    }
    let narrow = |&count| u32::try_from(count).expect("no count is above the total");
    Ok(counts.iter().map(narrow).collect())
}
