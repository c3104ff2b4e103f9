//! The last step: shares become secrets, and secrets the masks of the sum.

use std::collections::{BTreeMap, BTreeSet};

use fedtwin_plan::SiteName;

use super::sharing::Roster;
use super::{Aggregation, Effect, Failure, NOT_AWAITED, Opened, awaited, failed};
use crate::keys::{KeyPair, KeyUse};
use crate::mask::{Masks, Sign};
use crate::message::{Opening, Split, commitment};
use crate::shamir::{Secret, interpolate};

/// Collects openings.
pub struct Openings {
    roster: Roster,
    split: Split,
    pub(super) waiting: BTreeSet<SiteName>,
    given: BTreeMap<SiteName, Opening>,
}

impl Openings {
    pub(super) fn new(roster: Roster, split: Split, waiting: BTreeSet<SiteName>) -> Self {
        Self { roster, split, waiting, given: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, site: &SiteName, opening: Opening) -> Result<(), &'static str> {
        let holders = self.roster.holders.get(site).ok_or(NOT_AWAITED)?;
        let held = |side: &BTreeSet<SiteName>| {
            holders.iter().filter(|peer| side.contains(*peer)).cloned().collect::<Vec<_>>()
        };
        if !held(&self.split.survivors).iter().eq(opening.seeds.keys())
            || !held(&self.split.dropped).iter().eq(opening.keys.keys())
        {
            return Err("an opening has a share of each neighbour's seed or key");
        }
        awaited(&mut self.waiting, site)?;
        self.given.insert(site.clone(), opening);
        Ok(())
    }

    /// Opens the sum as soon as the shares suffice: who is slow now is in it anyway.
    pub(super) fn proceed(self) -> (Aggregation, Vec<Effect>) {
        let count = |site: &SiteName| {
            self.roster.holders[site].iter().filter(|holder| self.given.contains_key(*holder)).count()
        };
        let mut sites = self.split.survivors.iter().chain(&self.split.dropped);
        if self.waiting.is_empty() || sites.all(|site| count(site) >= self.roster.threshold) {
            return self.close();
        }
        (Aggregation::Openings(Box::new(self)), Vec::new())
    }

    /// Opens the sum with the shares that there are; where they do not fit, others may still come.
    pub(super) fn close(self) -> (Aggregation, Vec<Effect>) {
        let signed = match self.masks() {
            Ok(signed) => signed,
            Err(_) if !self.waiting.is_empty() => return (Aggregation::Openings(Box::new(self)), Vec::new()),
            Err(failure) => return failed(failure),
        };
        let masks = Masks::new(self.roster.terms.context.bits, signed);
        (Aggregation::Opened(Opened { survivors: self.split.survivors, masks }), Vec::new())
    }

    /// Returns what is left in the survivors' sum: their own masks, and those that they share with sites whose
    /// vectors did not come.
    fn masks(&self) -> Result<Vec<(Secret, Sign)>, Failure> {
        let Roster { terms, adverts, binding, .. } = &self.roster;
        let mut signed = Vec::new();
        for site in &self.split.survivors {
            let committed = adverts[site].seed;
            let fits = |seed: &Secret| commitment(&terms.digest, site, seed) == committed;
            let seed = self.secret(site, |opening| &opening.seeds[site].0, &fits)?;
            signed.push((seed, Sign::Plus));
        }
        for site in &self.split.dropped {
            let public = adverts[site].masking;
            let fits = |key: &Secret| KeyPair::new(key).public() == public;
            let key = self.secret(site, |opening| &opening.keys[site].0, &fits)?;
            let pair = KeyPair::new(&key);
            for peer in self.roster.neighbours(site, &self.split.survivors) {
                let mask = pair.agree(adverts[peer].masking, &KeyUse::mask(binding, site, peer));
                // A survivor refuses to mask with such a key, so that none is here.
                let mask = mask.map_err(|_weak| Failure::SharesDoNotFit)?;
                signed.push((mask, Sign::of(peer, site)));
            }
        }
        Ok(signed)
    }

    /// Finds a site's secret among the shares of its neighbourhood.
    ///
    /// Who gave a wrong one is not said: errors of several liars may cancel in the secret and seem to be others'.
    fn secret<'a>(
        &'a self,
        site: &SiteName,
        share: impl Fn(&'a Opening) -> &'a Secret,
        fits: &dyn Fn(&Secret) -> bool,
    ) -> Result<Secret, Failure> {
        let holders = &self.roster.holders[site];
        let shares: Vec<(usize, &Secret)> = holders
            .iter()
            .enumerate()
            .filter_map(|(holder, peer)| Some((holder, share(self.given.get(peer)?))))
            .collect();
        let least = self.roster.threshold;
        if shares.len() < least {
            return Err(Failure::TooFew { step: "openings", found: shares.len(), least });
        }
        honest(&shares, least, fits).ok_or(Failure::SharesDoNotFit)
    }
}

/// Finds enough shares that give a secret which fits, leaving out none, one or two of them; which secret is right is
/// known, so that any honest threshold of shares is enough.
fn honest(shares: &[(usize, &Secret)], threshold: usize, fits: &dyn Fn(&Secret) -> bool) -> Option<Secret> {
    let (count, spare) = (shares.len(), shares.len() - threshold);
    let pairs = (0..count).flat_map(|first| (first + 1..count).map(move |second| vec![first, second]));
    let left_out = [Vec::new()].into_iter().chain((0..count).map(|one| vec![one])).chain(pairs);
    left_out.filter(|left_out| left_out.len() <= spare).find_map(|left_out| {
        let kept = shares.iter().enumerate().filter(|(index, _)| !left_out.contains(index));
        let chosen: Vec<_> = kept.map(|(_, share)| *share).take(threshold).collect();
        let secret = interpolate(&chosen);
        fits(&secret).then_some(secret)
    })
}
