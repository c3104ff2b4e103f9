//! Opening a study, and ending one before its time.
//!
//! Admitted (a place is taken) → prepared on a thread of its own (plan and first model on disk) → open: only then
//! it is in the audit log. What fails or is cancelled before leaves nothing but its refusal.

use std::sync::Arc;

use fedtwin_audit_log::LogError;
use fedtwin_certs::{Identity, Role};
use fedtwin_daemon::{clock, program};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, Plan, ResearcherName, StudyId};

use super::{CommandError, Done, Driver, NewStudy, Reply, answer, jobs};
use crate::access::Call;
use crate::initial::{self, InitialError};
use crate::study::{Input, Study};
use crate::study_error::{MovedOn, StudyError};
use crate::words;

/// A study whose first model is in the making.
pub(super) struct Preparing {
    caller: Identity,
    reply: Reply<()>,
    /// Who ended it meanwhile.
    cancelled: Option<String>,
}

/// A study whose plan and first model are on disk, or why they are not.
pub(super) struct Prepared {
    plan: Plan,
    signed: SignedPlan,
    opener: ResearcherName,
    model: Result<Digest, StudyError>,
}

impl Driver {
    /// Begins to open a study; the answer comes when it is open.
    pub(super) fn open_study(&mut self, opening: NewStudy, reply: Reply<()>) {
        let NewStudy { plan, signed, caller } = opening;
        let opener = caller.researcher().expect("only researchers open studies");
        if let Err(refused) = self.register.admit(&plan, &opener, clock::now()) {
            tracing::warn!(%caller, study = %plan.study.id, %refused, "a study was not admitted");
            self.answer(&caller, reply, Err(refused.into()));
            return;
        }
        tracing::info!(%caller, study = %plan.study.id, "preparing a study");
        self.preparing.insert(plan.study.id.clone(), Preparing { caller, reply, cancelled: None });
        let (store, workshop) = (self.store.clone(), Arc::clone(&self.workshop));
        self.jobs.spawn(async move {
            let _place = workshop.acquire_owned().await.expect("the semaphore is never closed");
            let prepare = move || {
                let made = || initial::prepare(&store, &plan, &signed, &opener);
                let model = jobs::caught("making a first model", made).map(|made| {
                    made.map_err(|error| {
                        tracing::warn!(study = %plan.study.id, error = %program::describe(&error), "not prepared");
                        let words = words::for_others(&error);
                        match error {
                            InitialError::Storage(_) => StudyError::Coordinator(words),
                            InitialError::NotGiven(_)
                            | InitialError::NotNamed
                            | InitialError::Model(_)
                            | InitialError::OtherModel { .. } => StudyError::Researcher(words),
                        }
                    })
                });
                let model = model.unwrap_or_else(|| Err(StudyError::Coordinator(words::FAULT.to_owned())));
                Prepared { plan, signed, opener, model }
            };
            let prepared = tokio::task::spawn_blocking(prepare).await.expect("its panics are caught");
            Done::Prepared(Box::new(prepared))
        });
    }

    /// Opens a study that is prepared.
    pub(super) fn prepared(&mut self, prepared: Prepared) -> Result<(), LogError> {
        let Prepared { plan, signed, opener, model } = prepared;
        let id = plan.study.id.clone();
        let preparing = self.preparing.remove(&id).expect("a study is prepared once");
        let Preparing { caller, reply, cancelled } = preparing;
        let model = match cancelled.map_or(model, |reason| Err(StudyError::Cancelled(reason))) {
            Ok(model) => model,
            Err(error) => {
                self.register.withdraw(&id);
                let store = self.store.clone();
                // In order with whatever is done to a study of this name afterwards.
                tokio::task::block_in_place(|| store.remove_study(&id));
                self.answer(&caller, reply, Err(error.into()));
                return Ok(());
            }
        };
        tracing::info!(study = %id, "opened");
        self.register.opened(&id, model, clock::now());
        let (study, effects) = Study::offer(plan, signed, opener, model, clock::steady());
        self.insert(id.clone(), study);
        self.perform(&id, effects)?;
        answer(reply, Ok(()));
        for site in self.sites.keys().cloned().collect::<Vec<_>>() {
            self.feed(&id, Input::Present(site))?;
        }
        Ok(())
    }

    /// Ends a study for the researcher who opened it, or for an operator.
    pub(super) fn cancel(
        &mut self,
        caller: &Identity,
        id: &StudyId,
    ) -> Result<Result<(), CommandError>, LogError> {
        if let Err(denied) = self.register.authorize(caller, Call::CancelStudy, id) {
            return Ok(Err(denied.into()));
        }
        let who = match caller.role {
            Role::Operator => "operator",
            Role::Researcher | Role::Site | Role::Auditor | Role::Coordinator => "researcher",
        };
        let reason = format!("cancelled by the {who} {}", caller.name);
        tracing::info!(%caller, study = %id, "a study is cancelled");
        if let Some(preparing) = self.preparing.get_mut(id) {
            preparing.cancelled = Some(reason);
            return Ok(Ok(()));
        }
        if !self.studies.contains_key(id) {
            return Ok(Err(StudyError::from(MovedOn::StudyOver(id.clone())).into()));
        }
        let refusal = self.feed(id, Input::Cancelled(reason))?;
        Ok(refusal.map_or(Ok(()), |error| Err(error.into())))
    }
}
