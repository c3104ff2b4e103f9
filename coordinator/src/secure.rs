//! An attempt under secure aggregation: the steps of `secagg`, their deadlines, and the masked updates.
//!
//! Keys → shares → vectors → consents → openings, each over when nobody is awaited or at its deadline. What a site is
//! told is told again when its connection comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use fedtwin_plan::{Digest, SiteName, Timestamp};
use fedtwin_secagg::Context;
use fedtwin_secagg::coordinator::{self as secagg, Aggregation, FromSite, Unmasking};
use fedtwin_secagg::site::ToSite;

use crate::attempt::{Attempt, AttemptOutcome, Effect, Input};
use crate::spool::Update;
use crate::study_error::{Misbehaviour, MovedOn};

/// What secure aggregation needs to know of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct SecureTerms {
    /// What sites agree on; its members are those that are invited.
    pub context: Context,
    /// How long to wait for small messages.
    pub step: Duration,
    /// How long to wait for vectors.
    pub collect: Duration,
}

impl SecureTerms {
    /// Returns the time that all steps have together.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.collect + SMALL_STEPS * self.step
    }
}

/// An attempt among the sites that are invited.
#[derive(Debug)]
pub struct Secure {
    aggregation: Aggregation,
    terms: SecureTerms,
    /// Members that were not there when the attempt began.
    absent: BTreeSet<SiteName>,
    updates: BTreeMap<SiteName, Update>,
    /// The last message to each site.
    told: BTreeMap<SiteName, ToSite>,
    /// The last message of each site that counts, by its digest: the messages themselves are n^2 shares.
    heard: BTreeMap<SiteName, Digest>,
    /// Members that said that they send nothing more.
    declined: BTreeSet<SiteName>,
    closes: Timestamp,
    /// When the step ends, if it waits for sites.
    deadline: Timestamp,
}

impl Secure {
    /// Invites the sites that are there.
    pub(crate) fn begin(
        terms: SecureTerms,
        present: BTreeSet<SiteName>,
        absent: BTreeSet<SiteName>,
        now: Timestamp,
    ) -> (Attempt, Vec<Effect>) {
        let context = Context { members: present, ..terms.context };
        let terms = SecureTerms { context, ..terms };
        let aggregation = Aggregation::begin(terms.context.clone());
        let (closes, deadline) = (now + terms.time(), now + terms.step);
        let (updates, told, heard) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let declined = BTreeSet::new();
        let secure = Self { aggregation, terms, absent, updates, told, heard, declined, closes, deadline };
        let invite = |site: &SiteName| secure.invite(site.clone(), now);
        let effects = secure.terms.context.members.iter().map(invite).collect();
        (Attempt::Secure(Box::new(secure)), effects)
    }

    fn invite(&self, site: SiteName, now: Timestamp) -> Effect {
        Effect::Invite(site, self.closes.since(now), self.terms.context.members.clone())
    }

    pub(crate) fn step(self, input: Input, now: Timestamp) -> (Attempt, Vec<Effect>) {
        match input {
            Input::Present(site) => {
                let mut effects = Vec::new();
                if self.terms.context.members.contains(&site) {
                    effects.push(self.invite(site.clone(), now));
                    let again = self.told.get(&site).cloned();
                    effects.extend(again.map(|message| Effect::Tell(site, message)));
                }
                (Attempt::Secure(Box::new(self)), effects)
            }
            Input::Secure(site, message) => self.take(&site, message, now),
            Input::Updated(site, update) => self.updated(site, update, now),
            Input::Declined(site, reason) => self.declined(site, reason, now),
            Input::Opened(result) => {
                let before = discriminant(&self.aggregation);
                let Self { aggregation, .. } = self;
                let (aggregation, effects) = aggregation.opened(result);
                Self { aggregation, ..self }.proceed(before, effects, now)
            }
            Input::Absent(_) | Input::Tick => (Attempt::Secure(Box::new(self)), Vec::new()),
        }
    }

    /// Returns when the step ends: not while the sum is being opened and nobody else is waited for.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.aggregation.waits_for_sites().then_some(self.deadline)
    }

    /// Goes on with those who answered once the step's time is up.
    pub(crate) fn pass_time(self, now: Timestamp) -> (Attempt, Vec<Effect>) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return (Attempt::Secure(Box::new(self)), Vec::new());
        }
        let before = discriminant(&self.aggregation);
        let Self { aggregation, .. } = self;
        let (aggregation, effects) = aggregation.close();
        Self { aggregation, ..self }.proceed(before, effects, now)
    }

    /// Lets a member go; the first time it says why.
    fn declined(mut self, site: SiteName, reason: String, now: Timestamp) -> (Attempt, Vec<Effect>) {
        if !self.terms.context.members.contains(&site) {
            return (Attempt::Secure(Box::new(self)), Vec::new());
        }
        let first = self.declined.insert(site.clone());
        let (attempt, mut effects) = self.take(&site, FromSite::Gone, now);
        effects.extend(first.then_some(Effect::Decline(site, reason)));
        (attempt, effects)
    }

    fn take(mut self, site: &SiteName, message: FromSite, now: Timestamp) -> (Attempt, Vec<Effect>) {
        let said = message.digest();
        if self.heard.get(site) == Some(&said) {
            // Its acknowledgement was lost on its way.
            return (Attempt::Secure(Box::new(self)), Vec::new());
        }
        let before = discriminant(&self.aggregation);
        let Self { aggregation, .. } = self;
        let (aggregation, effects) = aggregation.step(site, message);
        let rejected =
            |effect: &secagg::Effect| matches!(effect, secagg::Effect::Reject(by, _) if by == site);
        if !effects.iter().any(rejected) {
            self.heard.insert(site.clone(), said);
        }
        Self { aggregation, ..self }.proceed(before, effects, now)
    }

    fn updated(mut self, site: SiteName, update: Update, now: Timestamp) -> (Attempt, Vec<Effect>) {
        if let Some(first) = self.updates.get(&site) {
            // The same bytes again: the acknowledgement was lost on its way.
            let effect = if first.digest == update.digest {
                Effect::Accept(site, update.bytes)
            } else {
                Effect::Reject(site, Misbehaviour::AnotherUpdate.into())
            };
            return (Attempt::Secure(Box::new(self)), vec![effect]);
        }
        let waits = matches!(&self.aggregation, Aggregation::Vectors(vectors) if vectors.waits_for(&site));
        if !waits {
            return (
                Attempt::Secure(Box::new(self)),
                vec![Effect::Reject(site, MovedOn::VectorNotAwaited.into())],
            );
        }
        let accepted = Effect::Accept(site.clone(), update.bytes);
        self.updates.insert(site.clone(), update);
        let (attempt, effects) = self.take(&site, FromSite::Vector, now);
        (attempt, [accepted].into_iter().chain(effects).collect())
    }

    /// Performs what a step of the aggregation asks for, and closes the attempt when it is over.
    fn proceed(
        mut self,
        before: Discriminant<Aggregation>,
        effects: Vec<secagg::Effect>,
        now: Timestamp,
    ) -> (Attempt, Vec<Effect>) {
        let mut caused = Vec::new();
        for effect in effects {
            caused.push(match effect {
                secagg::Effect::Send(site, message) => {
                    self.told.insert(site.clone(), message.clone());
                    Effect::Tell(site, message)
                }
                secagg::Effect::Reject(site, error) => Effect::Reject(site, error.into()),
                secagg::Effect::Open(reconstruction) => Effect::Open(reconstruction),
            });
        }
        if discriminant(&self.aggregation) != before {
            let vectors = matches!(self.aggregation, Aggregation::Vectors(_));
            self.deadline = now + if vectors { self.terms.collect } else { self.terms.step };
        }
        let Self { aggregation, terms, mut absent, mut updates, .. } = self;
        let (enough, masks) = match aggregation {
            Aggregation::Opened(Unmasking { survivors, masks }) => {
                updates.retain(|site, _| survivors.contains(site));
                (true, Some(masks))
            }
            Aggregation::Failed(failure) => {
                caused.push(Effect::Fail(failure.to_string()));
                updates.clear();
                (false, None)
            }
            aggregation @ (Aggregation::Keys(_)
            | Aggregation::Shares(_)
            | Aggregation::Vectors(_)
            | Aggregation::Consents(_)
            | Aggregation::Openings(_)) => {
                let Self { told, heard, declined, closes, deadline, .. } = self;
                let open =
                    Self { aggregation, terms, absent, updates, told, heard, declined, closes, deadline };
                return (Attempt::Secure(Box::new(open)), caused);
            }
        };
        absent.extend(terms.context.members.into_iter().filter(|site| !updates.contains_key(site)));
        (Attempt::Closed(AttemptOutcome { enough, updates, missing: absent, masks }), caused)
    }
}

/// Keys, shares, consents and openings.
const SMALL_STEPS: u32 = 4;

#[cfg(test)]
mod tests {
    use fedtwin_plan::WireBits;

    use super::*;
    use crate::attempt::AttemptTerms;

    #[test]
    fn a_decline_is_told_once_and_of_members_alone() {
        let site = |name: &str| name.parse::<SiteName>().unwrap();
        let members = BTreeSet::from(["a", "b", "c"].map(site));
        let context = Context {
            plan: Digest::of(b"plan"),
            study: "s".parse().unwrap(),
            round: 1,
            attempt: 1,
            model: Digest::of(b"model"),
            clip: 1.0.try_into().unwrap(),
            members: BTreeSet::new(),
            survivors_min: 3,
            values: 1,
            bits: WireBits::B40,
        };
        let (step, collect) = (Duration::from_secs(2), Duration::from_secs(5));
        let secure = Some(SecureTerms { context, step, collect });
        let terms = AttemptTerms { members: members.clone(), sites_min: 3, join: step, collect, secure };
        let now = Timestamp(1_000);
        let (mut attempt, _) = Attempt::begin(terms, &members, now);
        let mut told = Vec::new();
        for name in ["stranger", "a", "a", "stranger", "b", "a", "b"] {
            let (next, effects) = attempt.step(Input::Declined(site(name), name.to_owned()), now);
            attempt = next;
            told.extend(effects.into_iter().filter_map(|effect| match effect {
                Effect::Decline(site, reason) => Some((site, reason)),
                Effect::Invite(..)
                | Effect::Tell(..)
                | Effect::Accept(..)
                | Effect::Reject(..)
                | Effect::Open(_)
                | Effect::Fail(_) => None,
            }));
        }
        assert_eq!(told, ["a", "b"].map(|name| (site(name), name.to_owned())));
        assert!(matches!(attempt, Attempt::Secure(_)), "the third is awaited");
        let (attempt, _) = attempt.step(Input::Declined(site("c"), "c".to_owned()), now);
        assert!(matches!(attempt, Attempt::Closed(AttemptOutcome { enough: false, .. })));
    }
}
