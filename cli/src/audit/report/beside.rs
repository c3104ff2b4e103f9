//! What is handed in beside the ledgers: plans and reports of attacks, each about a plan's digest.

use std::path::{Path, PathBuf};

use fedtwin_attack::report::{AttackReport, VERSION};
use fedtwin_plan::{Digest, Plan};

use super::NoReport;
use crate::audit::plans::Plans;

/// Plans and reports of attacks.
#[derive(Debug, Default)]
pub(super) struct Beside {
    plans: Plans,
    attacks: Vec<(PathBuf, AttackReport)>,
}

impl Beside {
    pub(super) fn read(plans: &[PathBuf], attacks: &[PathBuf]) -> Result<Self, NoReport> {
        let mut beside = Self { plans: Plans::read(plans)?, attacks: Vec::new() };
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
        self.plans.digests().chain(self.attacks.iter().map(|(file, report)| (file.as_path(), report.plan)))
    }

    pub(super) fn plan(&self, digest: Digest) -> Option<&Plan> {
        self.plans.get(digest)
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
