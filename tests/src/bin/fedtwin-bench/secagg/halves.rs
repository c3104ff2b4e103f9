//! One attempt with both halves of the protocol in this process: what it takes at the coordinator, and its bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use fedtwin_audit_log::Signer;
use fedtwin_plan::{Digest, SiteName, WireBits};
use fedtwin_proto::domain::{RoundKey, SecureMessage, SecureNotice, SecureStep};
use fedtwin_secagg::coordinator::{Aggregation, Effect, FromSite, Opened};
use fedtwin_secagg::mask::Masks;
use fedtwin_secagg::site::{Floor, Identity, Reply, Site, ToSite};
use fedtwin_secagg::{Context, threshold};
use ring::signature::Ed25519KeyPair;
use tokio::time::{Duration, Instant};

/// A federation's sites and keys.
pub(super) struct Halves {
    context: Context,
    keys: BTreeMap<SiteName, Arc<Ed25519KeyPair>>,
    floor: Floor,
}

/// What an attempt came to.
pub(super) struct Attempt {
    /// The sum's sites and masks.
    pub(super) opened: Opened,
    /// The coordinator's own time.
    pub(super) coordinator: Duration,
    /// The largest number of bytes that one site sent and received, its vector apart, with frames.
    pub(super) bytes: usize,
}

impl Halves {
    pub(super) fn new(sites: usize, values: u64, bits: WireBits) -> anyhow::Result<Self> {
        let mut keys = BTreeMap::new();
        for number in 0..sites {
            let site: SiteName = format!("hospital-{number:03}").parse()?;
            let seed = Digest::of(site.as_str().as_bytes()).0;
            let key = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|error| anyhow!("{error}"))?;
            keys.insert(site, Arc::new(key));
        }
        let pinned = keys.iter().map(|(site, key)| (site.clone(), Signer::public_key(&**key))).collect();
        let context = Context {
            plan: Digest::of(b"plan"),
            study: "bench".parse()?,
            round: 1,
            attempt: 1,
            model: Digest::of(b"model"),
            members: keys.keys().cloned().collect(),
            survivors_min: threshold(sites),
            values,
            bits,
        };
        Ok(Self { context, keys, floor: Floor { pinned, sites_min: 3 } })
    }

    /// Returns the sites.
    pub(super) fn sites(&self) -> impl Iterator<Item = &SiteName> {
        self.keys.keys()
    }

    /// Runs an attempt; the sites in `dropped` give shares and no vector, and the others' masks go to `masked`.
    pub(super) fn attempt(
        &self,
        dropped: &BTreeSet<SiteName>,
        masked: &mut dyn FnMut(&SiteName, &Masks) -> anyhow::Result<()>,
    ) -> anyhow::Result<Attempt> {
        let mut run = Run {
            key: RoundKey { study: self.context.study.clone(), round: 1, attempt: 1 },
            aggregation: Some(Aggregation::begin(self.context.clone())),
            queue: VecDeque::new(),
            coordinator: Duration::ZERO,
            bytes: BTreeMap::new(),
        };
        let mut sites = BTreeMap::new();
        for (site, signer) in &self.keys {
            let identity = Identity { site: site.clone(), signer: Arc::<Ed25519KeyPair>::clone(signer) };
            let entropy = Digest::of(format!("entropy of {site}").as_bytes()).0;
            let (state, advert) =
                Site::join(self.context.clone(), self.floor.clone(), identity, entropy.into())?;
            sites.insert(site.clone(), state);
            run.count(site, SecureStep::Advert(advert.clone()));
            run.say(site, FromSite::Advert(advert, self.floor.pinned[site]))?;
        }
        while let Some((site, message)) = run.queue.pop_front() {
            let notice = SecureNotice { key: run.key.clone(), step: message };
            *run.bytes.entry(site.clone()).or_default() += FRAMES + notice.wire_bytes();
            let state = sites.remove(&site).context("only sites are told something")?;
            let (state, reply) = state.step(notice.step);
            sites.insert(site.clone(), state);
            let message = match reply? {
                Reply::Mask(_) if dropped.contains(&site) => FromSite::Gone,
                Reply::Mask(masks) => {
                    masked(&site, &masks)?;
                    FromSite::Vector
                }
                Reply::Shares(shares) => {
                    run.count(&site, SecureStep::Shares(shares.clone()));
                    FromSite::Shares(shares)
                }
                Reply::Consent(consent) => {
                    run.count(&site, SecureStep::Consent(consent.clone()));
                    FromSite::Consent(consent)
                }
                Reply::Opening(opening) => {
                    run.count(&site, SecureStep::Opening(opening.clone()));
                    FromSite::Opening(opening)
                }
            };
            run.say(&site, message)?;
        }
        let Some(Aggregation::Opened(opened)) = run.aggregation else { bail!("nothing was opened") };
        let bytes = run.bytes.into_values().max().unwrap_or(0);
        Ok(Attempt { opened, coordinator: run.coordinator, bytes })
    }
}

/// An attempt on its way.
struct Run {
    key: RoundKey,
    aggregation: Option<Aggregation>,
    queue: VecDeque<(SiteName, ToSite)>,
    coordinator: Duration,
    bytes: BTreeMap<SiteName, usize>,
}

impl Run {
    /// Counts what a site sends.
    fn count(&mut self, site: &SiteName, step: SecureStep) {
        let message = SecureMessage { key: self.key.clone(), step };
        *self.bytes.entry(site.clone()).or_default() += FRAMES + message.wire_bytes();
    }

    fn say(&mut self, site: &SiteName, message: FromSite) -> anyhow::Result<()> {
        let aggregation =
            self.aggregation.take().context("an attempt is in its place between two messages")?;
        let start = Instant::now();
        let (next, effects) = aggregation.step(site, message);
        self.coordinator += start.elapsed();
        self.aggregation = Some(next);
        for effect in effects {
            match effect {
                Effect::Send(site, message) => self.queue.push_back((site, message)),
                Effect::Reject(site, why) => bail!("{site}: {why}"),
            }
        }
        Ok(())
    }
}

/// gRPC's and HTTP/2's frames and headers of one message: 5 + 9 bytes, and about 100 of a call's headers.
const FRAMES: usize = 128;
