//! The first two steps: keys become a roster, and each site's secrets shares at its neighbours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fedtwin_audit_log::PublicKey;
use fedtwin_plan::secure_group::threshold;
use fedtwin_plan::{Digest, SiteName};

use super::{Aggregation, Effect, MessageError, Misbehaviour, Step, Terms, Vectors, awaited, failed};
use crate::keys::SEALED_BYTES;
use crate::message::{Advert, SealedShares, binding};
use crate::site::ToSite;

/// Collects adverts.
pub struct Keys {
    terms: Terms,
    pub(super) waiting: BTreeSet<SiteName>,
    identities: BTreeMap<SiteName, PublicKey>,
    adverts: BTreeMap<SiteName, Advert>,
}

impl Keys {
    pub(super) fn new(terms: Terms) -> Self {
        let waiting = terms.context.members.clone();
        Self { terms, waiting, identities: BTreeMap::new(), adverts: BTreeMap::new() }
    }

    pub(super) fn take(
        &mut self,
        site: &SiteName,
        advert: Advert,
        key: PublicKey,
    ) -> Result<(), MessageError> {
        if advert.site != *site || !advert.is_by(&key, &self.terms.digest) {
            return Err(MessageError::SiteMisbehaved(Misbehaviour::AdvertNotSigned));
        }
        awaited(&mut self.waiting, site)?;
        self.adverts.insert(site.clone(), advert);
        self.identities.insert(site.clone(), key);
        Ok(())
    }

    pub(super) fn close(self) -> (Aggregation, Vec<Effect>) {
        let Self { terms, adverts, identities, .. } = self;
        if let Err(failure) = terms.enough(Step::Keys, adverts.len()) {
            return failed(failure);
        }
        let all: Arc<Vec<_>> = Arc::new(adverts.values().cloned().collect());
        let roster = || ToSite::Roster(Arc::clone(&all));
        let effects = adverts.keys().map(|site| Effect::Send(site.clone(), roster())).collect();
        let binding = binding(&terms.digest, adverts.values());
        let sites: Vec<SiteName> = adverts.keys().cloned().collect();
        let waiting = adverts.keys().cloned().collect();
        let threshold = threshold(sites.len());
        let roster = Roster { terms, adverts, identities, binding, sites, threshold };
        let sent = BTreeMap::new();
        (Aggregation::Shares(Box::new(Shares { roster, waiting, sent })), effects)
    }
}

/// Who takes part: everybody holds shares of everybody.
pub(super) struct Roster {
    pub(super) terms: Terms,
    pub(super) adverts: BTreeMap<SiteName, Advert>,
    pub(super) identities: BTreeMap<SiteName, PublicKey>,
    pub(super) binding: Digest,
    /// The sites in ascending order, which is that of their shares.
    pub(super) sites: Vec<SiteName>,
    pub(super) threshold: usize,
}

impl Roster {
    /// Returns a site's place.
    pub(super) fn place(&self, site: &SiteName) -> Option<usize> {
        self.sites.binary_search(site).ok()
    }
}

/// Sealed shares by the place of the recipient; nothing is at the sender's own.
type Envelopes = Vec<[u8; SEALED_BYTES]>;

/// Collects shares.
pub struct Shares {
    roster: Roster,
    pub(super) waiting: BTreeSet<SiteName>,
    sent: BTreeMap<SiteName, Envelopes>,
}

impl Shares {
    pub(super) fn take(&mut self, site: &SiteName, shares: Vec<SealedShares>) -> Result<(), MessageError> {
        let count = shares.len();
        let own = self.roster.place(site).ok_or(MessageError::NotAwaited)?;
        let shares: BTreeMap<_, _> = shares.into_iter().map(|sealed| (sealed.peer, sealed.bytes)).collect();
        let others = self.roster.sites.iter().filter(|other| *other != site);
        if count != shares.len() || !others.eq(shares.keys()) {
            return Err(MessageError::SiteMisbehaved(Misbehaviour::SharesNotForEachOther));
        }
        let mut envelopes: Envelopes = shares.into_values().collect();
        envelopes.insert(own, [0; SEALED_BYTES]);
        awaited(&mut self.waiting, site)?;
        self.sent.insert(site.clone(), envelopes);
        Ok(())
    }

    pub(super) fn close(self) -> (Aggregation, Vec<Effect>) {
        let Self { roster, sent, .. } = self;
        if let Err(failure) = roster.terms.enough(Step::Shares, sent.len()) {
            return failed(failure);
        }
        let sharing: BTreeSet<_> = sent.keys().cloned().collect();
        let effects = sharing.iter().map(|site| {
            let place = roster.place(site).expect("only sites of the roster are awaited");
            let others = sent.iter().filter(|(peer, _)| *peer != site);
            let from = |(peer, envelopes): (&SiteName, &Envelopes)| SealedShares {
                peer: peer.clone(),
                bytes: envelopes[place],
            };
            let shares = others.map(from).collect();
            Effect::Send(site.clone(), ToSite::Shares(shares))
        });
        let effects = effects.collect();
        (Aggregation::Vectors(Box::new(Vectors::new(roster, sharing))), effects)
    }
}
