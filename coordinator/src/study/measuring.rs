//! From a round's model to its metrics, where the plan asks for them, and on to the next attempt.

use fedtwin_plan::SiteName;
use fedtwin_proto::domain::{AttemptKey, Event, MetricsReleased};

use super::measurement::Measurement;
use super::turn::Turn;
use super::{Effect, Models, Phase};
use crate::record::Record;
use crate::study_error::MovedOn;

impl Turn<'_> {
    /// Measures the model of a finished round, or goes on.
    pub(super) fn after_round(&mut self, key: AttemptKey, models: Models) -> Phase {
        let Some(mut measurement) = self.measurement(&key, models) else {
            return self.next_attempt(key.round, models);
        };
        for site in self.base.connected.clone() {
            self.ask(&mut measurement, site);
        }
        self.end_if_measured(Phase::Measuring(measurement))
    }

    /// Goes on with the models after `rounds` rounds, of which `measured` have their metrics in the log.
    pub(super) fn after_restart(&mut self, rounds: u32, models: Models, measured: u32) -> Phase {
        let (study, attempt) = (self.base.plan.study.id.clone(), self.base.attempts);
        let key = AttemptKey { study, round: rounds, attempt };
        match self.measurement(&key, models) {
            Some(mut measurement) if measured < rounds => {
                // Nobody is connected yet.
                for site in self.base.members().keys() {
                    measurement.expect(site.clone());
                }
                self.end_if_measured(Phase::Measuring(measurement))
            }
            Some(_) | None => self.next_attempt(rounds, models),
        }
    }

    /// Asks a connected site, if it is a member.
    pub(super) fn ask(&mut self, measurement: &mut Measurement, site: SiteName) {
        if self.base.members().contains_key(&site)
            && let Some(notice) = measurement.ask(site.clone(), self.base.plan.clip(), self.now)
        {
            self.effects.push(Effect::Notify(site, notice));
        }
    }

    pub(super) fn measured(
        &mut self,
        phase: Phase,
        site: SiteName,
        key: &AttemptKey,
        counts: Vec<i64>,
    ) -> Phase {
        let (phase, taken) = match phase {
            Phase::Measuring(mut measurement) if measurement.key == *key => {
                let taken = measurement.take(site, counts);
                (Phase::Measuring(measurement), taken)
            }
            other @ (Phase::Joining { .. }
            | Phase::Running { .. }
            | Phase::Aggregating { .. }
            | Phase::Measuring(_)
            | Phase::Closed(_)) => (other, Err(MovedOn::MetricsNotWanted(key.clone()).into())),
        };
        self.effects.push(taken.map_or_else(Effect::Reject, |()| Effect::Accept));
        self.end_if_measured(phase)
    }

    /// Publishes the sums once nobody is awaited or time is up.
    pub(super) fn end_if_measured(&mut self, phase: Phase) -> Phase {
        let measurement = match phase {
            Phase::Measuring(measurement) if measurement.is_over(self.now) => measurement,
            open @ (Phase::Joining { .. }
            | Phase::Running { .. }
            | Phase::Aggregating { .. }
            | Phase::Measuring(_)
            | Phase::Closed(_)) => return open,
        };
        let (AttemptKey { study, round, attempt }, models) = (measurement.key.clone(), measurement.models);
        if let Some((sites, counts)) = measurement.total() {
            let noise =
                self.base.plan.calibrated.metrics.as_ref().expect("a plan with metrics has their noise");
            let histogram =
                self.base.plan.model.family.histogram().expect("a plan with metrics has a histogram");
            let (m, c_int) = (noise.m, noise.c_int);
            let record = Record::MetricsReleased {
                study,
                round,
                attempt,
                sites: sites.clone(),
                counts: counts.clone(),
            };
            self.effects.push(Effect::Persist(record));
            let released = MetricsReleased { round, sites, histogram, counts, m, c_int };
            self.effects.push(Effect::Publish(Event::MetricsReleased(released)));
        }
        self.next_attempt(round, models)
    }

    /// Opens the measurement of a model that has one.
    fn measurement(&self, key: &AttemptKey, models: Models) -> Option<Measurement> {
        let plan = &self.base.plan;
        let cells = plan.model.family.histogram().filter(|_| plan.measures_after(key.round))?.cells();
        Some(Measurement::new(key.clone(), models, cells, self.now + plan.deadline()))
    }
}
