//! The first two steps: keys become a roster, and each site's secrets shares at its neighbours.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fedtwin_audit_log::PublicKey;
use fedtwin_plan::{Digest, SiteName};

use super::{Aggregation, Effect, NOT_AWAITED, Terms, Vectors, awaited, failed};
use crate::graph::Graph;
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
    ) -> Result<(), &'static str> {
        if advert.site != *site || !advert.is_by(&key, &self.terms.digest) {
            return Err("the advert is not signed by the site for this attempt");
        }
        awaited(&mut self.waiting, site)?;
        self.adverts.insert(site.clone(), advert);
        self.identities.insert(site.clone(), key);
        Ok(())
    }

    pub(super) fn close(self) -> (Aggregation, Vec<Effect>) {
        let Self { terms, adverts, identities, .. } = self;
        if let Err(failure) = terms.enough("keys", adverts.len()) {
            return failed(failure);
        }
        let all: Arc<Vec<_>> = Arc::new(adverts.values().cloned().collect());
        let roster = || ToSite::Roster(Arc::clone(&all));
        let effects = adverts.keys().map(|site| Effect::Send(site.clone(), roster())).collect();
        let binding = binding(&terms.digest, adverts.values());
        let graph = Graph::new(&binding, adverts.keys());
        let holders = adverts.keys().map(|site| (site.clone(), graph.neighbourhood(site))).collect();
        let threshold = graph.threshold();
        let waiting = adverts.keys().cloned().collect();
        let roster = Roster { terms, adverts, identities, binding, holders, threshold };
        let sent = BTreeMap::new();
        (Aggregation::Shares(Box::new(Shares { roster, waiting, sent })), effects)
    }
}

/// Who takes part, and who holds whose shares.
pub(super) struct Roster {
    pub(super) terms: Terms,
    pub(super) adverts: BTreeMap<SiteName, Advert>,
    pub(super) identities: BTreeMap<SiteName, PublicKey>,
    pub(super) binding: Digest,
    /// Each site's neighbourhood in ascending order, itself included.
    pub(super) holders: BTreeMap<SiteName, Vec<SiteName>>,
    pub(super) threshold: usize,
}

impl Roster {
    /// Returns the neighbours of a site among some sites.
    pub(super) fn neighbours<'a>(
        &'a self,
        site: &'a SiteName,
        among: &'a BTreeSet<SiteName>,
    ) -> impl Iterator<Item = &'a SiteName> {
        self.holders[site].iter().filter(move |other| *other != site && among.contains(*other))
    }
}

/// Sealed shares by recipient.
type Envelopes = BTreeMap<SiteName, [u8; SEALED_BYTES]>;

/// Collects shares.
pub struct Shares {
    roster: Roster,
    pub(super) waiting: BTreeSet<SiteName>,
    sent: BTreeMap<SiteName, Envelopes>,
}

impl Shares {
    pub(super) fn take(&mut self, site: &SiteName, shares: Vec<SealedShares>) -> Result<(), &'static str> {
        let count = shares.len();
        let envelopes: Envelopes = shares.into_iter().map(|sealed| (sealed.peer, sealed.bytes)).collect();
        let holders = self.roster.holders.get(site).ok_or(NOT_AWAITED)?;
        let expected = holders.iter().filter(|holder| *holder != site);
        if count != envelopes.len() || !expected.eq(envelopes.keys()) {
            return Err("shares have to be for each neighbour once");
        }
        awaited(&mut self.waiting, site)?;
        self.sent.insert(site.clone(), envelopes);
        Ok(())
    }

    pub(super) fn close(self) -> (Aggregation, Vec<Effect>) {
        let Self { roster, sent, .. } = self;
        if let Err(failure) = roster.terms.enough("shares", sent.len()) {
            return failed(failure);
        }
        let sharing: BTreeSet<_> = sent.keys().cloned().collect();
        let effects = sharing.iter().map(|site| {
            let from = |peer: &SiteName| SealedShares { peer: peer.clone(), bytes: sent[peer][site] };
            let shares = roster.neighbours(site, &sharing).map(from).collect();
            Effect::Send(site.clone(), ToSite::Shares(shares))
        });
        let effects = effects.collect();
        (Aggregation::Vectors(Box::new(Vectors::new(roster, sharing))), effects)
    }
}
