//! One attempt at a round: a synchronous state machine without IO, clock or randomness.
//!
//! Invite (wait until the members are connected) → collect (one update per member, until the
//! deadline), or the steps of [`crate::secure`] → closed. A bad message from one site is an
//! [`Effect::Reject`], never a failed attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fedtwin_plan::{SiteName, Timestamp};
use fedtwin_secagg::coordinator::{FromSite, Reconstruction, Unmasking, UnmaskingError};
use fedtwin_secagg::mask::Masks;
use fedtwin_secagg::site::ToSite;

use crate::secure::{Secure, SecureTerms};
use crate::spool::Update;
use crate::study_error::{Misbehaviour, MovedOn, StudyError};

/// The states of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// Waits until the members are connected.
    Invite(Invite),
    /// Waits for the invited sites' updates.
    Collect(Collect),
    /// Waits for the invited sites' messages and masked updates.
    Secure(Box<Secure>),
    /// Over.
    Closed(AttemptOutcome),
}

/// What an attempt is told when it begins.
#[derive(Debug, Clone)]
pub struct AttemptTerms {
    /// The sites that accepted the plan.
    pub members: BTreeSet<SiteName>,
    /// Complete updates without which the attempt fails.
    pub sites_min: usize,
    /// How long to wait for members to be connected.
    pub join: Duration,
    /// How long to wait for updates.
    pub collect: Duration,
    /// What secure aggregation needs, where the plan asks for it.
    pub secure: Option<SecureTerms>,
}

/// Waits until all members are connected, or enough of them when the time is up.
#[derive(Debug)]
pub struct Invite {
    terms: AttemptTerms,
    present: BTreeSet<SiteName>,
    deadline: Timestamp,
}

/// Waits for one update of each invited site.
#[derive(Debug)]
pub struct Collect {
    sites_min: usize,
    waiting: BTreeSet<SiteName>,
    updates: BTreeMap<SiteName, Update>,
    gone: BTreeSet<SiteName>,
    deadline: Timestamp,
}

/// How an attempt ended.
#[derive(Debug)]
pub struct AttemptOutcome {
    /// Whether enough updates came.
    pub enough: bool,
    /// The complete updates.
    pub updates: BTreeMap<SiteName, Update>,
    /// The members without one.
    pub missing: BTreeSet<SiteName>,
    /// The masks that are left in the updates' sum, under secure aggregation.
    pub masks: Option<Masks>,
}

/// What can happen to an attempt.
#[derive(Debug)]
pub enum Input {
    /// A site's connection is open.
    Present(SiteName),
    /// A site's connection is lost; it may come back.
    Absent(SiteName),
    /// A site sent a complete, verified update.
    Updated(SiteName, Update),
    /// A site's message under secure aggregation.
    Secure(SiteName, FromSite),
    /// What came of an [`Effect::Open`].
    Opened(Result<Unmasking, UnmaskingError>),
    /// A site says that it will send none, and why.
    Declined(SiteName, String),
    /// Time passed.
    Tick,
}

/// What the driver must do.
#[derive(Debug)]
pub enum Effect {
    /// Ask the site for its update, and under secure aggregation say who else is asked.
    Invite(SiteName, Duration, BTreeSet<SiteName>),
    /// Tell the site the next message under secure aggregation.
    Tell(SiteName, ToSite),
    /// The site's update is part of the attempt.
    Accept(SiteName, u64),
    /// The site's message does not count; drop what came with it.
    Reject(SiteName, StudyError),
    /// An invited site will send no update, and says why.
    Decline(SiteName, String),
    /// Find the sum's masks, which may take its time, and give them to [`Input::Opened`].
    Open(Box<Reconstruction>),
    /// Secure aggregation opened nothing, and why.
    Fail(String),
}

impl Attempt {
    /// Begins an attempt; `present` are the connected sites.
    #[must_use]
    pub fn begin(terms: AttemptTerms, present: &BTreeSet<SiteName>, now: Timestamp) -> (Self, Vec<Effect>) {
        let present = terms.members.intersection(present).cloned().collect();
        let deadline = now + terms.join;
        Invite { terms, present, deadline }.proceed(now)
    }

    /// Takes one input.
    ///
    /// Time comes first: whatever arrives after a deadline finds the attempt moved on, even if its tick is
    /// late.
    #[must_use]
    pub fn step(self, input: Input, now: Timestamp) -> (Self, Vec<Effect>) {
        let (attempt, mut effects) = self.pass_time(now);
        let (attempt, caused) = match attempt {
            Self::Invite(invite) => invite.step(input, now),
            Self::Collect(collect) => collect.step(input, now),
            Self::Secure(secure) => secure.step(input, now),
            Self::Closed(outcome) => {
                let caused = match input {
                    Input::Updated(site, _) => vec![Effect::Reject(site, MovedOn::AttemptClosed.into())],
                    // The sum was opened without it.
                    Input::Secure(_, FromSite::Opening(_)) => Vec::new(),
                    Input::Secure(site, _) => vec![Effect::Reject(site, MovedOn::AttemptClosed.into())],
                    Input::Present(_)
                    | Input::Absent(_)
                    | Input::Opened(_)
                    | Input::Declined(..)
                    | Input::Tick => Vec::new(),
                };
                (Self::Closed(outcome), caused)
            }
        };
        effects.extend(caused);
        (attempt, effects)
    }

    fn pass_time(self, now: Timestamp) -> (Self, Vec<Effect>) {
        match self {
            Self::Invite(invite) => invite.proceed(now),
            Self::Collect(collect) if now >= collect.deadline => (Self::Closed(collect.close()), Vec::new()),
            Self::Secure(secure) => secure.pass_time(now),
            open_or_closed @ (Self::Collect(_) | Self::Closed(_)) => (open_or_closed, Vec::new()),
        }
    }

    /// Returns when the attempt wants a [`Input::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Invite(invite) => Some(invite.deadline),
            Self::Collect(collect) => Some(collect.deadline),
            Self::Secure(secure) => secure.deadline(),
            Self::Closed(_) => None,
        }
    }
}

impl Invite {
    fn step(mut self, input: Input, now: Timestamp) -> (Attempt, Vec<Effect>) {
        match input {
            Input::Present(site) if self.terms.members.contains(&site) => {
                self.present.insert(site);
            }
            Input::Absent(site) => {
                self.present.remove(&site);
            }
            Input::Updated(site, _) | Input::Secure(site, _) => {
                return (Attempt::Invite(self), vec![Effect::Reject(site, Misbehaviour::NotBegun.into())]);
            }
            Input::Present(_) | Input::Opened(_) | Input::Declined(..) | Input::Tick => {}
        }
        self.proceed(now)
    }

    fn proceed(self, now: Timestamp) -> (Attempt, Vec<Effect>) {
        let everybody = self.present.len() == self.terms.members.len();
        let enough = self.present.len() >= self.terms.sites_min;
        if enough && (everybody || now >= self.deadline) {
            return self.collect(now);
        }
        if now >= self.deadline {
            let (updates, missing) = (BTreeMap::new(), self.terms.members);
            let outcome = AttemptOutcome { enough: false, updates, missing, masks: None };
            return (Attempt::Closed(outcome), Vec::new());
        }
        (Attempt::Invite(self), Vec::new())
    }

    fn collect(self, now: Timestamp) -> (Attempt, Vec<Effect>) {
        let Self { terms, present, .. } = self;
        let gone = terms.members.difference(&present).cloned().collect();
        if let Some(secure) = terms.secure {
            return Secure::begin(secure, present, gone, now);
        }
        let invite = |site: &SiteName| Effect::Invite(site.clone(), terms.collect, BTreeSet::new());
        let invitations = present.iter().map(invite).collect();
        let collect = Collect {
            sites_min: terms.sites_min,
            gone,
            waiting: present,
            updates: BTreeMap::new(),
            deadline: now + terms.collect,
        };
        (Attempt::Collect(collect), invitations)
    }
}

impl Collect {
    fn step(mut self, input: Input, now: Timestamp) -> (Attempt, Vec<Effect>) {
        let effects = match input {
            // A site that comes back, or joins late, is asked again; it resends what it stored.
            Input::Present(site) => {
                if self.gone.remove(&site) {
                    self.waiting.insert(site.clone());
                }
                if self.waiting.contains(&site) {
                    vec![Effect::Invite(site, self.deadline.since(now), BTreeSet::new())]
                } else {
                    Vec::new()
                }
            }
            Input::Updated(site, update) => vec![self.receive(site, update)],
            Input::Secure(site, _) => {
                vec![Effect::Reject(site, Misbehaviour::NotMasked.into())]
            }
            Input::Declined(site, reason) => {
                if self.waiting.remove(&site) {
                    self.gone.insert(site.clone());
                    vec![Effect::Decline(site, reason)]
                } else {
                    Vec::new()
                }
            }
            Input::Absent(_) | Input::Opened(_) | Input::Tick => Vec::new(),
        };
        if self.waiting.is_empty() {
            return (Attempt::Closed(self.close()), effects);
        }
        (Attempt::Collect(self), effects)
    }

    fn receive(&mut self, site: SiteName, update: Update) -> Effect {
        if self.waiting.remove(&site) {
            let bytes = update.bytes;
            self.updates.insert(site.clone(), update);
            return Effect::Accept(site, bytes);
        }
        match self.updates.get(&site) {
            // The same bytes again: the acknowledgement was lost on its way.
            Some(first) if first.digest == update.digest => Effect::Accept(site, update.bytes),
            Some(_) => Effect::Reject(site, Misbehaviour::AnotherUpdate.into()),
            None => Effect::Reject(site, Misbehaviour::NotInvited.into()),
        }
    }

    fn close(self) -> AttemptOutcome {
        let mut missing = self.gone;
        missing.extend(self.waiting);
        let enough = self.updates.len() >= self.sites_min;
        AttemptOutcome { enough, updates: self.updates, missing, masks: None }
    }
}
