//! A site's half: what it sends, in order, and what it refuses.
//!
//! Each state is used up by the next message, and a refusal uses it up too: secrets are opened at most once in an
//! attempt, for one roster and one partition.

#[cfg(test)]
mod lying_tests;
mod step_error;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use fedtwin_audit_log::{PublicKey, Signer};
use fedtwin_plan::secure_group::threshold;
use fedtwin_plan::{Digest, SiteName};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::keys::{KeyPair, KeyUse, seal, unseal};
use crate::mask::{Masks, Sign};
use crate::message::{Advert, Consent, Opening, Partition, SealedShares, Share, binding, commitment};
use crate::shamir::{Secret, deal};
use crate::site_mask::SiteMask;

pub use step_error::StepError;

/// What a site insists on, whatever the coordinator says.
#[derive(Debug, Clone)]
pub struct Floor {
    /// The identity keys of the sites that it hides among, its own included.
    pub pinned: BTreeMap<SiteName, PublicKey>,
    /// The fewest sites to hide among, this one included.
    pub sites_min: usize,
}

/// Who a site is.
#[derive(Clone)]
pub struct SiteIdentity {
    /// Its name.
    pub site: SiteName,
    /// Its identity key.
    pub signer: Arc<dyn Signer + Send + Sync>,
}

/// A site in an attempt.
#[derive(Debug)]
pub enum Site {
    /// Sent its keys; waits for the roster.
    Joined(Box<Joined>),
    /// Sent its shares; waits for those of the others.
    Sharing(Box<Sharing>),
    /// Has its masks; waits for the partition, once its vector is sent.
    Masked(Box<Masked>),
    /// Signed the partition; waits for the others' consents.
    Agreed(Box<Agreed>),
    /// Opened what it has to, or refused.
    Over,
}

/// What the coordinator says to a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToSite {
    /// All adverts.
    Roster(Arc<Vec<Advert>>),
    /// The shares that are for the site, each with the site that they come from.
    Shares(Vec<SealedShares>),
    /// Whose vectors are in the sum.
    Partition(Partition),
    /// The consents of the others.
    Consents(Vec<Consent>),
}

/// What a site has to do next.
#[derive(Debug)]
pub enum Reply {
    /// Send shares, each with the site that they are for.
    Shares(Vec<SealedShares>),
    /// Add the mask to the vector and send it.
    Mask(SiteMask),
    /// Send the consent.
    Consent(Consent),
    /// Send the opening.
    Opening(Opening),
}

impl Site {
    /// Joins an attempt. `entropy` is fresh from the operating system and used for nothing else.
    ///
    /// # Errors
    /// Refuses an attempt below the site's floor.
    pub fn join(
        context: Context,
        floor: Floor,
        identity: SiteIdentity,
        entropy: Zeroizing<[u8; 32]>,
    ) -> Result<(Self, Advert), StepError> {
        let joined = Joined::new(context, floor, identity, entropy)?;
        let advert = joined.advert.clone();
        Ok((Self::Joined(Box::new(joined)), advert))
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// Refuses what an honest coordinator would not send; the attempt is over for the site then.
    pub fn step(self, message: ToSite) -> (Self, Result<Reply, StepError>) {
        let next = match (self, message) {
            (Self::Joined(joined), ToSite::Roster(adverts)) => {
                joined.roster(&adverts).map(|(next, shares)| (Self::Sharing(next), Reply::Shares(shares)))
            }
            (Self::Sharing(sharing), ToSite::Shares(shares)) => {
                sharing.shares(shares).map(|(next, mask)| (Self::Masked(next), Reply::Mask(mask)))
            }
            (Self::Masked(masked), ToSite::Partition(partition)) => masked
                .partition(partition)
                .map(|(next, consent)| (Self::Agreed(next), Reply::Consent(consent))),
            (Self::Agreed(agreed), ToSite::Consents(consents)) => {
                agreed.consents(&consents).map(|opening| (Self::Over, Reply::Opening(opening)))
            }
            (state, ToSite::Roster(_) | ToSite::Shares(_) | ToSite::Partition(_) | ToSite::Consents(_)) => {
                Err(StepError::OutOfOrder { state: state.describe() })
            }
        };
        match next {
            Ok((state, reply)) => (state, Ok(reply)),
            Err(refusal) => (Self::Over, Err(refusal)),
        }
    }

    fn describe(&self) -> &'static str {
        match self {
            Self::Joined(_) => "the site waits for the roster",
            Self::Sharing(_) => "the site waits for shares",
            Self::Masked(_) => "the site waits for the partition",
            Self::Agreed(_) => "the site waits for consents",
            Self::Over => "the attempt is over for the site",
        }
    }
}

/// What stays the same from the first message to the last.
struct Attempt {
    context: Context,
    digest: Digest,
    floor: Floor,
    identity: SiteIdentity,
    masking_secret: Secret,
    seed: Secret,
}

/// Sent its keys.
pub struct Joined {
    attempt: Attempt,
    sealing_secret: Secret,
    random: ChaCha20Rng,
    advert: Advert,
}

impl Joined {
    fn new(
        context: Context,
        floor: Floor,
        identity: SiteIdentity,
        entropy: Zeroizing<[u8; 32]>,
    ) -> Result<Self, StepError> {
        if !context.members.contains(&identity.site) {
            return Err(StepError::NotAMember);
        }
        if let Some(stranger) = context.members.iter().find(|member| !floor.pinned.contains_key(*member)) {
            return Err(StepError::NotPinned(stranger.clone()));
        }
        let (sites, found) = (context.members.len(), context.survivors_min);
        if sites < floor.sites_min.max(found) {
            return Err(StepError::TooFew { found: sites, least: floor.sites_min.max(found) });
        }
        if found < threshold(sites) {
            return Err(StepError::ThresholdTooLow { found, sites, least: threshold(sites) });
        }
        let mut random = ChaCha20Rng::from_seed(*entropy);
        let mut secret = || {
            let mut secret = Secret::default();
            random.fill_bytes(secret.as_mut_slice());
            secret
        };
        let (sealing_secret, masking_secret, seed) = (secret(), secret(), secret());
        let digest = context.digest();
        let mut advert = Advert {
            site: identity.site.clone(),
            sealing: KeyPair::new(&sealing_secret).public(),
            masking: KeyPair::new(&masking_secret).public(),
            seed: commitment(&digest, &identity.site, &seed),
            signature: [0; 64],
        };
        advert.signature = identity.signer.sign(&advert.signed(&digest));
        let attempt = Attempt { context, digest, floor, identity, masking_secret, seed };
        Ok(Self { attempt, sealing_secret, random, advert })
    }

    fn roster(mut self, adverts: &[Advert]) -> Result<(Box<Sharing>, Vec<SealedShares>), StepError> {
        let adverts = self.checked(adverts)?;
        let binding = binding(&self.attempt.digest, adverts.values());
        let own = &self.attempt.identity.site;
        let (sites, threshold) = (adverts.len(), threshold(adverts.len()));
        let keys = deal(&self.attempt.masking_secret, threshold, sites, &mut self.random);
        let seeds = deal(&self.attempt.seed, threshold, sites, &mut self.random);
        let sealing = KeyPair::new(&self.sealing_secret);
        let (mut outgoing, mut held) = (Vec::new(), BTreeMap::new());
        let mut envelopes = BTreeMap::new();
        for ((holder, advert), (key, seed)) in adverts.iter().zip(keys.into_iter().zip(seeds)) {
            if holder == own {
                held.insert(holder.clone(), Held { key, seed });
                continue;
            }
            let weak = |_weak| StepError::WeakKey(holder.clone());
            let agreed = sealing.agreed(advert.sealing).map_err(weak)?;
            let envelope = agreed.key(&KeyUse::share(&binding, own, holder));
            let back = agreed.key(&KeyUse::share(&binding, holder, own));
            outgoing.push(SealedShares { peer: holder.clone(), bytes: seal(&envelope, [&key, &seed]) });
            envelopes.insert(holder.clone(), back);
        }
        let sharing = Sharing { attempt: self.attempt, adverts, binding, threshold, envelopes, held };
        Ok((Box::new(sharing), outgoing))
    }

    /// Checks that each advert is of a member, who is pinned, and signed by it.
    fn checked(&self, adverts: &[Advert]) -> Result<BTreeMap<SiteName, Advert>, StepError> {
        let Attempt { context, digest, floor, identity, .. } = &self.attempt;
        let mut roster = BTreeMap::new();
        for advert in adverts {
            let site = advert.site.clone();
            if !context.members.contains(&site) {
                return Err(StepError::Stranger(site));
            }
            if !floor.pinned.get(&site).is_some_and(|key| advert.is_by(key, digest)) {
                return Err(StepError::BadSignature(site));
            }
            if roster.insert(site.clone(), advert.clone()).is_some() {
                return Err(StepError::Twice(site));
            }
        }
        if roster.get(&identity.site) != Some(&self.advert) {
            return Err(StepError::OwnKeysSwapped);
        }
        enough(roster.len(), floor.sites_min.max(context.survivors_min))?;
        Ok(roster)
    }
}

/// Another site's secrets, as far as this one holds them.
struct Held {
    key: Secret,
    seed: Secret,
}

/// Sent its shares.
pub struct Sharing {
    attempt: Attempt,
    adverts: BTreeMap<SiteName, Advert>,
    binding: Digest,
    threshold: usize,
    /// What each other site's shares are sealed with.
    envelopes: BTreeMap<SiteName, Secret>,
    held: BTreeMap<SiteName, Held>,
}

impl Sharing {
    fn shares(mut self, shares: Vec<SealedShares>) -> Result<(Box<Masked>, SiteMask), StepError> {
        let own = &self.attempt.identity.site;
        let masking = KeyPair::new(&self.attempt.masking_secret);
        let mut signed = vec![(self.attempt.seed.clone(), Sign::Plus)];
        for SealedShares { peer, bytes } in shares {
            let Some(envelope) = self.envelopes.get(&peer) else { return Err(StepError::Stranger(peer)) };
            let Some([key, seed]) = unseal(envelope, &bytes) else {
                return Err(StepError::SharesDoNotOpen(peer));
            };
            let mask = masking.agree(self.adverts[&peer].masking, &KeyUse::mask(&self.binding, own, &peer));
            let Ok(mask) = mask else { return Err(StepError::WeakKey(peer)) };
            signed.push((mask, Sign::of(own, &peer)));
            if self.held.insert(peer.clone(), Held { key, seed }).is_some() {
                return Err(StepError::Twice(peer));
            }
        }
        enough(self.held.len(), self.threshold)?;
        let Self { attempt, adverts, binding, threshold, envelopes, held } = self;
        let masks = Masks::new(attempt.context.bits, &binding, &signed);
        let mask = SiteMask::new(masks, attempt.context.values);
        let silent = envelopes.into_keys().filter(|site| !held.contains_key(site)).collect();
        Ok((Box::new(Masked { attempt, adverts, binding, threshold, held, silent }), mask))
    }
}

/// Has its masks.
pub struct Masked {
    attempt: Attempt,
    adverts: BTreeMap<SiteName, Advert>,
    binding: Digest,
    threshold: usize,
    held: BTreeMap<SiteName, Held>,
    /// Sites that sent no shares, with whom no mask is shared.
    silent: BTreeSet<SiteName>,
}

impl Masked {
    fn partition(self, partition: Partition) -> Result<(Box<Agreed>, Consent), StepError> {
        let Attempt { context, identity, .. } = &self.attempt;
        if let Some(both) = partition.survivors.intersection(&partition.dropped).next() {
            return Err(StepError::OnBothSides(both.clone()));
        }
        if !partition.survivors.contains(&identity.site) {
            return Err(StepError::OnNeitherSide(identity.site.clone()));
        }
        let named = || partition.survivors.iter().chain(&partition.dropped);
        let out_of_place =
            |site: &&SiteName| !self.adverts.contains_key(*site) || self.silent.contains(*site);
        if let Some(site) = named().find(out_of_place) {
            return Err(StepError::Stranger(site.clone()));
        }
        let unnamed =
            |site: &&SiteName| !partition.survivors.contains(*site) && !partition.dropped.contains(*site);
        if let Some(site) = self.held.keys().find(unnamed) {
            return Err(StepError::OnNeitherSide(site.clone()));
        }
        enough(partition.survivors.len(), context.survivors_min)?;
        enough(self.held.keys().filter(|site| partition.survivors.contains(*site)).count(), self.threshold)?;
        let signed = partition.signed(&self.binding);
        let consent = Consent { site: identity.site.clone(), signature: identity.signer.sign(&signed) };
        let Self { attempt, threshold, held, .. } = self;
        Ok((Box::new(Agreed { attempt, threshold, held, partition, signed }), consent))
    }
}

/// Signed the partition.
pub struct Agreed {
    attempt: Attempt,
    threshold: usize,
    held: BTreeMap<SiteName, Held>,
    partition: Partition,
    signed: Vec<u8>,
}

impl Agreed {
    fn consents(self, consents: &[Consent]) -> Result<Opening, StepError> {
        let Self { attempt, threshold, held, partition, signed } = self;
        // This site's own consent is one.
        let mut agreed = BTreeSet::from([&attempt.identity.site]);
        for Consent { site, signature } in consents {
            if !held.contains_key(site) || !partition.survivors.contains(site) {
                return Err(StepError::Stranger(site.clone()));
            }
            let key = attempt.floor.pinned.get(site);
            if !key.is_some_and(|key| key.verifies(&signed, signature)) {
                return Err(StepError::BadSignature(site.clone()));
            }
            if !agreed.insert(site) {
                return Err(StepError::Twice(site.clone()));
            }
        }
        enough(agreed.len(), threshold)?;
        let (mut seeds, mut keys) = (BTreeMap::new(), BTreeMap::new());
        for (site, Held { key, seed }) in held {
            if partition.survivors.contains(&site) {
                seeds.insert(site, Share(seed));
            } else {
                keys.insert(site, Share(key));
            }
        }
        Ok(Opening { seeds, keys })
    }
}

fn enough(found: usize, least: usize) -> Result<(), StepError> {
    if found < least { Err(StepError::TooFew { found, least }) } else { Ok(()) }
}

macro_rules! debug_without_secrets {
    ($($state:ident),*) => {
        $(impl fmt::Debug for $state {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} in attempt {}", stringify!($state), self.attempt.context.attempt)
            }
        })*
    };
}

debug_without_secrets!(Joined, Sharing, Masked, Agreed);
