//! The other sites of a study with secure aggregation, and the coordinator between them, in simulated time.
//!
//! Their halves are the protocol's own. One of them may fall silent, the coordinator may stop waiting, and it may say
//! what an honest one would not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fedtwin_audit_log::{PublicKey, Signer as _};
use fedtwin_certs::LogSigner;
use fedtwin_plan::{Digest, SiteName};
use fedtwin_proto::domain::{AttemptKey, Invitation, SecureNotice, SecureStep};
use fedtwin_secagg::coordinator::{Aggregation, Effect, FromSite};
use fedtwin_secagg::message::{Advert, Partition};
use fedtwin_secagg::site::{Floor, Reply, Site, SiteIdentity, StepError, ToSite};
use fedtwin_secagg::{AttemptPlace, Context};
use zeroize::Zeroizing;

use crate::schedule::{Lie, Schedule};
use crate::site::{credentials_of, everybody, own_name};

/// The other sites and the coordinator, of whom only the newest attempt is open.
#[derive(Default)]
pub(crate) struct Others {
    newest: Option<Attempt>,
    opened: usize,
}

impl Others {
    /// Has the others join an attempt, if it is under secure aggregation and not the one at hand.
    pub(crate) fn join(&mut self, schedule: &Schedule, invitation: &Invitation) -> Vec<SecureNotice> {
        let Invitation { key, model, clip, members, .. } = invitation.clone();
        if self.newest.as_ref().is_some_and(|newest| newest.key == key) {
            return Vec::new();
        }
        let (plan, _, signed) = schedule.plan();
        let place = AttemptPlace { round: key.round, attempt: key.attempt, model, clip, members };
        let Some(context) = Context::of(&plan, signed.digest(), place) else { return Vec::new() };
        self.opened = self.opened();
        let (attempt, said) = Attempt::begin(key, &context, schedule.silent_after);
        self.newest = Some(attempt);
        self.notices(said)
    }

    /// Has the coordinator hear something of an attempt, if it is the newest.
    pub(crate) fn hear(&mut self, key: &AttemptKey, message: FromSite) -> Vec<SecureNotice> {
        let newest = self.newest.as_mut().filter(|newest| newest.key == *key);
        let said = newest.map(|newest| newest.hears(&own_name(), message));
        self.notices(said.unwrap_or_default())
    }

    /// Has the coordinator go on without those who have not answered.
    pub(crate) fn stop_waiting(&mut self) -> Vec<SecureNotice> {
        let said = self.newest.as_mut().map(Attempt::stops_waiting);
        self.notices(said.unwrap_or_default())
    }

    /// Has the coordinator say what an honest one would not say now.
    pub(crate) fn lie(&self, lie: Lie) -> Vec<SecureNotice> {
        let said = self.newest.as_ref().and_then(|newest| newest.lies(lie));
        self.notices(said.into_iter().collect())
    }

    /// Returns how many sums were opened that the site is in.
    pub(crate) fn opened(&self) -> usize {
        self.opened + usize::from(self.newest.as_ref().is_some_and(|newest| newest.opened))
    }

    fn notices(&self, said: Vec<ToSite>) -> Vec<SecureNotice> {
        let Some(Attempt { key, .. }) = &self.newest else { return Vec::new() };
        said.into_iter().map(|step| SecureNotice { key: key.clone(), step }).collect()
    }
}

/// An attempt.
struct Attempt {
    key: AttemptKey,
    aggregation: Option<Aggregation>,
    others: BTreeMap<SiteName, Site>,
    /// Messages after which the first of the others says nothing more.
    silent_after: Option<u8>,
    /// The last message to the site that is looked at.
    last: Option<ToSite>,
    /// Says whether a sum was opened that the site is in.
    opened: bool,
}

impl Attempt {
    /// Begins an attempt; returns what the coordinator says to the site that is looked at.
    fn begin(key: AttemptKey, context: &Context, silent_after: Option<u8>) -> (Self, Vec<ToSite>) {
        let aggregation = Some(Aggregation::begin(context.clone()));
        let mut attempt =
            Self { key, aggregation, others: BTreeMap::new(), silent_after, last: None, opened: false };
        let mut said = Vec::new();
        for site in context.members.iter().filter(|member| **member != own_name()) {
            let message = match join(context, site) {
                Ok((state, advert)) => {
                    attempt.others.insert(site.clone(), state);
                    FromSite::Advert(advert, identity_key(site))
                }
                Err(_refusal) => FromSite::Gone,
            };
            said.extend(attempt.hears(site, message));
        }
        (attempt, said)
    }

    /// Takes what a site says, and the others' answers to what follows from it.
    fn hears(&mut self, site: &SiteName, message: FromSite) -> Vec<ToSite> {
        let message = if *site == own_name() { message } else { self.perhaps_silent(site, message) };
        let (next, effects) = self.aggregation.take().unwrap().step(site, message);
        self.aggregation = Some(next);
        self.perform(effects)
    }

    /// Goes on without those who have not answered.
    fn stops_waiting(&mut self) -> Vec<ToSite> {
        let (next, effects) = self.aggregation.take().unwrap().close();
        self.aggregation = Some(next);
        self.perform(effects)
    }

    fn lies(&self, lie: Lie) -> Option<ToSite> {
        let (own, all) = (own_name(), everybody());
        match lie {
            Lie::Again => self.last.clone(),
            Lie::NobodysRoster => Some(ToSite::Roster(Arc::default())),
            Lie::AllSurvived => {
                Some(ToSite::Partition(Partition { survivors: all, dropped: BTreeSet::new() }))
            }
            Lie::YouAreDropped => {
                let survivors = all.into_iter().filter(|site| *site != own).collect();
                Some(ToSite::Partition(Partition { survivors, dropped: [own].into() }))
            }
            Lie::NobodyConsents => Some(ToSite::Consents(Vec::new())),
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Vec<ToSite> {
        let mut said = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send(site, message) if site == own_name() => {
                    self.last = Some(message.clone());
                    said.push(message);
                }
                Effect::Send(site, message) => {
                    let Some(state) = self.others.remove(&site) else { continue };
                    let (state, reply) = state.step(message);
                    self.others.insert(site.clone(), state);
                    said.extend(self.hears(&site, answer(reply)));
                }
                // What a lie made the site say does not count.
                Effect::Reject(..) => {}
                Effect::Open(reconstruction) => {
                    let solved = reconstruction.solve();
                    self.opened |= solved.as_ref().is_ok_and(|opened| opened.survivors.contains(&own_name()));
                    let (next, effects) = self.aggregation.take().unwrap().opened(solved);
                    self.aggregation = Some(next);
                    said.extend(self.perform(effects));
                }
            }
        }
        said
    }

    fn perhaps_silent(&mut self, site: &SiteName, message: FromSite) -> FromSite {
        let first = self.others.keys().next() == Some(site);
        match &mut self.silent_after {
            Some(0) if first => FromSite::Gone,
            Some(left) if first => {
                *left -= 1;
                message
            }
            Some(_) | None => message,
        }
    }
}

/// Returns what the coordinator makes of a site's message.
pub(crate) fn heard(step: SecureStep) -> FromSite {
    match step {
        SecureStep::Advert(advert) => FromSite::Advert(advert, identity_key(&own_name())),
        SecureStep::Shares(shares) => FromSite::Shares(shares),
        SecureStep::Consent(consent) => FromSite::Consent(consent),
        SecureStep::Opening(opening) => FromSite::Opening(opening),
    }
}

fn answer(reply: Result<Reply, StepError>) -> FromSite {
    match reply {
        Ok(Reply::Shares(shares)) => FromSite::Shares(shares),
        Ok(Reply::Mask(_)) => FromSite::Vector,
        Ok(Reply::Consent(consent)) => FromSite::Consent(consent),
        Ok(Reply::Opening(opening)) => FromSite::Opening(opening),
        Err(_) => FromSite::Gone,
    }
}

fn join(context: &Context, site: &SiteName) -> Result<(Site, Advert), StepError> {
    let pinned = everybody().iter().map(|site| (site.clone(), identity_key(site))).collect();
    let identity = SiteIdentity { site: site.clone(), signer: Arc::new(signer(site)) };
    let entropy = Zeroizing::new(Digest::of(site.as_str().as_bytes()).0);
    Site::join(context.clone(), Floor { pinned, sites_min: 3 }, identity, entropy)
}

fn signer(site: &SiteName) -> LogSigner {
    LogSigner(credentials_of(site))
}

fn identity_key(site: &SiteName) -> PublicKey {
    signer(site).public_key()
}
