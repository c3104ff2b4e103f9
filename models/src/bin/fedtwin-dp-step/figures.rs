//! A line of the results.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was measured of one kind of step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) case: String,
    /// `plain`, an engine's name, `best` for the one that a study gets, or `opacus-...`.
    pub(crate) engine: String,
    pub(crate) threads: usize,
    /// The median step.
    pub(crate) milliseconds: f64,
    /// The mean processor time of a step, of all threads: what is left to compare on a busy machine.
    pub(crate) processor_milliseconds: f64,
    /// The median time that the noise took of it.
    pub(crate) noise_milliseconds: f64,
    /// The median step over the ordinary one's.
    pub(crate) ratio: f64,
    /// The same, with the noise's time taken off.
    pub(crate) ratio_without_noise: f64,
    /// The process's peak.
    pub(crate) memory_mb: f64,
    /// The peak over the ordinary step's.
    pub(crate) memory_ratio: f64,
}

impl Figures {
    pub(crate) const HEADER: &'static str = "       case          engine threads  milliseconds  processor     noise     ratio  without noise        MB  MB ratio";

    /// Fills in the ratios to an ordinary step's time and memory.
    pub(crate) fn against(mut self, plain: Option<(f64, f64)>) -> Self {
        if let Some((milliseconds, memory_mb)) = plain {
            self.ratio = self.milliseconds / milliseconds;
            self.ratio_without_noise = (self.milliseconds - self.noise_milliseconds) / milliseconds;
            self.memory_ratio = self.memory_mb / memory_mb;
        }
        self
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, engine, threads, milliseconds, processor_milliseconds, noise_milliseconds, .. } =
            self;
        write!(f, "{case:>11} {engine:>15} {threads:>7} {milliseconds:>13.2}")?;
        write!(f, " {processor_milliseconds:>10.2} {noise_milliseconds:>9.2}")?;
        write!(f, " {:>9.3} {:>14.3}", self.ratio, self.ratio_without_noise)?;
        write!(f, " {:>9.0} {:>9.2}", self.memory_mb, self.memory_ratio)
    }
}
