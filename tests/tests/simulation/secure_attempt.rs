//! One attempt under secure aggregation: the coordinator's attempt and the sites' halves under generated schedules of
//! deliveries, lost connections, crashes and deadlines, in simulated time.

mod losses;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fedtwin_audit_log::{PublicKey, Signer};
use fedtwin_coordinator::attempt::{Attempt, AttemptOutcome, AttemptTerms, Effect, Input};
use fedtwin_coordinator::secure::SecureTerms;
use fedtwin_plan::secure_group::threshold;
use fedtwin_plan::{Digest, SiteName, Timestamp, WireBits};
use fedtwin_privacy::wire_integers::{decode_add, encode};
use fedtwin_secagg::Context;
use fedtwin_secagg::coordinator::{FromSite, Reconstruction};
use fedtwin_secagg::site::{Floor, Reply, Site, SiteIdentity, ToSite};
use fedtwin_tests::simulation::{Updates, site};
use proptest::prelude::*;
use ring::signature::Ed25519KeyPair;

/// What happens next; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum What {
    /// The next message of a site's connection arrives, whichever way it goes.
    Deliver(usize),
    /// A site says again what it said last, because the acknowledgement was lost.
    Repeat(usize),
    /// A site's connection is lost with all that is on it, and comes back.
    Reconnect(usize),
    /// A site ends and starts anew, with nothing in memory.
    Restart(usize),
    /// A site ends for good.
    Crash(usize),
    /// What is solved on another thread is done.
    Solve,
    /// Time passes.
    Wait(u64),
}

const JOIN_MS: u64 = 1_000;
const STEP_MS: u64 = 2_000;
const COLLECT_MS: u64 = 5_000;
const VALUES: usize = 17;
const BITS: WireBits = WireBits::B40;

/// What a site says.
#[derive(Debug, Clone)]
enum Said {
    Message(FromSite),
    Update(Vec<u8>),
    Declined,
}

/// A site and its connection, which keeps the order of what goes either way.
struct Member {
    key: Arc<Ed25519KeyPair>,
    half: Option<Site>,
    last: Option<ToSite>,
    alive: bool,
    to_site: VecDeque<Letter>,
    to_coordinator: VecDeque<Said>,
    /// What it said and does not know to have arrived: said again when the connection is back.
    unacknowledged: Option<Said>,
    said_last: Option<Said>,
}

enum Letter {
    Invitation(BTreeSet<SiteName>),
    Message(ToSite),
}

struct World {
    members: BTreeMap<SiteName, Member>,
    pinned: BTreeMap<SiteName, PublicKey>,
    context: Context,
    updates: Updates,
    /// What is solved on another thread.
    solving: Option<Box<Reconstruction>>,
    attempt: Option<Attempt>,
    now: Timestamp,
}

impl World {
    fn begin(count: usize, missing: usize) -> Self {
        let names: BTreeSet<SiteName> = (0..count).map(site).collect();
        let member = |name: &SiteName| {
            let seed = Digest::of(name.as_str().as_bytes()).0;
            let key = Arc::new(Ed25519KeyPair::from_seed_unchecked(&seed).expect("any seed is a key"));
            (name.clone(), Member::new(key))
        };
        let members: BTreeMap<_, _> = names.iter().map(member).collect();
        let key = |(name, member): (&SiteName, &Member)| (name.clone(), Signer::public_key(&*member.key));
        let pinned = members.iter().map(key).collect();
        let survivors_min = threshold(count).max(count - missing);
        let context = Context {
            plan: Digest::of(b"plan"),
            study: "study".parse().expect("a name"),
            round: 1,
            attempt: 1,
            model: Digest::of(b"model"),
            clip: 1.0.try_into().expect("above 0"),
            members: BTreeSet::new(),
            survivors_min,
            values: VALUES as u64,
            bits: BITS,
        };
        let secure = SecureTerms {
            context: context.clone(),
            step: Duration::from_millis(STEP_MS),
            collect: Duration::from_millis(COLLECT_MS),
        };
        let terms = AttemptTerms {
            members: names.clone(),
            sites_min: survivors_min,
            join: Duration::from_millis(JOIN_MS),
            collect: secure.collect,
            secure: Some(secure),
        };
        let began = Timestamp(1_000_000);
        let (attempt, effects) = Attempt::begin(terms, &names, began);
        let (updates, attempt) = (Updates::default(), Some(attempt));
        let mut world = Self { members, pinned, context, updates, solving: None, attempt, now: began };
        world.perform(effects);
        world
    }

    fn attempt(&self) -> &Attempt {
        self.attempt.as_ref().expect("an attempt is in its place between two inputs")
    }

    fn member(&mut self, name: &SiteName) -> &mut Member {
        self.members.get_mut(name).expect("every site is a member")
    }

    fn outcome(&self) -> Option<&AttemptOutcome> {
        match self.attempt() {
            Attempt::Closed(outcome) => Some(outcome),
            Attempt::Invite(_) | Attempt::Collect(_) | Attempt::Secure(_) => None,
        }
    }

    fn step(&mut self, input: Input) {
        let (attempt, effects) =
            self.attempt.take().expect("an attempt is in its place").step(input, self.now);
        self.attempt = Some(attempt);
        self.perform(effects);
        self.check();
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let (name, letter) = match effect {
                Effect::Invite(name, _, others) => (name, Letter::Invitation(others)),
                Effect::Tell(name, message) => (name, Letter::Message(message)),
                Effect::Open(reconstruction) => {
                    assert!(self.solving.replace(reconstruction).is_none(), "one at a time");
                    continue;
                }
                Effect::Accept(..) | Effect::Reject(..) | Effect::Decline(..) | Effect::Fail(_) => continue,
            };
            self.member(&name).to_site.push_back(letter);
        }
    }

    fn solve(&mut self) -> bool {
        let Some(reconstruction) = self.solving.take() else { return false };
        self.step(Input::Opened(reconstruction.solve()));
        true
    }

    /// Delivers what a site said last, or else what it is told.
    fn deliver(&mut self, name: &SiteName) -> bool {
        let member = self.member(name);
        if let Some(said) = member.to_coordinator.pop_front() {
            member.unacknowledged = None;
            let input = match said {
                Said::Message(message) => Input::Secure(name.clone(), message),
                Said::Update(bytes) => Input::Updated(name.clone(), self.updates.of_bytes(&bytes)),
                Said::Declined => Input::Declined(name.clone(), "refused".to_owned()),
            };
            self.step(input);
            return true;
        }
        let Some(letter) = member.to_site.pop_front() else { return false };
        if member.alive
            && let Some(said) = self.answer(name, letter)
        {
            self.member(name).say(said);
        }
        true
    }

    /// What the agent does with a letter.
    fn answer(&mut self, name: &SiteName, letter: Letter) -> Option<Said> {
        let (context, pinned, now) = (self.context.clone(), self.pinned.clone(), self.now.0);
        let key = pinned[name];
        let member = self.member(name);
        let message = match letter {
            // Of an attempt that it is in already.
            Letter::Invitation(_) if member.half.is_some() => return None,
            Letter::Invitation(members) => {
                let context = Context { members, ..context };
                let floor = Floor { pinned, sites_min: 3 };
                let signer: Arc<dyn Signer + Send + Sync> = Arc::<Ed25519KeyPair>::clone(&member.key);
                let entropy = Digest::of(format!("{name} {now}").as_bytes()).0;
                let identity = SiteIdentity { site: name.clone(), signer };
                let (half, advert) =
                    Site::join(context, floor, identity, entropy.into()).expect("all sites are pinned");
                member.half = Some(half);
                return Some(Said::Message(FromSite::Advert(advert, key)));
            }
            Letter::Message(message) => message,
        };
        if member.last.as_ref() == Some(&message) {
            return None;
        }
        member.last = Some(message.clone());
        let (half, reply) = member.half.take()?.step(message);
        member.half = Some(half);
        Some(match reply {
            Ok(Reply::Shares(shares)) => Said::Message(FromSite::Shares(shares)),
            Ok(Reply::Mask(mask)) => {
                let mut vector = input_of(name);
                mask.add_to(&mut vector);
                Said::Update(encode(&vector, BITS))
            }
            Ok(Reply::Consent(consent)) => Said::Message(FromSite::Consent(consent)),
            Ok(Reply::Opening(opening)) => Said::Message(FromSite::Opening(opening)),
            Err(_refusal) => Said::Declined,
        })
    }

    fn happen(&mut self, what: &What) {
        let name = |index: usize| site(index % self.members.len());
        match *what {
            What::Deliver(index) => {
                let name = name(index);
                self.deliver(&name);
            }
            What::Repeat(index) => {
                let name = name(index);
                let member = self.member(&name);
                if let Some(said) = member.said_last.take().filter(|_| member.alive) {
                    member.say(said);
                }
            }
            What::Reconnect(index) => {
                let name = name(index);
                self.step(Input::Absent(name.clone()));
                let member = self.member(&name);
                member.to_site.clear();
                member.to_coordinator.clear();
                if let Some(said) = member.unacknowledged.take() {
                    member.say(said);
                }
                self.step(Input::Present(name));
            }
            What::Restart(index) | What::Crash(index) => {
                let name = name(index);
                self.member(&name).forget();
                self.step(Input::Absent(name.clone()));
                if matches!(what, What::Crash(_)) {
                    self.member(&name).alive = false;
                } else {
                    self.step(Input::Present(name));
                }
            }
            What::Solve => {
                self.solve();
            }
            What::Wait(ms) => {
                self.now = self.now + Duration::from_millis(ms);
                self.step(Input::Tick);
            }
        }
    }

    /// Delivers what there is, and lets time pass when there is nothing.
    fn settle(&mut self) {
        while self.outcome().is_none() {
            let names: Vec<_> = self.members.keys().cloned().collect();
            let mut delivered = false;
            for name in names {
                delivered |= self.deliver(&name);
            }
            if !delivered && !self.solve() {
                let deadline = self.attempt().deadline().expect("an open attempt has a deadline");
                self.now = deadline.max(self.now);
                self.step(Input::Tick);
            }
        }
    }

    fn check(&self) {
        self.invariant_a_step_ends_in_its_time();
        self.invariant_the_sum_is_the_survivors();
        self.invariant_every_member_is_included_or_missing();
    }

    fn invariant_a_step_ends_in_its_time(&self) {
        if let Some(deadline) = self.attempt().deadline() {
            assert!(deadline <= self.now + Duration::from_millis(COLLECT_MS), "{deadline:?}");
        }
    }

    fn invariant_the_sum_is_the_survivors(&self) {
        let Some(AttemptOutcome { enough: true, updates, masks, .. }) = self.outcome() else { return };
        assert!(updates.len() >= self.context.survivors_min);
        let (mut sum, mut expected) = (vec![0; VALUES], vec![0; VALUES]);
        for (name, update) in updates {
            let bytes = std::fs::read(update.path()).expect("a spool is on disk");
            decode_add(&bytes, BITS, &mut sum).expect("an update has all values");
            expected.iter_mut().zip(input_of(name)).for_each(|(total, value)| *total += value);
        }
        masks.as_ref().expect("a secure sum has masks").take_from(0, &mut sum);
        let sum: Vec<_> = sum.into_iter().map(|value| BITS.least(value)).collect();
        assert_eq!(sum, expected);
    }

    fn invariant_every_member_is_included_or_missing(&self) {
        let Some(AttemptOutcome { updates, missing, .. }) = self.outcome() else { return };
        let included: BTreeSet<_> = updates.keys().cloned().collect();
        assert!(included.is_disjoint(missing));
        let all: BTreeSet<_> = self.members.keys().cloned().collect();
        assert_eq!(&included | missing, all);
    }
}

impl Member {
    fn new(key: Arc<Ed25519KeyPair>) -> Self {
        let (to_site, to_coordinator) = (VecDeque::new(), VecDeque::new());
        let (half, last, unacknowledged, said_last) = (None, None, None, None);
        Self { key, half, last, alive: true, to_site, to_coordinator, unacknowledged, said_last }
    }

    fn say(&mut self, said: Said) {
        self.unacknowledged = Some(said.clone());
        self.said_last = Some(said.clone());
        self.to_coordinator.push_back(said);
    }

    fn forget(&mut self) {
        self.half = None;
        self.last = None;
        self.unacknowledged = None;
        self.said_last = None;
        self.to_site.clear();
        self.to_coordinator.clear();
    }
}

fn input_of(name: &SiteName) -> Vec<i64> {
    let hash = Digest::of(name.as_str().as_bytes()).0;
    (0..VALUES).map(|at| i64::from(hash[at]) * 1_000_003 - 100_000_000).collect()
}

fn schedules() -> impl Strategy<Value = Vec<What>> {
    let of_site = |what: fn(usize) -> What| (0_usize..8).prop_map(what);
    let what = prop_oneof![
        40 => of_site(What::Deliver),
        2 => of_site(What::Repeat),
        2 => of_site(What::Reconnect),
        1 => of_site(What::Restart),
        1 => of_site(What::Crash),
        2 => Just(What::Solve),
        2 => (0_u64..3_000).prop_map(What::Wait),
    ];
    proptest::collection::vec(what, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(proptest::test_runner::FileFailurePersistence::Direct(
            "tests/secure_attempt_simulation.regressions",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_schedule_opens_the_survivors_sum_or_nothing(
        members in 3_usize..7, missing in 0_usize..3, schedule in schedules(),
    ) {
        let mut world = World::begin(members, missing);
        for what in &schedule {
            world.happen(what);
        }
        world.settle();
    }
}
