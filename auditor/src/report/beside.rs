//! What is handed in beside the ledgers: plans and reports of attacks, each about a plan's digest.

use fedtwin_attack::report::{AttackReport, VERSION};
use fedtwin_plan::{Digest, Plan};

use super::NoReport;
use crate::given::Given;
use crate::plans::Plans;

/// Plans and reports of attacks.
#[derive(Debug, Default)]
pub struct Beside {
    plans: Plans,
    attacks: Vec<(String, AttackReport)>,
}

impl Beside {
    /// Parses plans, and what `fedtwin-site audit attack --json` wrote about plans.
    ///
    /// # Errors
    /// Names the text that is none, or of another release.
    pub fn parse(plans: &[Given], attacks: &[Given]) -> Result<Self, NoReport> {
        let mut beside = Self { plans: Plans::parse(plans)?, attacks: Vec::new() };
        for Given { name, text } in attacks {
            let parsed = serde_json::from_str(text);
            let report: AttackReport =
                parsed.map_err(|source| NoReport::Attack { file: name.clone(), source })?;
            if report.version != VERSION {
                return Err(NoReport::AttackVersion { file: name.clone(), found: report.version });
            }
            beside.attacks.push((name.clone(), report));
        }
        Ok(beside)
    }

    /// Returns the names and the plans that they are about.
    pub(super) fn digests(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.plans.digests().chain(self.attacks.iter().map(|(name, report)| (name.as_str(), report.plan)))
    }

    pub(super) fn plan(&self, digest: Digest) -> Option<&Plan> {
        self.plans.get(digest)
    }

    pub(super) fn attacks(&self, plan: Digest) -> Option<&AttackReport> {
        self.attacks.iter().map(|(_, report)| report).find(|report| report.plan == plan)
    }
}
