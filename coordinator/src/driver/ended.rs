//! Studies that are over, as far as they are kept: how they ended, and their last events.

use std::collections::BTreeMap;

use fedtwin_plan::{SiteName, StudyId};
use fedtwin_proto::domain::{Event, Notice, StudyClosed, StudyOutcome};

use super::{Driver, Running};
use crate::feed::{EndedFeed, Feed, Follower};
use crate::record::Ended;

/// The studies that are over.
#[derive(Debug, Default)]
pub(super) struct EndedStudies(BTreeMap<StudyId, EndedStudy>);

#[derive(Debug)]
struct EndedStudy {
    feed: EndedFeed,
    outcome: StudyOutcome,
}

impl EndedStudies {
    pub(super) fn holds(&self, id: &StudyId) -> bool {
        self.0.contains_key(id)
    }

    /// Takes in a study that ended before this run, of which only its end is known.
    pub(super) fn insert(&mut self, id: StudyId, study: Ended) {
        let Ended { time, outcome } = study;
        let feed = Feed::default();
        let closed = StudyClosed { study: id.clone(), outcome: outcome.clone() };
        feed.push(time, Event::StudyClosed(closed));
        self.0.insert(id, EndedStudy { feed: feed.end(), outcome });
    }

    pub(super) fn follow(&self, id: &StudyId) -> Option<Follower> {
        Some(self.0.get(id)?.feed.follow())
    }
}

impl Driver {
    /// Lets a study go that is over, but for what may be asked of it.
    pub(super) fn retire_if_over(&mut self, id: &StudyId) {
        let study = self.studies.get(id).map(|running| &running.study);
        let Some(outcome) = study.and_then(|study| study.outcome().cloned()) else {
            return;
        };
        let Running { feed, .. } = self.studies.remove(id).expect("it was looked at");
        if self.studies.is_empty() {
            tokio::task::block_in_place(|| self.store.spools().keep_none());
        }
        self.ended.0.insert(id.clone(), EndedStudy { feed: feed.end(), outcome: outcome.clone() });
        let surplus = self.register.end(id, outcome.model());
        self.forget(surplus);
        let (store, id, needed) = (self.store.clone(), id.clone(), self.register.models(id).to_vec());
        self.sweep(move || store.keep_models(&id, &needed));
    }

    /// Tells a site which of the studies that it believes to be running are over, or are none of its own here.
    pub(super) fn tell_ended(&mut self, site: &SiteName, believed: Vec<StudyId>) {
        let over = believed.into_iter().filter(|id| !self.studies.contains_key(id));
        for study in over.take(TOLD_AT_ONCE).collect::<Vec<_>>() {
            let outcome = self.outcome_for(site, &study);
            self.notify(site, Notice::Closed(StudyClosed { study, outcome }));
        }
    }

    /// How a study that is not running ended, as far as this site may know it.
    fn outcome_for(&self, site: &SiteName, study: &StudyId) -> StudyOutcome {
        let ended = self.ended.0.get(study).map(|study| study.outcome.clone());
        let may = self.register.is_in_audience(site, study);
        ended.filter(|_| may).unwrap_or_else(|| StudyOutcome::Failed {
            reason: format!("the coordinator has no study {study} of site {site}"),
        })
    }

    pub(super) fn forget(&mut self, studies: Vec<StudyId>) {
        for id in studies {
            self.ended.0.remove(&id);
            self.store.remove_study(&id);
        }
    }
}

/// Well below what may wait for one site: a connection that begins with it has room for the studies that are open.
const TOLD_AT_ONCE: usize = 64;
