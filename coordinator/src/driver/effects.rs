//! Feeding studies, and performing what they ask for.

use fedtwin_audit_log::LogError;
use fedtwin_daemon::{clock, program};
use fedtwin_plan::{SiteName, StudyId};
use fedtwin_proto::domain::{Event, Notice};
use fedtwin_secagg::coordinator::UnmaskingError;

use super::{Done, Driver, Running, jobs};
use crate::aggregate::{Aggregation, aggregate};
use crate::feed::Feed;
use crate::record::Record;
use crate::study::{Effect, Input, Job, Study};
use crate::study_error::{MovedOn, StudyError};
use crate::words;

impl Driver {
    pub(super) fn insert(&mut self, id: StudyId, study: Study) {
        let running = Running { study, feed: Feed::default() };
        self.studies.insert(id, running);
        self.store.spools().keep();
    }

    pub(super) fn feed_all(&mut self, input: &dyn Fn() -> Input) -> Result<(), LogError> {
        for id in self.studies.keys().cloned().collect::<Vec<_>>() {
            self.feed(&id, input())?;
        }
        Ok(())
    }

    /// Steps one study and performs what it asks for; returns why the input was refused, if it was.
    pub(super) fn feed(&mut self, id: &StudyId, input: Input) -> Result<Option<StudyError>, LogError> {
        let Some(Running { study, feed }) = self.studies.remove(id) else {
            return Ok(Some(MovedOn::StudyOver(id.clone()).into()));
        };
        let (study, effects) = study.step(input, clock::steady());
        self.studies.insert(id.clone(), Running { study, feed });
        let refusal = self.perform(id, effects)?;
        self.retire_if_over(id);
        Ok(refusal)
    }

    pub(super) fn perform(
        &mut self,
        id: &StudyId,
        effects: Vec<Effect>,
    ) -> Result<Option<StudyError>, LogError> {
        let mut refusal = None;
        for effect in effects {
            match effect {
                Effect::Persist(record) => self.persist(id, &record)?,
                Effect::Notify(site, notice) => self.notify(&site, notice),
                Effect::Publish(event) => self.publish(id, event),
                Effect::Accept => {}
                Effect::Reject(error) => refusal = Some(error),
                Effect::Open(attempt, reconstruction) => {
                    let solve = jobs::abandonable("opening a sum", move || reconstruction.solve());
                    let id = id.clone();
                    self.jobs.spawn(async move {
                        let solved = solve.await.unwrap_or(Err(UnmaskingError::SharesDoNotFit));
                        Done::Opened(id, attempt, solved)
                    });
                }
                Effect::Aggregate(job) => self.aggregate(id, job),
            }
        }
        Ok(refusal)
    }

    fn persist(&mut self, id: &StudyId, record: &Record) -> Result<(), LogError> {
        self.write(record)?;
        match record {
            Record::AttemptClosed { model: Some(model), average, .. } => {
                for old in self.register.round_closed(id, *model, *average) {
                    tokio::task::block_in_place(|| self.store.remove_model(id, &old));
                }
            }
            Record::StudyOpened { .. }
            | Record::SiteAnswered { .. }
            | Record::AttemptStarted { .. }
            | Record::AttemptClosed { .. }
            | Record::MetricsReleased { .. }
            | Record::StudyClosed { .. }
            | Record::Refused { .. } => {}
        }
        Ok(())
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<(), LogError> {
        tokio::task::block_in_place(|| self.log.append(record, clock::now().0))?;
        Ok(())
    }

    /// Tells a site; one that is not connected asks when it comes back.
    pub(super) fn notify(&mut self, site: &SiteName, notice: Notice) {
        let Some(subscription) = self.sites.get(site) else { return };
        if subscription.notices.try_send(notice).is_err() {
            // Closing the channel ends the site's stream; it subscribes anew and is told again.
            tracing::warn!(%site, "does not take its notices; its subscription is closed");
            self.sites.remove(site);
            self.lost.push(site.clone());
        }
    }

    /// Tells the studies of sites that were cut off, once they are back in their places; that may cut off others.
    pub(super) fn tell_of_the_lost(&mut self) -> Result<(), LogError> {
        while let Some(site) = self.lost.pop() {
            self.feed_all(&|| Input::Absent(site.clone()))?;
        }
        Ok(())
    }

    pub(super) fn publish(&mut self, id: &StudyId, event: Event) {
        let running = self.studies.get_mut(id).expect("only a study that is there publishes");
        running.feed.push(clock::now(), event);
    }

    fn aggregate(&mut self, id: &StudyId, job: Job) {
        // `feed` puts the study back before its effects are performed.
        let job = Aggregation::new(self.studies[id].study.plan(), job);
        let (store, id) = (self.store.clone(), id.clone());
        self.jobs.spawn_blocking(move || {
            let result = jobs::caught("aggregating", || aggregate(&job, &store)).map(|result| {
                result.map_err(|error| {
                    tracing::error!(study = %id, error = %program::describe(&error), "a round has no model");
                    words::for_others(&error)
                })
            });
            Done::Aggregated(id, result.unwrap_or_else(|| Err(words::FAULT.to_owned())))
        });
    }
}
