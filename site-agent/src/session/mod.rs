//! Decisions of a site: which studies it takes part in, what each attempt costs, what may leave.
//!
//! Synchronous; `now` is an argument. The one thing it touches outside of memory is the site's own
//! folder: the ledger, whose every entry is on disk before the decision it records takes effect, and the
//! stored release. An attempt goes: [`Session::invited`] (charge) → training → [`Session::release`] (store,
//! record, let out).

#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod checked_tests;
#[cfg(test)]
mod command_tests;
pub mod door;
mod ending;
#[cfg(test)]
mod ending_tests;
pub(crate) mod kept;
#[cfg(test)]
mod metrics_tests;
mod offer_error;
mod opening;
pub mod others;
mod peers;
#[cfg(test)]
mod policy_tests;
mod pricing;
mod standing;
#[cfg(test)]
mod standing_tests;
#[cfg(test)]
mod study_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fedtwin_certs::{Credentials, PlanSigner};
use fedtwin_cohort::{CohortFile, Converted};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{CohortName, Digest, Plan, SiteName, StudyId, Timestamp};
use fedtwin_privacy::ledger::{
    Attempt, BlockGrant, Ledger, LedgerError, Protection, Purpose, Round, StudyRequest,
};
use fedtwin_privacy::release::{Release, ReleaseError};
use fedtwin_proto::domain::AttemptKey;
use fedtwin_secagg::site::Floor;

use self::kept::Kept;
pub use self::kept::KeptError;
pub use self::offer_error::OfferError;
use self::others::Others;
use self::pricing::claims;
use self::standing::Standing;
pub use self::standing::{Forgotten, NotWhole};
use crate::checked::{Checked, Expected};
use crate::closings::ClosingError;
use crate::pins::Pinned;
use crate::policy::{Policy, ResearcherKeys};
use crate::reason::PublicReason;
use crate::study_folder::StudyFolder;
use door::Outgoing;

/// A site's rules, cohorts, ledger and running studies.
pub struct Session {
    site: SiteName,
    policy: Policy,
    researchers: ResearcherKeys,
    cohorts: BTreeMap<CohortName, (PathBuf, CohortFile)>,
    ledger: Ledger,
    standing: Standing,
    /// Whether the kernel has to confine the trainers.
    protection: Protection,
    kept: Kept,
    others: Others,
    credentials: Arc<Credentials>,
    /// The sites to hide among, where the policy has them.
    floor: Option<Floor>,
    /// Their certificates, which may be taken back.
    peers: BTreeMap<SiteName, Pinned>,
    state: PathBuf,
    studies: BTreeMap<StudyId, Accepted>,
    /// What this run has refused: a coordinator that offers again must not make the ledger grow.
    refused: BTreeMap<Digest, PublicReason>,
}

/// A study that this site takes part in.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The plan, checked.
    pub plan: Plan,
    /// The cohort's declared size.
    pub patients: u32,
    /// The file that describes the cohort.
    pub cohort_file: PathBuf,
    /// What it held when people checked it.
    pub checked: Expected,
    /// The study's folder.
    pub folder: StudyFolder,
}

/// What to do for an attempt.
#[derive(Debug)]
pub enum Work {
    /// Compute an update; the attempt is paid for.
    Train(BlockGrant),
    /// Send what this attempt released already.
    Resend(Outgoing),
}

/// Why an attempt cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The study is not one that this site takes part in.
    #[error("this site does not take part in study {0}")]
    NotTakingPart(StudyId),
    /// The plan asks for no metrics of this round's model.
    #[error("the plan asks for no metrics after round {0}")]
    NotMeasured(u32),
    /// The ledger does not allow it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger cannot be relied on.
    #[error(transparent)]
    NotWhole(#[from] NotWhole),
    /// The release is not what the ledger's entry promises.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// What people want closed cannot be.
    #[error(transparent)]
    Closings(#[from] ClosingError),
    /// The ledger's checkpoint cannot be kept elsewhere.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The site's disk.
    #[error("the study's folder cannot be used")]
    Storage(#[from] io::Error),
}

impl Session {
    /// Returns what this site remembers of the others' ledgers.
    #[must_use]
    pub fn others(&self) -> &Others {
        &self.others
    }

    /// Returns what this site remembers of the others' ledgers, to add to it.
    pub fn others_mut(&mut self) -> &mut Others {
        &mut self.others
    }

    /// Says in the ledger whether trainers are confined, before one is started.
    fn note_protection(&mut self, now: Timestamp) -> Result<(), LedgerError> {
        self.ledger.set_protection(self.protection, now)
    }

    /// Decides on a verified plan: policy, the cohort's schema, the claim, and last the budget, all before
    /// any patient's data is read.
    ///
    /// # Errors
    /// Returns the reason to refuse, which is in the ledger by then.
    pub fn offered(
        &mut self,
        plan: Plan,
        signer: &PlanSigner,
        signed: &SignedPlan,
        now: Timestamp,
    ) -> Result<Accepted, OfferError> {
        // An entry in a ledger that was rolled back would fork it: this refusal is in the logs only.
        self.check_standing()?;
        self.note_protection(now)?;
        self.enter_budgets(now)?;
        self.enter_closings(now)?;
        let (study, digest) = (plan.study.id.clone(), signed.digest());
        if let Some(reason) = self.refused.get(&digest) {
            return Err(OfferError::Before(reason.clone()));
        }
        let decision = self.decide(plan, signer, signed, now);
        match &decision {
            Ok(accepted) => {
                self.studies.insert(study, accepted.clone());
            }
            Err(refusal) => {
                let reason = PublicReason::from(refusal);
                // What breaks the ledger's own rules is logged by the ledger itself; that nobody has checked a cohort
                // says nothing of the plan.
                if !matches!(refusal, OfferError::Ledger(_) | OfferError::NotOpen(_)) {
                    reason.enter_study(&mut self.ledger, (&study, digest), now)?;
                }
                if !refusal.is_of_the_moment() {
                    self.refused.insert(digest, reason);
                }
            }
        }
        decision
    }

    fn decide(
        &mut self,
        plan: Plan,
        signer: &PlanSigner,
        signed: &SignedPlan,
        now: Timestamp,
    ) -> Result<Accepted, OfferError> {
        self.researchers.check(signer)?;
        self.policy.check(&plan, &self.site)?;
        let others = self.studies.keys().filter(|study| **study != plan.study.id);
        self.policy.check_room(others.count())?;
        self.check_peers(&plan, now)?;
        let name = &plan.cohort.name;
        let (path, cohort) = self.cohorts.get(name).ok_or_else(|| OfferError::NoCohort(name.clone()))?;
        let checked = Checked::find(&self.state, cohort)?;
        let (declared, room) = (cohort.patients(), plan.cohort.patients_max.get());
        if declared > room {
            return Err(OfferError::TooManyPatients { declared, room });
        }
        if let Err(mismatch) = cohort.fits(&plan.data) {
            return Err(OfferError::Misfit { mismatch, need: Box::new(plan.data.clone()) });
        }
        for Converted { feature, from, to } in cohort.conversions(&plan.data) {
            tracing::info!(study = %plan.study.id, %feature, %from, %to, "a column is converted into the plan's unit");
        }
        let request = StudyRequest {
            study: plan.study.id.clone(),
            plan: signed.digest(),
            cohort: name.clone(),
            claims: claims(&plan)?,
        };
        // A site that restarts in the middle of a study finds its reservation in the ledger.
        let running = self.ledger.reservation(&plan.study.id);
        if running.is_none_or(|reservation| reservation.terms().plan != request.plan) {
            self.ledger.reserve(&request, now)?;
        }
        let folder = StudyFolder::open(&self.state, &plan.study.id)?;
        folder.save_plan(&signed.text)?;
        Ok(Accepted {
            patients: declared,
            cohort_file: path.clone(),
            checked: checked.inventory.into(),
            folder,
            plan,
        })
    }

    /// Pays for an attempt's update or metrics, before it reads data; or finds what it released already.
    ///
    /// # Errors
    /// Refuses metrics that the plan does not ask for, an attempt that comes after a later one, that began before and
    /// released nothing, or that nothing is left for. What is refused depends on public values alone.
    pub fn invited(
        &mut self,
        purpose: Purpose,
        key: &AttemptKey,
        now: Timestamp,
    ) -> Result<Work, SessionError> {
        self.check_standing()?;
        self.enter_closings(now)?;
        let accepted = self.accepted(&key.study)?;
        if let Some(receipt) = self.ledger.receipt(&key.study, purpose, ledger_key(key)) {
            let release = Release::stored(&receipt, accepted.folder.load_release(purpose)?)?;
            self.keep_elsewhere()?;
            return Ok(Work::Resend(door::send(key.clone(), release, receipt)?));
        }
        if purpose == Purpose::Metrics && !accepted.plan.measures_after(key.round) {
            let reason = SessionError::NotMeasured(key.round);
            self.enter_refusal(key, &reason, now)?;
            return Err(reason);
        }
        let grant = self.ledger.begin(&key.study, purpose, ledger_key(key), now);
        let grant = grant.map_err(SessionError::from);
        if let Err(refused @ SessionError::Ledger(LedgerError::Refused(_))) = &grant {
            self.enter_refusal(key, refused, now)?;
        }
        let grant = grant?;
        self.keep_elsewhere()?;
        Ok(Work::Train(grant))
    }

    /// Enters a refused attempt in the ledger.
    fn enter_refusal(
        &mut self,
        key: &AttemptKey,
        refused: &SessionError,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let attempt = (&key.study, ledger_key(key));
        PublicReason::from(refused).enter_attempt(&mut self.ledger, attempt, now)
    }

    /// Stores an attempt's release, records it, and lets it out.
    ///
    /// # Errors
    /// Refuses any attempt but the one that began last.
    pub fn release(
        &mut self,
        grant: &BlockGrant,
        release: Release,
        now: Timestamp,
    ) -> Result<Outgoing, SessionError> {
        self.check_standing()?;
        let accepted = self.accepted(grant.study())?;
        let (Round(round), Attempt(attempt)) = grant.key();
        let key = AttemptKey { study: grant.study().clone(), round, attempt };
        accepted.folder.save_release(grant.purpose(), release.bytes())?;
        let receipt = self.ledger.record(grant, release.digest(), now)?;
        self.keep_elsewhere()?;
        Ok(door::send(key, release, receipt)?)
    }

    /// Says whether this site takes part in a study, and nobody has closed it since.
    #[must_use]
    pub fn takes_part(&self, study: &StudyId) -> bool {
        self.studies.contains_key(study)
    }

    fn accepted(&self, study: &StudyId) -> Result<&Accepted, SessionError> {
        self.studies.get(study).ok_or_else(|| SessionError::NotTakingPart(study.clone()))
    }
}

/// Returns the ledger's place in the site's folder.
#[must_use]
pub fn ledger_path(state: &Path) -> PathBuf {
    state.join("ledger.log")
}

fn ledger_key(key: &AttemptKey) -> (Round, Attempt) {
    (Round(key.round), Attempt(key.attempt))
}
