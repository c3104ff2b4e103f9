//! Which studies there are, who may do what with each, and which of their models are still needed.
//!
//! Like the studies themselves this is a pure core: the driver tells it what happened and does what it answers.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use fedtwin_certs::{Identity, Role};
use fedtwin_plan::{Digest, Plan, ResearcherName, SiteName, StudyId, Timestamp};
use serde::Deserialize;

use crate::access::{Call, Relation, allows};
use crate::policy::{Policy, PolicyError};
use crate::study::Models;

/// All studies of the coordinator.
#[derive(Debug)]
pub struct Register {
    policy: Policy,
    studies: BTreeMap<StudyId, Entry>,
    /// Identifiers of studies of which nothing else is kept.
    forgotten: BTreeSet<StudyId>,
    /// How many studies each researcher opened on the day, counted from the epoch.
    today: (u64, BTreeMap<ResearcherName, u32>),
    ended: u64,
}

#[derive(Debug)]
struct Entry {
    opener: ResearcherName,
    named: Named,
    standing: Standing,
    /// The models that sites and readers may still want, in the order in which they were made.
    models: Vec<Digest>,
}

/// Whom a plan names, in its section `[study]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// Researchers who may follow the study, besides whoever opens it.
    #[serde(default)]
    readers: Vec<ResearcherName>,
    /// The audience.
    sites: BTreeSet<SiteName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Preparing,
    Open,
    /// Over, as the so many-th.
    Ended(u64),
}

/// Why a study is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// The identifier was used.
    #[error("a study {0} exists already; a changed plan needs another study.id")]
    Exists(StudyId),
    /// There is no room for anybody's study.
    #[error(
        "{0} studies are open, all that this coordinator takes (policy.studies_max): wait for one to end"
    )]
    Many(u32),
    /// There is no room for this researcher's.
    #[error(
        "{opener} has {max} studies open, all that one researcher may have (policy.studies_per_researcher_max): \
         wait for one to end, or end one with `fedtwin study cancel`"
    )]
    ManyOfOne {
        /// The researcher.
        opener: ResearcherName,
        /// How many.
        max: u32,
    },
    /// The researcher opens too many in a day.
    #[error(
        "{opener} has opened {max} studies today, all that one researcher may (policy.openings_per_day_max)"
    )]
    ManyToday {
        /// The researcher.
        opener: ResearcherName,
        /// How many.
        max: u32,
    },
    /// The plan is too large.
    #[error(transparent)]
    TooMuch(#[from] PolicyError),
}

/// Why a call about a study is refused. What is not there and what one may not see are told apart by nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The caller sees no such study.
    #[error(
        "there is no study {study} for {caller}: it is seen by the researcher who opened it, by those whom its \
         plan names (study.readers), and by the sites of its audience"
    )]
    NoStudy {
        /// The study, by its plan's `study.id`.
        study: StudyId,
        /// Who called.
        caller: Identity,
    },
    /// The caller sees no such model.
    #[error("there is no model {model} of a study for {caller}, or it is kept no more")]
    NoModel {
        /// Its SHA-256.
        model: Digest,
        /// Who called.
        caller: Identity,
    },
    /// The caller sees the study and may not do this with it.
    #[error("the study {0} is ended by the researcher who opened it, or by an operator")]
    NotYours(StudyId),
}

impl Register {
    /// Makes one without studies.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            studies: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            today: (0, BTreeMap::new()),
            ended: 0,
        }
    }

    /// Takes a study in, whose preparation begins; `now` is the wall clock's.
    ///
    /// # Errors
    /// Refuses an identifier that was used, and what is beyond the policy.
    pub fn admit(
        &mut self,
        plan: &Plan,
        opener: &ResearcherName,
        now: Timestamp,
    ) -> Result<(), AdmissionError> {
        let id = &plan.study.id;
        if self.knows(id) {
            return Err(AdmissionError::Exists(id.clone()));
        }
        let Policy { studies_max, studies_per_researcher_max, openings_per_day_max, .. } = self.policy;
        let open = || self.studies.values().filter(|entry| !matches!(entry.standing, Standing::Ended(_)));
        if open().count() >= studies_max as usize {
            return Err(AdmissionError::Many(studies_max));
        }
        let opener = opener.clone();
        if open().filter(|entry| entry.opener == opener).count() >= studies_per_researcher_max as usize {
            return Err(AdmissionError::ManyOfOne { opener, max: studies_per_researcher_max });
        }
        self.policy.allows(plan)?;
        if *self.opened_today(&opener, now) >= openings_per_day_max {
            return Err(AdmissionError::ManyToday { opener, max: openings_per_day_max });
        }
        self.insert(id, Named::by(plan), opener, Standing::Preparing);
        Ok(())
    }

    /// Lets a study go that was not opened after all.
    pub fn withdraw(&mut self, id: &StudyId) {
        self.studies.remove(id);
    }

    /// Takes note that a study that was admitted is open.
    pub fn opened(&mut self, id: &StudyId, model: Digest, now: Timestamp) {
        let entry = self.studies.get_mut(id).expect("a study is admitted before it is opened");
        (entry.standing, entry.models) = (Standing::Open, vec![model]);
        let opener = entry.opener.clone();
        *self.opened_today(&opener, now) += 1;
    }

    /// Takes in an open study from the log.
    pub fn restore(&mut self, plan: &Plan, opener: ResearcherName, models: Models) {
        let needed = [Some(models.global), models.average].into_iter().flatten().collect();
        let entry = self.insert(&plan.study.id, Named::by(plan), opener, Standing::Open);
        entry.models = needed;
    }

    /// Takes in an ended study from the log; studies must come in the order in which they ended. Returns those whose
    /// files are not needed any more.
    pub fn restore_ended(
        &mut self,
        id: &StudyId,
        named: Named,
        opener: ResearcherName,
        model: Option<Digest>,
    ) -> Vec<StudyId> {
        self.insert(id, named, opener, Standing::Open);
        self.end(id, model)
    }

    /// Takes in the identifier of a study of which nothing is left.
    pub fn restore_name(&mut self, id: StudyId) {
        self.forgotten.insert(id);
    }

    /// Counts an opening from the log, in which studies come in any order; `now` is the wall clock's.
    pub fn count_opening(&mut self, opener: &ResearcherName, at: Timestamp, now: Timestamp) {
        // What a clock said that ran far ahead would count until then.
        if at.0 / DAY_MS >= self.today.0 && !is_ahead(at.0 / DAY_MS, now) {
            *self.opened_today(opener, at) += 1;
        }
    }

    /// Takes in the models of a round, and returns those that are not needed any more: sites may still be fetching
    /// the one before.
    pub fn round_closed(&mut self, id: &StudyId, global: Digest, average: Option<Digest>) -> Vec<Digest> {
        let entry = self.studies.get_mut(id).expect("only a study that is there closes rounds");
        let before = std::mem::take(&mut entry.models);
        // An average comes with the last round, so that the last model of all is the one before this.
        entry.models = [before.last().copied(), Some(global), average].into_iter().flatten().collect();
        before.into_iter().filter(|model| !entry.models.contains(model)).collect()
    }

    /// Takes note of a study's end; returns the studies whose files are not needed any more.
    pub fn end(&mut self, id: &StudyId, model: Option<Digest>) -> Vec<StudyId> {
        self.ended += 1;
        let entry = self.studies.get_mut(id).expect("only a study that is there ends");
        (entry.standing, entry.models) = (Standing::Ended(self.ended), model.into_iter().collect());
        let opener = entry.opener.clone();
        let ended = self.studies.iter().filter_map(|(id, entry)| match entry.standing {
            Standing::Ended(number) if entry.opener == opener => Some((number, id.clone())),
            Standing::Ended(_) | Standing::Preparing | Standing::Open => None,
        });
        let mut ended: Vec<_> = ended.collect();
        ended.sort();
        let surplus = ended.len().saturating_sub(self.policy.ended_studies_max as usize);
        let gone: Vec<_> = ended.into_iter().take(surplus).map(|(_, id)| id).collect();
        for id in &gone {
            self.studies.remove(id);
            self.forgotten.insert(id.clone());
        }
        gone
    }

    /// Says whether somebody may do something with a study.
    ///
    /// # Errors
    /// Refuses what [`allows`] does not.
    pub fn authorize(&self, caller: &Identity, call: Call, id: &StudyId) -> Result<(), AccessError> {
        let may = |call| {
            let entry = self.studies.get(id);
            entry.is_some_and(|entry| allows(caller.role, call, entry.relation(caller)))
        };
        if may(call) {
            Ok(())
        } else if may(Call::WatchStudy) {
            Err(AccessError::NotYours(id.clone()))
        } else {
            Err(AccessError::NoStudy { study: id.clone(), caller: caller.clone() })
        }
    }

    /// Says whether a study that is kept here has a site in its audience.
    #[must_use]
    pub fn is_in_audience(&self, site: &SiteName, id: &StudyId) -> bool {
        self.studies.get(id).is_some_and(|entry| entry.named.sites.contains(site))
    }

    /// Returns a study that has this model and that the caller may have it of.
    ///
    /// # Errors
    /// Refuses what [`allows`] does not.
    pub fn study_of_model(
        &self,
        caller: &Identity,
        call: Call,
        model: Digest,
    ) -> Result<StudyId, AccessError> {
        let mut holders = self.studies.iter().filter(|(_, entry)| entry.models.contains(&model));
        let found = holders.find(|(_, entry)| allows(caller.role, call, entry.relation(caller)));
        found.map(|(id, _)| id.clone()).ok_or_else(|| AccessError::NoModel { model, caller: caller.clone() })
    }

    /// Returns a study's models that are needed.
    #[must_use]
    pub fn models(&self, id: &StudyId) -> &[Digest] {
        self.studies.get(id).map_or(&[], |entry| &entry.models)
    }

    /// Says whether an identifier was used.
    #[must_use]
    pub fn knows(&self, id: &StudyId) -> bool {
        self.studies.contains_key(id) || self.forgotten.contains(id)
    }

    fn insert(
        &mut self,
        id: &StudyId,
        named: Named,
        opener: ResearcherName,
        standing: Standing,
    ) -> &mut Entry {
        let entry = Entry { opener, named, standing, models: Vec::new() };
        self.studies.entry(id.clone()).insert_entry(entry).into_mut()
    }

    fn opened_today(&mut self, opener: &ResearcherName, now: Timestamp) -> &mut u32 {
        let day = now.0 / DAY_MS;
        // A clock that is set back makes the day longer, but no researcher waits for a day that is far away.
        if day > self.today.0 || is_ahead(self.today.0, now) {
            self.today = (day, BTreeMap::new());
        }
        self.today.1.entry(opener.clone()).or_default()
    }
}

impl Named {
    fn by(plan: &Plan) -> Self {
        Self { readers: plan.study.readers.clone(), sites: plan.study.sites.iter().cloned().collect() }
    }
}

impl Entry {
    fn relation(&self, caller: &Identity) -> Relation {
        let name = caller.name.as_str();
        match caller.role {
            Role::Researcher if self.opener.as_str() == name => Relation::Opener,
            Role::Researcher if self.named.readers.iter().any(|reader| reader.as_str() == name) => {
                Relation::Reader
            }
            Role::Site if caller.site().is_some_and(|site| self.named.sites.contains(&site)) => {
                Relation::Audience
            }
            Role::Site | Role::Researcher | Role::Auditor | Role::Operator | Role::Coordinator => {
                Relation::Foreign
            }
        }
    }
}

/// Says whether a day is further ahead than clocks are apart.
fn is_ahead(day: u64, now: Timestamp) -> bool {
    day > now.0 / DAY_MS + 1
}

const DAY_MS: u64 = 86_400_000;
