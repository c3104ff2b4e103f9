//! What is handed in beside the ledgers: plans and reports of attacks, each about a plan's digest.

use std::path::{Path, PathBuf};

use fedtwin_attack::report::{AttackReport, VERSION};
use fedtwin_plan::text_file::parse;
use fedtwin_plan::{Digest, Plan};

use super::NoReport;

/// Plans and reports of attacks.
#[derive(Debug, Default)]
pub(super) struct Beside {
    plans: Vec<(PathBuf, Digest, Plan)>,
    attacks: Vec<(PathBuf, AttackReport)>,
}

impl Beside {
    pub(super) fn read(plans: &[PathBuf], attacks: &[PathBuf]) -> Result<Self, NoReport> {
        let mut beside = Self::default();
        for file in plans {
            let text = read(file)?;
            let plan = parse(&file.display().to_string(), &text)?;
            beside.plans.push((file.clone(), Digest::of(text.as_bytes()), plan));
        }
        for file in attacks {
            let parsed = serde_json::from_str(&read(file)?);
            let report: AttackReport =
                parsed.map_err(|source| NoReport::Attack { file: file.clone(), source })?;
            if report.version != VERSION {
                return Err(NoReport::AttackVersion { file: file.clone(), found: report.version });
            }
            beside.attacks.push((file.clone(), report));
        }
        Ok(beside)
    }

    /// Returns the files and the plans that they are about.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&Path, Digest)> {
        let plans = self.plans.iter().map(|(file, digest, _)| (file.as_path(), *digest));
        plans.chain(self.attacks.iter().map(|(file, report)| (file.as_path(), report.plan)))
    }

    pub(super) fn plan(&self, digest: Digest) -> Option<&Plan> {
        self.plans.iter().find(|(_, found, _)| *found == digest).map(|(_, _, plan)| plan)
    }

    pub(super) fn attacks(&self, plan: Digest) -> Option<&AttackReport> {
        self.attacks.iter().map(|(_, report)| report).find(|report| report.plan == plan)
    }
}

fn read(file: &Path) -> Result<String, NoReport> {
    std::fs::read_to_string(file).map_err(|source| NoReport::Io {
        file: file.to_owned(),
        action: "read",
        source,
    })
}
