//! What the agent keeps of a study, for itself: stored releases, scores, the final model.
//!
//! ```text
//! studies/<id>/plan.toml            the plan as it was signed
//! studies/<id>/release              the bytes of the last attempt's update
//! studies/<id>/metrics-release      the bytes of the last metrics, noised
//! studies/<id>/scores.jsonl         scores of models along the way, on this site's test patients
//! studies/<id>/report.json          scores of the final model
//! studies/<id>/model.safetensors    the final model
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fedtwin_plan::{Architecture, StudyId, model_file};
use fedtwin_privacy::ledger::Purpose;
use fedtwin_trainer::report::Scores;

use crate::whole_file;

/// The folder of one study.
#[derive(Debug, Clone)]
pub struct StudyFolder(PathBuf);

impl StudyFolder {
    /// Opens or makes the folder of a study.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn open(state: &Path, study: &StudyId) -> io::Result<Self> {
        let folder = Self(state.join("studies").join(study.as_str()));
        fs::create_dir_all(&folder.0)?;
        Ok(folder)
    }

    /// Keeps the plan for people to read.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn save_plan(&self, text: &[u8]) -> io::Result<()> {
        fs::write(self.0.join("plan.toml"), text)
    }

    /// Returns the plan's text.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn load_plan(&self) -> io::Result<String> {
        fs::read_to_string(self.0.join("plan.toml"))
    }

    /// Stores a release, so that it can be sent again within its attempt.
    ///
    /// Not fsynced: after a power loss the bytes may differ from the digest in the ledger, and then they
    /// are not sent. That loses an attempt, never a charge. So the last release is written over in place: its pages and
    /// blocks need not be found anew.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn save_release(&self, purpose: Purpose, bytes: &[u8]) -> io::Result<()> {
        let path = self.0.join(file_of(purpose));
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.write_all(bytes)?;
        file.set_len(bytes.len() as u64)
    }

    /// Returns the stored release, or nothing if there is none.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn load_release(&self, purpose: Purpose) -> io::Result<Vec<u8>> {
        match fs::read(self.0.join(file_of(purpose))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }

    /// Appends scores of a model along the way.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn append_scores(&self, scores: &Scores) -> io::Result<()> {
        let mut line = serde_json::to_vec(scores)?;
        line.push(b'\n');
        OpenOptions::new().create(true).append(true).open(self.0.join("scores.jsonl"))?.write_all(&line)
    }

    /// Keeps the final model and its report.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn save_result(
        &self,
        architecture: &Architecture,
        weights: &[f32],
        scores: &Scores,
    ) -> io::Result<()> {
        // The report comes last: somebody may be waiting for it.
        whole_file::replace(&self.0.join("model.safetensors"), &model_file::encode(architecture, weights))?;
        whole_file::replace(&self.0.join("report.json"), &serde_json::to_vec_pretty(scores)?)
    }
}

fn file_of(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Training => "release",
        Purpose::Metrics => "metrics-release",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_leaves_nothing_of_a_longer_one() {
        let state = tempfile::tempdir().unwrap();
        let folder = StudyFolder::open(state.path(), &"hearts".parse().unwrap()).unwrap();
        for bytes in [b"longer".as_slice(), b"short"] {
            folder.save_release(Purpose::Training, bytes).unwrap();
            assert_eq!(folder.load_release(Purpose::Training).unwrap(), bytes);
        }
    }
}
