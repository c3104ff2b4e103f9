//! The middle steps: masked vectors come, and those whose vectors came agree on who they are.

use std::collections::{BTreeMap, BTreeSet};

use fedtwin_plan::SiteName;

use super::sharing::Roster;
use super::{
    Aggregation, Effect, MessageError, Misbehaviour, Openings, Step, UnmaskingError, awaited, failed,
};
use crate::message::{Consent, Partition};
use crate::site::ToSite;

/// Waits for masked vectors.
pub struct Vectors {
    roster: Roster,
    /// Who sent shares.
    sharing: BTreeSet<SiteName>,
    pub(super) waiting: BTreeSet<SiteName>,
    survivors: BTreeSet<SiteName>,
}

impl Vectors {
    pub(super) fn new(roster: Roster, sharing: BTreeSet<SiteName>) -> Self {
        Self { roster, waiting: sharing.clone(), sharing, survivors: BTreeSet::new() }
    }

    /// Says whether a site's vector is awaited.
    #[must_use]
    pub fn waits_for(&self, site: &SiteName) -> bool {
        self.waiting.contains(site)
    }

    pub(super) fn take(&mut self, site: &SiteName) -> Result<(), MessageError> {
        awaited(&mut self.waiting, site)?;
        self.survivors.insert(site.clone());
        Ok(())
    }

    pub(super) fn close(self) -> (Aggregation, Vec<Effect>) {
        let Self { roster, sharing, survivors, .. } = self;
        if let Err(failure) = roster.terms.enough(Step::Vectors, survivors.len()) {
            return failed(failure);
        }
        let dropped = sharing.difference(&survivors).cloned().collect();
        let partition = Partition { survivors, dropped };
        let effects = partition
            .survivors
            .iter()
            .map(|site| Effect::Send(site.clone(), ToSite::Partition(partition.clone())))
            .collect();
        let waiting = partition.survivors.clone();
        let signed = partition.signed(&roster.binding);
        let consents = Consents { roster, partition, signed, waiting, given: BTreeMap::new() };
        (Aggregation::Consents(Box::new(consents)), effects)
    }
}

/// Collects consents.
pub struct Consents {
    roster: Roster,
    partition: Partition,
    signed: Vec<u8>,
    pub(super) waiting: BTreeSet<SiteName>,
    given: BTreeMap<SiteName, Consent>,
}

impl Consents {
    pub(super) fn take(&mut self, site: &SiteName, consent: Consent) -> Result<(), MessageError> {
        let key = self.roster.identities.get(site);
        let valid = key.is_some_and(|key| key.verifies(&self.signed, &consent.signature));
        if consent.site != *site || !valid {
            return Err(MessageError::SiteMisbehaved(Misbehaviour::ConsentNotSigned));
        }
        awaited(&mut self.waiting, site)?;
        self.given.insert(site.clone(), consent);
        Ok(())
    }

    pub(super) fn close(self) -> (Aggregation, Vec<Effect>) {
        let Self { roster, partition, given, .. } = self;
        let (opening, least): (BTreeSet<_>, _) = (given.keys().cloned().collect(), roster.threshold);
        if opening.len() < least {
            return failed(UnmaskingError::TooFew { step: Step::Consents, found: opening.len(), least });
        }
        let effects = opening.iter().map(|site| {
            let others = given.iter().filter(|(peer, _)| *peer != site);
            let consents = others.map(|(_, consent)| consent.clone()).collect();
            Effect::Send(site.clone(), ToSite::Consents(consents))
        });
        let effects = effects.collect();
        (Aggregation::Openings(Box::new(Openings::new(roster, partition, opening))), effects)
    }
}
