//! How a study ends at this site: because the coordinator says so, because too much of it failed, or by a person.

use fedtwin_plan::{StudyId, Timestamp};
use fedtwin_privacy::ledger::{ClosedBy, LedgerError, StudyEnd};

use super::Session;
use crate::closings::{ClosingError, Closings};

impl Session {
    /// Ends a study; blocks that it never opened are given back.
    ///
    /// # Errors
    /// Fails where the ledger cannot be written.
    pub fn closed(&mut self, study: &StudyId, committed: bool, now: Timestamp) -> Result<(), LedgerError> {
        self.studies.remove(study);
        // One that ended while this agent was away has a reservation, and nothing else. An entry in a ledger that was
        // rolled back would fork it.
        if self.ledger.reservation(study).is_none() || self.check_standing().is_err() {
            return Ok(());
        }
        // There is room for another: what was refused for that is considered anew.
        self.refused.clear();
        let outcome = if committed { StudyEnd::Committed } else { StudyEnd::Aborted };
        self.ledger.close(study, outcome, ClosedBy::Coordinator, now)
    }

    /// Returns the studies that have something set aside here, of which the coordinator is asked whether they are over.
    #[must_use]
    pub fn running(&self) -> Vec<StudyId> {
        self.ledger.running().cloned().collect()
    }

    /// Counts the attempts of a study that began and released nothing; one under way is among them.
    #[must_use]
    pub fn failed(&self, study: &StudyId) -> u32 {
        self.ledger.failed(study)
    }

    /// Ends a study of which too many attempts began and released nothing.
    ///
    /// # Errors
    /// Fails where the ledger cannot be written.
    pub fn gave_up(&mut self, study: &StudyId, now: Timestamp) -> Result<(), LedgerError> {
        self.studies.remove(study);
        // There is room for another: what was refused for that is considered anew.
        self.refused.clear();
        // An entry in a ledger that was rolled back would fork it; the next attempt that is declined asks again.
        if self.check_standing().is_err() {
            return Ok(());
        }
        self.ledger.close(study, StudyEnd::Aborted, ClosedBy::Failures, now)
    }

    /// Closes the studies that people at the site want closed, while this agent holds the ledger. What reads data at
    /// the moment cannot be released any more.
    ///
    /// # Errors
    /// Fails where the ledger or the folder cannot be used.
    pub fn enter_closings(&mut self, now: Timestamp) -> Result<(), ClosingError> {
        // An entry in a ledger that was rolled back would fork it.
        if self.check_standing().is_err() {
            return Ok(());
        }
        for study in Closings::of(&self.state).enter(&mut self.ledger, now)? {
            tracing::info!(%study, "a person closed the study");
            self.studies.remove(&study);
            // There is room for another: what was refused for that is considered anew.
            self.refused.clear();
        }
        Ok(())
    }
}
