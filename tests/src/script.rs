//! Sites that follow a script: a trainer without a tensor library, whose every sum is known in advance.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use fedtwin_plan::histogram::Histogram;
use fedtwin_plan::inventory::Inventory;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, PatientId};
use fedtwin_trainer::pipe::Loaded;
use fedtwin_trainer::report::{Report, RiskReport, RiskRow};
use fedtwin_trainer::{Stopper, Trainer, TrainerError};
use serde::{Deserialize, Serialize};

/// What a scripted site does; [`SCRIPT_FILE`] holds it, beside the site's configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Decides what the site contributes.
    pub number: u32,
    /// How its trainer takes a request for a sum.
    pub behaviour: Behaviour,
    /// The intercept of every report: a number that must not leave the site.
    pub intercept: f64,
}

/// How a scripted trainer takes a request for a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Behaviour {
    /// It answers.
    Good,
    /// It says that it cannot.
    Fails,
    /// It never answers.
    Hangs,
    /// It never answers, but the trainer after it does.
    HangsOnce,
    /// It answers with the intercept's bytes: what a check that nothing leaks has to notice.
    Leaks,
    /// It takes a second for a score, and fails where another trainer scores meanwhile.
    ScoresAlone,
}

impl Script {
    /// Returns the script of a good site.
    #[must_use]
    pub fn good(number: u32) -> Self {
        Self { number, behaviour: Behaviour::Good, intercept: 0.0 }
    }

    /// Writes the script into a site's folder.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let text = toml::to_string(self).expect("a script has a form in TOML");
        fs::write(folder.join(SCRIPT_FILE), text)
    }

    /// Reads the script in a site's folder.
    ///
    /// # Errors
    /// Fails where there is none, or something else stands there.
    pub fn load(folder: &Path) -> anyhow::Result<Self> {
        Ok(toml::from_str(&fs::read_to_string(folder.join(SCRIPT_FILE))?)?)
    }
}

/// Returns the `index`-th integer that the site with this number contributes to a sum, from -512 to 511.
#[must_use]
pub fn contribution(number: u32, index: u32) -> i64 {
    // Knuth's multiplicative hash; its upper ten bits look like noise, so that no shifted, swapped or
    // repeated part of an update sums to the same.
    let hash = (index ^ (number << 24)).wrapping_mul(2_654_435_769);
    i64::from(hash >> 22) - CONTRIBUTION_MAX
}

/// Returns what the site with this number predicts for its test patients: probabilities of ten bits, of which
/// the higher ones more often come true.
#[must_use]
pub fn predictions(number: u32) -> Vec<RiskRow> {
    let row = |patient: u32| {
        let draw = |salt: u32| f64::from((patient ^ salt ^ (number << 16)).wrapping_mul(2_654_435_769) >> 22);
        let global = (draw(0x5a5a) + 0.25) / 1024.0;
        RiskRow {
            outcome: draw(0x1357) / 1024.0 < 0.2 + 0.6 * global,
            global: Some(global),
            local: Some(global / 2.0),
        }
    };
    (0..TEST_PATIENTS).map(row).collect()
}

/// Returns all that the site with this number contributes to one sum.
///
/// # Panics
/// If there are 2^32 weights or more.
#[must_use]
pub fn sum(number: u32, weights: usize) -> Vec<i64> {
    let weights = u32::try_from(weights).expect("a scripted model has less than 2^32 weights");
    (0..weights).map(|index| contribution(number, index)).collect()
}

/// A trainer that follows a script.
#[derive(Debug)]
pub struct ScriptedTrainer {
    script: Script,
    folder: PathBuf,
}

impl ScriptedTrainer {
    /// Makes a trainer for the site in `folder`.
    #[must_use]
    pub fn new(script: Script, folder: PathBuf) -> Self {
        Self { script, folder }
    }
}

impl ScriptedTrainer {
    /// What stands for the digest of its cohort's files.
    fn data(&self) -> Digest {
        Digest::of(self.script.number.to_le_bytes().as_slice())
    }
}

impl Trainer for ScriptedTrainer {
    fn check(&mut self, cohort_file: &Path) -> Result<Inventory, TrainerError> {
        let cohort = fs::read_to_string(cohort_file).map_err(TrainerError::Gone)?;
        let cohort: toml::Table = cohort.parse().expect("the agent has read it");
        let declared = cohort["patients"].as_integer().and_then(|patients| u32::try_from(patients).ok());
        Ok(Inventory {
            declared: declared.expect("the agent has read it"),
            train: 1,
            test: TEST_PATIENTS,
            positive: 1,
            left_out: Vec::new(),
            features: Vec::new(),
            events: None,
            digest: self.data(),
        })
    }

    /// Leaves a file behind, which shows that the trainer was asked.
    fn load(&mut self, _plan: &str, _cohort_file: &Path) -> Result<Loaded, TrainerError> {
        fs::write(self.folder.join(LOADED_FILE), "").map_err(TrainerError::Gone)?;
        Ok(Loaded { train: 1, test: TEST_PATIENTS, digest: self.data() })
    }

    fn sum(
        &mut self,
        weights: &[f32],
        _sampled: Vec<PatientId>,
        _slice_seed: u64,
        _clip: Positive,
    ) -> Result<Vec<i64>, TrainerError> {
        match self.script.behaviour {
            Behaviour::Good | Behaviour::ScoresAlone => Ok(sum(self.script.number, weights.len())),
            Behaviour::Leaks => {
                let mut sum = sum(self.script.number, weights.len());
                #[expect(clippy::cast_possible_truncation, reason = "what it leaks is of single precision")]
                let leaked = self.script.intercept as f32;
                sum[0] = i64::from(i32::from_le_bytes(leaked.to_le_bytes()));
                Ok(sum)
            }
            Behaviour::Fails => Err(TrainerError::Failed("the script says so".to_owned())),
            Behaviour::Hangs => hang(),
            Behaviour::HangsOnce => match fs::File::create_new(self.folder.join(HUNG_FILE)) {
                Ok(_first) => hang(),
                Err(_hung_before) => Ok(sum(self.script.number, weights.len())),
            },
        }
    }

    fn measure(&mut self, weights: &[f32]) -> Result<Vec<u32>, TrainerError> {
        let counts = self.score(weights, false)?.counts(Histogram::Risk);
        Ok(counts.into_iter().map(|count| u32::try_from(count).expect("so few patients")).collect())
    }

    fn score(&mut self, _weights: &[f32], _fit_intercept: bool) -> Result<Report, TrainerError> {
        if self.script.behaviour == Behaviour::ScoresAlone {
            let mark = self.folder.join(SCORING_FILE);
            fs::File::create_new(&mark).map_err(TrainerError::Gone)?;
            std::thread::sleep(Duration::from_secs(1));
            fs::remove_file(&mark).map_err(TrainerError::Gone)?;
        }
        Ok(Report::Risk(RiskReport {
            intercept: self.script.intercept,
            rows: predictions(self.script.number),
        }))
    }

    fn stopper(&self) -> Stopper {
        Stopper::default()
    }
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

/// The test patients of every scripted site; so many that little noise hides little.
const TEST_PATIENTS: u32 = 400;
/// The largest size of a scripted integer.
pub(crate) const CONTRIBUTION_MAX: i64 = 512;
/// The script's file in a site's folder.
pub const SCRIPT_FILE: &str = "script.toml";
/// The file that a trainer leaves when it is asked to load the cohort.
pub const LOADED_FILE: &str = "trainer-was-loaded";
/// The file that a trainer leaves before it hangs once.
const HUNG_FILE: &str = "trainer-hung";
/// The file that a trainer leaves while it scores alone.
const SCORING_FILE: &str = "trainer-is-scoring";
