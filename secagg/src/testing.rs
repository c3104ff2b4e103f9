//! Federations for tests, which a seed repeats to the last byte.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fedtwin_audit_log::{PublicKey, Signer};
use fedtwin_plan::{Digest, SiteName, WireBits};
use ring::signature::Ed25519KeyPair;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::coordinator::{Aggregation, Effect, FromSite};
use crate::message::Advert;
use crate::site::{Floor, Reply, Site, SiteIdentity, StepError, ToSite};

/// Sites with identity keys, and an attempt.
#[derive(Clone)]
pub(crate) struct Federation {
    pub(crate) context: Context,
    signers: BTreeMap<SiteName, Arc<Ed25519KeyPair>>,
    pinned: BTreeMap<SiteName, PublicKey>,
    entropy: u8,
}

/// An attempt whose messages are delivered in order.
pub(crate) struct Run {
    sites: BTreeMap<SiteName, Site>,
    aggregation: Option<Aggregation>,
    queue: VecDeque<(SiteName, ToSite)>,
    without_vector: BTreeSet<SiteName>,
}

pub(crate) fn names(texts: &[&str]) -> BTreeSet<SiteName> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn key(seed: &[u8]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&Digest::of(seed).0).unwrap()
}

impl Federation {
    pub(crate) fn new(members: &[&str], survivors_min: usize) -> Self {
        let members = names(members);
        let signer = |site: &SiteName| (site.clone(), Arc::new(key(site.as_str().as_bytes())));
        let mut signers: BTreeMap<_, _> = members.iter().map(signer).collect();
        // The tests look at this one, member or not.
        let looked_at: SiteName = "a".parse().unwrap();
        signers.entry(looked_at).or_insert_with(|| Arc::new(key(b"a")));
        let pinned = signers.iter().map(|(site, key)| (site.clone(), Signer::public_key(&**key))).collect();
        let context = Context {
            plan: Digest::of(b"plan"),
            study: "study".parse().unwrap(),
            round: 1,
            attempt: 2,
            model: Digest::of(b"model"),
            clip: 1.0.try_into().unwrap(),
            members,
            survivors_min,
            values: VALUES as u64,
            bits: WireBits::B40,
        };
        Self { context, signers, pinned, entropy: 0 }
    }

    pub(crate) fn with_entropy(mut self, entropy: u8) -> Self {
        self.entropy = entropy;
        self
    }

    pub(crate) fn unpin(&mut self, site: &str) {
        self.pinned.remove(&site.parse::<SiteName>().unwrap());
    }

    /// Pins another key than the site has.
    pub(crate) fn repin(&mut self, site: &str) {
        self.pinned.insert(site.parse().unwrap(), Signer::public_key(&key(b"another")));
    }

    pub(crate) fn identity(&self, site: &SiteName) -> PublicKey {
        Signer::public_key(&*self.signers[site])
    }

    pub(crate) fn join(&self, site: &str) -> Result<(Site, Advert), StepError> {
        self.join_as(&site.parse().unwrap())
    }

    pub(crate) fn join_as(&self, site: &SiteName) -> Result<(Site, Advert), StepError> {
        let signer = Arc::clone(&self.signers[site]);
        let entropy = Digest::of(&[&[self.entropy], site.as_str().as_bytes()].concat()).0;
        Site::join(
            self.context.clone(),
            Floor { pinned: self.pinned.clone(), sites_min: 3 },
            SiteIdentity { site: site.clone(), signer },
            Zeroizing::new(entropy),
        )
    }

    /// Begins an attempt; every advert is at the coordinator. A site that refuses to join is gone.
    pub(crate) fn run(&self) -> Run {
        let mut run = Run {
            sites: BTreeMap::new(),
            aggregation: Some(Aggregation::begin(self.context.clone())),
            queue: VecDeque::new(),
            without_vector: BTreeSet::new(),
        };
        for site in &self.context.members {
            match self.join_as(site) {
                Ok((state, advert)) => {
                    run.sites.insert(site.clone(), state);
                    run.say(site, FromSite::Advert(advert, self.identity(site)));
                }
                Err(_) => run.say(site, FromSite::Gone),
            }
        }
        run
    }
}

impl Run {
    pub(crate) fn without_vector_of(mut self, site: &str) -> Self {
        self.without_vector.insert(site.parse().unwrap());
        self
    }

    /// Delivers messages up to message number `at` to the site, and returns it and its site's state before.
    pub(crate) fn message_to(&mut self, site: &str, at: usize) -> (Site, ToSite) {
        let looked_at: SiteName = site.parse().unwrap();
        let mut seen = 0;
        while let Some((site, message)) = self.queue.pop_front() {
            let state = self.sites.remove(&site).unwrap();
            if site == looked_at {
                if seen == at {
                    return (state, message);
                }
                seen += 1;
            }
            let (state, reply) = state.step(message);
            self.sites.insert(site.clone(), state);
            let answer = match reply {
                Ok(Reply::Mask(_)) if self.without_vector.contains(&site) => FromSite::Gone,
                reply => answer(reply),
            };
            self.say(&site, answer);
        }
        panic!("the attempt ended before message {at} to {looked_at}");
    }

    fn say(&mut self, site: &SiteName, message: FromSite) {
        let (mut next, effects) = self.aggregation.take().unwrap().step(site, message);
        for effect in effects {
            match effect {
                Effect::Send(site, message) => self.queue.push_back((site, message)),
                Effect::Reject(site, why) => panic!("{site}: {why}"),
                Effect::Open(reconstruction) => next = next.opened(reconstruction.solve()).0,
            }
        }
        self.aggregation = Some(next);
    }
}

/// What a site says to the coordinator after a reply; a refusal leaves the attempt.
pub(crate) fn answer(reply: Result<Reply, StepError>) -> FromSite {
    match reply {
        Ok(Reply::Shares(shares)) => FromSite::Shares(shares),
        Ok(Reply::Mask(_)) => FromSite::Vector,
        Ok(Reply::Consent(consent)) => FromSite::Consent(consent),
        Ok(Reply::Opening(opening)) => FromSite::Opening(opening),
        Err(_) => FromSite::Gone,
    }
}

/// The length of the tests' vectors.
pub(crate) const VALUES: usize = 40;
