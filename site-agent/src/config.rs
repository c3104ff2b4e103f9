//! The site agent's configuration file, written by the hospital's IT.

use std::path::PathBuf;

use fedtwin_plan::numbers::Count;
use fedtwin_plan::text_file::{Check, Problem};
use fedtwin_privacy::ledger::Protection;
use fedtwin_privacy::noise::{FastNoise, NoiseSource, OpendpNoise};
use fedtwin_trainer::process::TrainerProgram;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::policy::Policy;

/// What `site.toml` says. Paths are relative to the folder that the file is in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteConfig {
    /// The coordinator, as `host:port`.
    pub coordinator: String,
    /// The name in the coordinator's certificate.
    #[serde(default = "localhost")]
    pub server_name: String,
    /// The folder with this site's credentials.
    pub credentials: PathBuf,
    /// The federation's revocation list, read before every handshake and every plan: with this line nobody is believed
    /// without a list that holds.
    pub revoked: Option<PathBuf>,
    /// The folder for the ledger, stored releases and reports. Nothing else writes there.
    pub state: PathBuf,
    /// What the ledger is compared with at start, besides what the coordinator remembers.
    #[serde(default)]
    pub ledger: LedgerConfig,
    /// How to run the trainer.
    #[serde(default)]
    pub trainer: TrainerConfig,
    /// What draws the noise of updates.
    #[serde(default)]
    pub noise: NoiseSampler,
    /// What studies may ask of this site; whatever it does not allow is refused.
    pub policy: Policy,
    /// The cohorts that studies may use.
    #[serde(rename = "cohort")]
    pub cohorts: Vec<CohortConfig>,
}

/// What a ledger is compared with at start: a state folder that was restored from an old backup is noticed by it, whatever
/// the coordinator says.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// A file for the ledger's last checkpoint, where no backup of the state folder reaches. The agent writes it, and goes
    /// on only while it can; it does not start without it once there were studies.
    pub checkpoint_copy: Option<PathBuf>,
    /// Checkpoints of this ledger that others keep, such as an auditor's.
    pub checkpoints: Vec<PathBuf>,
}

/// What draws noise; both are exact and have one law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseSampler {
    /// This project's sampler in machine integers.
    #[default]
    Fast,
    /// opendp's, a thousand times slower: for a site that trusts nothing else.
    Opendp,
}

impl NoiseSampler {
    /// Returns the sampler.
    #[must_use]
    pub fn source(self) -> &'static dyn NoiseSource {
        match self {
            Self::Fast => &FastNoise,
            Self::Opendp => &OpendpNoise,
        }
    }
}

/// How to run the trainer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainerConfig {
    /// The program; without a folder in its name, the one beside this program.
    pub program: PathBuf,
    /// Threads of the tensor library.
    pub threads: Count<1, 1024>,
    /// Memory that a trainer may map, in MiB; the tensor library alone maps about 2,000.
    pub memory_mb: Count<1024, 16_777_216>,
    /// Go on where the kernel cannot confine the trainer. A subverted trainer could then read this site's keys and
    /// write its files; the ledger says from when to when it was so.
    pub unprotected: bool,
    /// Score the model at hand on this site's test patients every so many rounds, for this site's own
    /// eyes; 0 never does before the study's end.
    pub score_every_rounds: u32,
    /// Trainers that only score, at one time; further models wait. Studies that run have a trainer each besides
    /// (`policy.studies_max`), which never waits for these: nobody outside is to see how long scores take.
    pub scorers_max: Count<1, 64>,
}

impl Default for TrainerConfig {
    fn default() -> Self {
        Self {
            program: PathBuf::from("fedtwin-trainer"),
            threads: Count::try_from(1).expect("1 is in range"),
            memory_mb: Count::try_from(16_384).expect("16384 is in range"),
            unprotected: false,
            score_every_rounds: 0,
            scorers_max: Count::try_from(1).expect("1 is in range"),
        }
    }
}

impl TrainerConfig {
    /// Returns how the program is started.
    #[must_use]
    pub fn program(&self) -> TrainerProgram {
        TrainerProgram {
            path: self.program.clone(),
            threads: self.threads.size(),
            memory_mb: self.memory_mb.get().into(),
            unprotected: self.unprotected,
            quiet: false,
        }
    }

    /// Returns what the ledger says of it.
    #[must_use]
    pub fn protection(&self) -> Protection {
        if self.unprotected { Protection::Waived } else { Protection::Required }
    }
}

/// One cohort.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CohortConfig {
    /// The file that describes the cohort.
    pub file: PathBuf,
    /// Where budgets once stood; `fedtwin-site budget` opens them.
    #[serde(default)]
    budget: Option<IgnoredAny>,
}

fn localhost() -> String {
    "localhost".to_owned()
}

impl Check for SiteConfig {
    fn check(&self) -> Result<(), Problem> {
        if self.cohorts.is_empty() {
            return Err(Problem::new("cohort", "expected at least one [[cohort]]"));
        }
        self.policy.check_lines()?;
        for (index, cohort) in self.cohorts.iter().enumerate() {
            if cohort.budget.is_some() {
                let message = "is not set here: a person opens a budget by `fedtwin-site budget propose`, then \
                               `budget confirm`, and it goes into the ledger with who and why";
                return Err(Problem::new(format!("cohort.{index}.budget"), message));
            }
        }
        Ok(())
    }
}
