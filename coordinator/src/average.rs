//! The moving average of the global models: what the study gives in the end, where its plan says so.
//!
//! With noise in every step, the last model is one draw around a path and the average lies closer to the
//! path. It is computed from global models alone, which are released, so that it costs nothing.

use fedtwin_plan::plan::Average;

/// What one round adds to the average.
#[derive(Debug, Clone, PartialEq)]
pub struct Averaging {
    /// What stays of the average so far; 0 up to the first averaged round.
    kept: f32,
    last: bool,
}

impl Averaging {
    /// Makes the step of a `round`, counted from 1, among the plan's `rounds`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
    pub fn new(average: &Average, round: u32, rounds: u32) -> Self {
        let kept = if round <= average.from_round.get() { 0.0 } else { average.decay.get() as f32 };
        Self { kept, last: round == rounds }
    }

    /// Says whether the averages become the study's model.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Moves the averages towards a round's new weights: `a = decay a + (1 - decay) w` (Polyak and Juditsky
    /// 1992 with exponential weights, as De et al. 2022, arXiv 2204.13650, section 3.2, use it with noise).
    pub fn apply(&self, averages: &mut [f32], weights: &[f32]) {
        for (average, weight) in averages.iter_mut().zip(weights) {
            *average = self.kept * *average + (1.0 - self.kept) * weight;
        }
    }
}
