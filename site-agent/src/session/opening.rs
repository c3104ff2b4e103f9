//! How a session begins: what has to be there and to fit before anything is decided.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fedtwin_certs::{Credentials, LogSigner};
use fedtwin_cohort::CohortFile;
use fedtwin_plan::Timestamp;
use fedtwin_privacy::ledger::{Ledger, Owner};
use fedtwin_secagg::site::Floor;

use super::kept::Kept;
use super::others::Others;
use super::standing::Standing;
use super::{Session, ledger_path};
use crate::config::SiteConfig;
use crate::pins;
use crate::policy::SecurePolicy;
use crate::proposals::{EnterError, Proposals};
use crate::state_folder;

impl Session {
    /// Opens the ledger and the cohorts, and enters the budgets that people confirmed.
    ///
    /// # Errors
    /// Refuses a cohort file, a ledger or a checkpoint that cannot be used, and a cohort of another size than its budget's.
    pub fn open(
        config: &SiteConfig,
        base: &Path,
        credentials: &Arc<Credentials>,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let identity = credentials.identity();
        let site = identity.site().ok_or_else(|| anyhow::anyhow!("{identity} is not a site"))?;
        let state = base.join(&config.state);
        state_folder::open(&state)?;
        let owner = Owner { federation: identity.federation.clone(), site: site.clone() };
        let signer = Box::new(LogSigner(Arc::clone(credentials)));
        let ledger = Ledger::open(&ledger_path(&state), &owner, signer, now)?;
        let mut cohorts = BTreeMap::new();
        for cohort in &config.cohorts {
            let path = base.join(&cohort.file);
            let file = CohortFile::load(&path)?;
            cohorts.insert(file.name().clone(), (path, file));
        }
        let (studies, refused) = (BTreeMap::new(), BTreeMap::new());
        let policy = config.policy.clone();
        let researchers = policy.researchers.read(base, credentials)?;
        let others = Others::open(state.join("witnessed"), Arc::clone(credentials))?;
        let mut peers = BTreeMap::new();
        let floor = match &policy.secure_aggregation {
            None => None,
            Some(SecurePolicy { peers: folder, sites_min }) => {
                peers = pins::peers(&base.join(folder), credentials)?;
                let pinned = peers.iter().map(|(site, pinned)| (site.clone(), pinned.log_key())).collect();
                Some(Floor { pinned, sites_min: sites_min.size() })
            }
        };
        let (kept, signed) = Kept::open(&state, (base, &config.ledger), &ledger)?;
        let (standing, credentials) = (Standing::Unchecked, Arc::clone(credentials));
        let mut session = Self {
            site,
            policy,
            researchers,
            cohorts,
            ledger,
            standing,
            protection: config.trainer.protection(),
            kept,
            others,
            credentials,
            floor,
            peers,
            state,
            studies,
            refused,
        };
        session.hold_against(&signed);
        if let Standing::RolledBack(rolled_back) = session.standing {
            // Offers are still answered, with this reason. An entry would fork the ledger.
            tracing::error!(%rolled_back, "nothing is released");
        } else {
            session.enter_budgets(now)?;
            session.keep_elsewhere()?;
        }
        session.check_cohorts()?;
        Ok(session)
    }

    /// Enters the budgets that people confirmed while this agent holds the ledger.
    pub(super) fn enter_budgets(&mut self, now: Timestamp) -> Result<(), EnterError> {
        for entered in Proposals::of(&self.state, &self.credentials).enter(&mut self.ledger, now)? {
            match entered.refused {
                None => {
                    tracing::info!(code = %entered.code, "a confirmed budget is in the ledger");
                    self.refused.clear();
                }
                Some(reason) => {
                    tracing::error!(code = %entered.code, %reason, "the ledger refused a confirmed budget");
                }
            }
        }
        Ok(())
    }
}
