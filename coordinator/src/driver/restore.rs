//! Taking in what the audit log says was there before this run.
//!
//! What cannot be read is never taken for what is not needed: at most its plan's words are lost, never its model.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use anyhow::Context;
use fedtwin_daemon::{clock, program};
use fedtwin_plan::{Plan, ResearcherName, StudyId, text_file};
use fedtwin_proto::domain::{StudyOutcome, as_reason};
use serde::Deserialize;

use super::Driver;
use crate::record::{Ended, Logged, Record, Standing};
use crate::register::Named;
use crate::study::{Progress, Study};

impl Driver {
    pub(super) fn restore(&mut self, logged: BTreeMap<StudyId, Logged>) -> anyhow::Result<()> {
        let mut ended = Vec::new();
        for (id, Logged { opener, opened, standing }) in logged {
            self.register.count_opening(&opener, opened, clock::now());
            let study = match standing {
                Standing::Ended(study) => Some(study),
                Standing::Open(progress) => self.restore_open(&id, opener.clone(), progress)?,
            };
            ended.extend(study.map(|study| (study.time, id, opener, study)));
        }
        ended.sort_by_key(|(time, ..)| *time);
        for (_, id, opener, study) in ended {
            self.restore_ended(id, opener, study);
        }
        Ok(())
    }

    /// Continues a study, or ends it where its plan is one that is admitted no more: one study keeps no coordinator
    /// from starting.
    fn restore_open(
        &mut self,
        id: &StudyId,
        opener: ResearcherName,
        progress: Progress,
    ) -> anyhow::Result<Option<Ended>> {
        let unreadable = || format!("the plan of the open study {id} cannot be read");
        let signed = self.store.load_plan(id).with_context(unreadable)?;
        let text = str::from_utf8(&signed.text).with_context(unreadable)?;
        let plan = match text_file::parse::<Plan>(id.as_str(), text) {
            Ok(plan) => plan,
            Err(refused) => {
                tracing::error!(study = %id, %refused, "an open study is ended: its plan is admitted no more");
                let reason = as_reason(&format!("the study's plan is admitted no more, because: {refused}"));
                let (study, failure) = (id.clone(), Some(reason.clone()));
                self.write(&Record::StudyClosed { study, failure })?;
                let outcome = StudyOutcome::Failed { reason };
                return Ok(Some(Ended { time: clock::now(), outcome }));
            }
        };
        tracing::info!(study = %id, rounds = progress.rounds, "continuing a study");
        self.register.restore(&plan, opener, progress.models);
        self.store.keep_models(id, self.register.models(id));
        let (study, effects) = Study::resume(plan, signed, progress, clock::steady());
        self.insert(id.clone(), study);
        self.perform(id, effects)?;
        self.retire_if_over(id);
        Ok(None)
    }

    /// Takes in a study that ended, with its model unless nothing is kept of it.
    fn restore_ended(&mut self, id: StudyId, opener: ResearcherName, study: Ended) {
        let model = study.outcome.model();
        let surplus = match self.named(&id) {
            Ok(Some(named)) => {
                let surplus = self.register.restore_ended(&id, named, opener, model);
                self.store.keep_models(&id, self.register.models(&id));
                surplus
            }
            Ok(None) => {
                self.register.restore_name(id);
                return;
            }
            Err(error) => {
                let error = program::describe(error.as_ref());
                tracing::error!(study = %id, %error, "an ended study is its opener's alone, all its files are kept");
                self.register.restore_ended(&id, Named::default(), opener, model)
            }
        };
        self.ended.insert(id, study);
        self.forget(surplus);
    }

    /// Returns whom a stored plan names, or nothing where there is no plan. The rest of it was checked when the study
    /// was opened, and later checks are no reason to let its model go.
    fn named(&self, id: &StudyId) -> anyhow::Result<Option<Named>> {
        let signed = match self.store.load_plan(id) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let StoredPlan { study } = toml::from_str(str::from_utf8(&signed.text)?)?;
        Ok(Some(study))
    }
}

#[derive(Deserialize)]
struct StoredPlan {
    study: Named,
}
