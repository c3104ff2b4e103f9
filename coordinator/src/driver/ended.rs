//! Studies that are over, as far as they are kept: their last events, and whom their end has still to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fedtwin_daemon::{clock, program};
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Plan, ResearcherName, SiteName, StudyId, Timestamp};
use fedtwin_proto::domain::{Event, Notice, StudyClosed, StudyEvent, StudyOutcome};

use super::{Driver, Running};
use crate::history::History;
use crate::record::Ended;

/// The studies that are over.
#[derive(Debug, Default)]
pub(super) struct EndedStudies(BTreeMap<StudyId, EndedStudy>);

#[derive(Debug)]
struct EndedStudy {
    ended: Timestamp,
    history: History,
    outcome: StudyOutcome,
    /// Members that were away when it ended.
    untold: BTreeSet<SiteName>,
}

impl EndedStudies {
    pub(super) fn holds(&self, id: &StudyId) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn events(&self, id: &StudyId) -> Option<Vec<Arc<StudyEvent>>> {
        Some(self.0.get(id)?.history.events())
    }

    /// Returns the ends that a site has still to be told of, the latest first, and not more than fit its queue.
    fn news_for(&self, site: &SiteName) -> Vec<StudyClosed> {
        let untold = self.0.iter().filter(|(_, study)| study.untold.contains(site));
        let mut untold: Vec<_> = untold.collect();
        untold.sort_by_key(|(_, study)| std::cmp::Reverse(study.ended));
        let closed = |(id, study): (&StudyId, &EndedStudy)| StudyClosed {
            study: id.clone(),
            outcome: study.outcome.clone(),
        };
        untold.into_iter().take(TOLD_AT_ONCE).map(closed).collect()
    }

    fn told(&mut self, id: &StudyId, site: &SiteName) {
        if let Some(study) = self.0.get_mut(id) {
            study.untold.remove(site);
        }
    }
}

impl Driver {
    /// Lets a study go that is over, but for what may be asked of it.
    pub(super) fn retire_if_over(&mut self, id: &StudyId) {
        let study = self.studies.get(id).and_then(|running| running.study.as_ref());
        let Some((study, outcome)) = study.and_then(|study| Some((study, study.outcome()?.clone()))) else {
            return;
        };
        let mut untold = study.members_away();
        let Running { mut history, untold: missed, .. } = self.studies.remove(id).expect("it was looked at");
        untold.extend(missed);
        history.end();
        let ended = clock::now();
        self.ended.0.insert(id.clone(), EndedStudy { ended, history, outcome: outcome.clone(), untold });
        let surplus = self.register.end(id, outcome.model());
        self.forget(surplus);
        let (store, id, needed) = (self.store.clone(), id.clone(), self.register.models(id).to_vec());
        self.sweep(move || store.keep_models(&id, &needed));
    }

    /// Takes in a study that ended before this run.
    pub(super) fn restore_ended(&mut self, id: StudyId, opener: ResearcherName, study: Ended) {
        let Ended { time, outcome, members } = study;
        let plan = match self
            .store
            .load_plan(&id)
            .map_err(anyhow::Error::from)
            .and_then(|signed| parse(&signed))
        {
            Ok(plan) => plan,
            Err(error) => {
                // Nothing is kept of it, or nothing that can be read.
                tracing::debug!(study = %id, error = %program::describe(error.as_ref()), "an ended study is not kept");
                self.register.restore_name(id);
                return;
            }
        };
        let mut history = History::default();
        let closed = StudyClosed { study: id.clone(), outcome: outcome.clone() };
        history.push(time, Event::StudyClosed(closed));
        let surplus = self.register.restore_ended(&plan, opener, outcome.model());
        self.store.keep_models(&id, self.register.models(&id));
        self.ended.0.insert(id, EndedStudy { ended: time, history, outcome, untold: members });
        self.forget(surplus);
    }

    /// Tells a site that has come back which studies ended while it was away.
    pub(super) fn tell_ended(&mut self, site: &SiteName) {
        for closed in self.ended.news_for(site) {
            let study = closed.study.clone();
            if self.notify(site, Notice::Closed(closed)) {
                self.ended.told(&study, site);
            }
        }
    }

    fn forget(&mut self, studies: Vec<StudyId>) {
        for id in studies {
            self.ended.0.remove(&id);
            self.store.remove_study(&id);
        }
    }
}

fn parse(signed: &SignedPlan) -> anyhow::Result<Plan> {
    Ok(fedtwin_plan::text_file::parse("an ended study's plan", str::from_utf8(&signed.text)?)?)
}

/// Well below what may wait for one site: a connection that begins with it has room for the studies that are open.
const TOLD_AT_ONCE: usize = 64;
