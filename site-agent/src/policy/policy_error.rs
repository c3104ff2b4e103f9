//! Why the policy refuses a plan: in full for this site's own log; what others may know of it is the plan's line alone.

use std::fmt;

/// Why the policy refuses a plan: for people at the site. What others may know of it is the line alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this site's policy {rule}; the plan asks for {asked}")]
pub struct PolicyError {
    /// The plan's line that asks for too much.
    pub line: PlanLine,
    /// The rule, with this site's own limits and lists.
    pub rule: String,
    /// What the plan asks for.
    pub asked: String,
}

/// What a plan asks for and a policy may deny, by the words of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanLine {
    /// The sites.
    Sites,
    /// Who signed it.
    Signer,
    /// The model's family.
    ModelFamily,
    /// How many weights the model has.
    ModelSize,
    /// The cohort.
    Cohort,
    /// The attempts.
    Attempts,
    /// The parts in which it charges.
    Blocks,
    /// The moments at which updates leave.
    Slot,
    /// The fewest sites that it goes on with.
    SitesMin,
    /// That it runs beside those that run already.
    OneMore,
    /// The metrics.
    Metrics,
    /// How releases are protected.
    Mode,
    /// The delta.
    Delta,
    /// The noise.
    Noise,
    /// The noise of one site alone.
    OwnNoise,
    /// The sites that it expects to collude.
    Colluders,
    /// The sites that hide each other.
    Hiding,
}

impl fmt::Display for PlanLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sites => "study.sites",
            Self::Signer => "its signer",
            Self::ModelFamily => "model.family",
            Self::ModelSize => "the size of its model",
            Self::Cohort => "cohort.name",
            Self::Attempts => "rounds.attempts_max",
            Self::Blocks => "rounds.blocks",
            Self::Slot => "rounds.slot_s",
            Self::SitesMin | Self::Hiding => "rounds.sites_min",
            Self::OneMore => "a study more at this time",
            Self::Metrics => "metrics",
            Self::Mode => "the mode of its privacy",
            Self::Delta => "privacy.delta",
            Self::Noise => "its noise",
            Self::OwnNoise => "the noise of one site alone",
            Self::Colluders => "privacy.shared.colluders",
        })
    }
}
