//! One attempt with both halves of the protocol in this process: what it takes at the coordinator, and its bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use fedtwin_audit_log::Signer;
use fedtwin_plan::secure_group::threshold;
use fedtwin_plan::{Digest, SiteName, WireBits};
use fedtwin_secagg::coordinator::FromSite;
use fedtwin_secagg::site::{Floor, Reply, Site, SiteIdentity, ToSite};
use fedtwin_secagg::{Context, SiteMask};
use ring::signature::Ed25519KeyPair;

use super::coordinator::{Coordinator, Notice};

/// A federation and its vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) sites: usize,
    pub(crate) values: usize,
    pub(crate) bits: WireBits,
}

/// A federation's sites and keys.
pub(super) struct Halves {
    context: Context,
    keys: BTreeMap<SiteName, Arc<Ed25519KeyPair>>,
    floor: Floor,
}

/// Returns what all sites and the coordinator know of the attempt.
pub(super) fn context(size: Size) -> anyhow::Result<Context> {
    let Size { sites, values, bits } = size;
    Ok(Context {
        plan: Digest::of(b"plan"),
        study: "bench".parse()?,
        round: 1,
        attempt: 1,
        model: Digest::of(b"model"),
        clip: 1.0.try_into()?,
        members: (0..sites).map(site_name).collect::<Result<_, _>>()?,
        survivors_min: threshold(sites),
        values: values as u64,
        bits,
    })
}

fn site_name(number: usize) -> anyhow::Result<SiteName> {
    Ok(format!("hospital-{number:03}").parse()?)
}

impl Halves {
    pub(super) fn new(size: Size) -> anyhow::Result<Self> {
        let context = context(size)?;
        let mut keys = BTreeMap::new();
        for site in &context.members {
            let seed = Digest::of(site.as_str().as_bytes()).0;
            let key = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| anyhow!("{error}"))?;
            keys.insert(site.clone(), Arc::new(key));
        }
        let pinned = keys.iter().map(|(site, key)| (site.clone(), Signer::public_key(&**key))).collect();
        Ok(Self { context, keys, floor: Floor { pinned, sites_min: 3 } })
    }

    /// Returns the sites.
    pub(super) fn sites(&self) -> impl Iterator<Item = &SiteName> {
        self.keys.keys()
    }

    /// Runs an attempt; the sites in `dropped` give shares and no vector, and the others' masks go to `masked`.
    ///
    /// Returns the largest number of bytes that one site sent and received, its vector apart, with frames.
    pub(super) fn attempt(
        &self,
        coordinator: &mut Coordinator,
        dropped: &BTreeSet<SiteName>,
        masked: &mut dyn FnMut(&SiteName, SiteMask) -> anyhow::Result<()>,
    ) -> anyhow::Result<usize> {
        let mut run = Run { coordinator, queue: VecDeque::new(), bytes: BTreeMap::new() };
        let mut sites = BTreeMap::new();
        for (site, signer) in &self.keys {
            let identity = SiteIdentity { site: site.clone(), signer: Arc::<Ed25519KeyPair>::clone(signer) };
            let entropy = Digest::of(format!("entropy of {site}").as_bytes()).0;
            let (state, advert) =
                Site::join(self.context.clone(), self.floor.clone(), identity, entropy.into())?;
            sites.insert(site.clone(), state);
            run.say(site, FromSite::Advert(advert, self.floor.pinned[site]))?;
        }
        while let Some((site, message)) = run.queue.pop_front() {
            let state = sites.remove(&site).context("only sites are told something")?;
            let (state, reply) = state.step(message);
            sites.insert(site.clone(), state);
            let message = match reply? {
                Reply::Mask(_) if dropped.contains(&site) => FromSite::Gone,
                Reply::Mask(mask) => {
                    masked(&site, mask)?;
                    FromSite::Vector
                }
                Reply::Shares(shares) => FromSite::Shares(shares),
                Reply::Consent(consent) => FromSite::Consent(consent),
                Reply::Opening(opening) => FromSite::Opening(opening),
            };
            run.say(&site, message)?;
        }
        Ok(run.bytes.into_values().max().unwrap_or(0))
    }
}

/// An attempt on its way.
struct Run<'a> {
    coordinator: &'a mut Coordinator,
    queue: VecDeque<(SiteName, ToSite)>,
    bytes: BTreeMap<SiteName, usize>,
}

impl Run<'_> {
    fn say(&mut self, site: &SiteName, message: FromSite) -> anyhow::Result<()> {
        let told = self.coordinator.say(site, message)?;
        // A vector's bytes are the plain update's, and who is gone says nothing.
        if told.sent > 0 {
            *self.bytes.entry(site.clone()).or_default() += FRAMES + told.sent;
        }
        for Notice { site, bytes, step } in told.notices {
            *self.bytes.entry(site.clone()).or_default() += FRAMES + bytes;
            self.queue.push_back((site, step));
        }
        Ok(())
    }
}

/// gRPC's and HTTP/2's frames and headers of one message: 5 + 9 bytes, and about 100 of a call's headers.
const FRAMES: usize = 128;
