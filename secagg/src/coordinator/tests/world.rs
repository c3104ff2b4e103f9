//! A federation whose network does what a schedule says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fedtwin_plan::SiteName;
use fedtwin_plan::secure_group::threshold;
use proptest::prelude::*;

use crate::coordinator::{Aggregation, Effect, FromSite, Reconstruction, Unmasking};
use crate::message::{Opening, Share};
use crate::shamir::Secret;
use crate::site::{Reply, Site, ToSite};
use crate::testing::{Federation, VALUES, answer};

/// What happens next.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// One of the messages on their way arrives.
    Deliver(usize),
    /// It arrives, and stays on its way.
    Duplicate(usize),
    /// It is lost.
    Lose(usize),
    /// It arrives changed.
    Lie(usize, Lie),
    /// A site ends.
    Crash(usize),
    /// The time for the step is up.
    Deadline,
    /// What is solved on another thread is done.
    Solved,
}

/// What is changed in a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lie {
    pub(super) item: usize,
    pub(super) byte: usize,
}

pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    let lie = (0_usize..8, 0_usize..80).prop_map(|(item, byte)| Lie { item, byte });
    let event = prop_oneof![
        30 => (0_usize..64).prop_map(Event::Deliver),
        2 => (0_usize..64).prop_map(Event::Duplicate),
        1 => (0_usize..64).prop_map(Event::Lose),
        1 => ((0_usize..64), lie).prop_map(|(index, lie)| Event::Lie(index, lie)),
        1 => (0_usize..8).prop_map(Event::Crash),
        1 => Just(Event::Deadline),
        2 => Just(Event::Solved),
    ];
    prop::collection::vec(event, 0..120)
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) enum Letter {
    ToSite(SiteName, ToSite),
    FromSite(SiteName, FromSite),
}

/// A federation with a network that does what the schedule says.
pub(super) struct World {
    pub(super) federation: Federation,
    pub(super) sites: BTreeMap<SiteName, Site>,
    pub(super) aggregation: Option<Aggregation>,
    pub(super) letters: Vec<Letter>,
    pub(super) inputs: BTreeMap<SiteName, Vec<i64>>,
    pub(super) vectors: BTreeMap<SiteName, Vec<i64>>,
    pub(super) openings: Vec<Opening>,
    /// What is solved on another thread.
    pub(super) solving: Option<Box<Reconstruction>>,
}

impl World {
    pub(super) fn new(sites: usize, missing: usize) -> Self {
        let all: Vec<String> = (0..sites).map(|site| format!("s{site}")).collect();
        let members: Vec<&str> = all.iter().map(String::as_str).collect();
        let federation = Federation::new(&members, threshold(sites).max(sites - missing));
        let aggregation = Aggregation::begin(federation.context.clone());
        let mut world = Self {
            sites: BTreeMap::new(),
            aggregation: Some(aggregation),
            letters: Vec::new(),
            inputs: BTreeMap::new(),
            vectors: BTreeMap::new(),
            openings: Vec::new(),
            solving: None,
            federation,
        };
        for (number, site) in world.federation.context.members.clone().into_iter().enumerate() {
            let (state, advert) = world.federation.join_as(&site).unwrap();
            let value = |at: usize| (at as i64 * 7919 - 100_000) * (number as i64 + 1);
            world.inputs.insert(site.clone(), (0..VALUES).map(value).collect());
            world.sites.insert(site.clone(), state);
            let key = world.federation.identity(&site);
            world.letters.push(Letter::FromSite(site, FromSite::Advert(advert, key)));
        }
        world
    }

    pub(super) fn arrive(&mut self, letter: Letter) {
        match letter {
            Letter::FromSite(site, message) => {
                let (next, effects) = self.aggregation.take().unwrap().step(&site, message);
                self.act(next, effects);
            }
            Letter::ToSite(site, message) => {
                let Some(state) = self.sites.remove(&site) else { return };
                let (state, reply) = state.step(message);
                self.sites.insert(site.clone(), state);
                let said = match reply {
                    Ok(Reply::Mask(mask)) => {
                        let mut vector = self.inputs[&site].clone();
                        mask.add_to(&mut vector);
                        self.vectors.insert(site.clone(), vector);
                        FromSite::Vector
                    }
                    Ok(Reply::Opening(opening)) => {
                        self.openings.push(opening.clone());
                        FromSite::Opening(opening)
                    }
                    other @ (Ok(Reply::Shares(_) | Reply::Consent(_)) | Err(_)) => answer(other),
                };
                self.letters.push(Letter::FromSite(site, said));
            }
        }
    }

    pub(super) fn act(&mut self, next: Aggregation, effects: Vec<Effect>) {
        self.aggregation = Some(next);
        for effect in effects {
            match effect {
                Effect::Send(site, message) => self.letters.push(Letter::ToSite(site, message)),
                Effect::Reject(..) => {}
                Effect::Open(reconstruction) => {
                    assert!(self.solving.replace(reconstruction).is_none(), "one at a time");
                }
            }
        }
    }

    /// Ends what is solved on another thread; says whether there was something.
    pub(super) fn solved(&mut self) -> bool {
        let Some(reconstruction) = self.solving.take() else { return false };
        let (next, effects) = self.aggregation.take().unwrap().opened(reconstruction.solve());
        self.act(next, effects);
        true
    }

    pub(super) fn deadline(&mut self) {
        let (next, effects) = self.aggregation.take().unwrap().close();
        self.act(next, effects);
    }

    pub(super) fn happen(&mut self, event: Event) {
        let count = self.letters.len();
        match event {
            Event::Deliver(index) if count > 0 => {
                let letter = self.letters.remove(index % count);
                self.arrive(letter);
            }
            Event::Duplicate(index) if count > 0 => self.arrive(self.letters[index % count].clone()),
            Event::Lose(index) if count > 0 => {
                self.letters.remove(index % count);
            }
            Event::Lie(index, lie) if count > 0 => {
                let letter = self.letters.remove(index % count);
                self.arrive(changed(letter, lie));
            }
            Event::Crash(site) => {
                let site = format!("s{site}").parse().unwrap();
                self.sites.remove(&site);
            }
            Event::Deadline => self.deadline(),
            Event::Solved => {
                self.solved();
            }
            Event::Deliver(_) | Event::Duplicate(_) | Event::Lose(_) | Event::Lie(..) => {}
        }
        self.invariant_no_site_opens_both();
        self.invariant_an_opened_sum_is_the_survivors();
    }

    /// Delivers letters in order until there is one like this.
    pub(super) fn deliver_until(&mut self, wanted: impl Fn(&Letter) -> bool) {
        while !self.letters.iter().any(&wanted) {
            let letter = self.letters.remove(0);
            self.arrive(letter);
        }
    }

    /// Delivers what is left in order; deadlines pass when nothing is on its way.
    pub(super) fn settle(&mut self) {
        while !matches!(self.aggregation, Some(Aggregation::Opened(_) | Aggregation::Failed(_))) {
            if self.letters.is_empty() {
                if !self.solved() {
                    self.deadline();
                }
            } else {
                let letter = self.letters.remove(0);
                self.arrive(letter);
            }
        }
        self.invariant_no_site_opens_both();
        self.invariant_an_opened_sum_is_the_survivors();
    }

    /// Whoever sees all openings cannot bare a vector: no site's seed and key are both open.
    pub(super) fn invariant_no_site_opens_both(&self) {
        invariant_never_both(&self.openings, &self.federation.context.members);
    }

    /// The sum without its masks is that of the survivors' inputs, bit by bit modulo 2^k, and of enough of them.
    pub(super) fn invariant_an_opened_sum_is_the_survivors(&self) {
        let Some(Aggregation::Opened(Unmasking { survivors, masks })) = &self.aggregation else { return };
        let context = &self.federation.context;
        assert!(survivors.len() >= context.survivors_min);
        let (mut sum, mut expected) = (vec![0_i64; VALUES], vec![0_i64; VALUES]);
        for site in survivors {
            for (at, (total, plain)) in sum.iter_mut().zip(&mut expected).enumerate() {
                *total = total.wrapping_add(self.vectors[site][at]);
                *plain = plain.wrapping_add(self.inputs[site][at]);
            }
        }
        masks.take_from(0, &mut sum);
        let read: Vec<i64> = sum.iter().map(|&value| context.bits.least(value)).collect();
        assert_eq!(read, expected);
    }
}

pub(super) fn invariant_never_both(openings: &[Opening], sites: &BTreeSet<SiteName>) {
    for site in sites {
        let seeds = openings.iter().filter(|opening| opening.seeds.contains_key(site)).count();
        let keys = openings.iter().filter(|opening| opening.keys.contains_key(site)).count();
        let enough = threshold(sites.len());
        assert!(seeds < enough || keys < enough, "{site}: {seeds} shares of its seed, {keys} of its key");
    }
}

/// Changes one byte or one name of a letter.
pub(super) fn changed(letter: Letter, Lie { item, byte }: Lie) -> Letter {
    let flip = |bytes: &mut [u8]| {
        let length = bytes.len();
        bytes[byte % length] ^= 1;
    };
    let share = |share: &mut Share| {
        let mut bytes = *share.as_bytes();
        flip(&mut bytes);
        *share = Share(Secret::new(bytes));
    };
    let (site, message) = match letter {
        Letter::FromSite(site, message) => (site, message),
        Letter::ToSite(site, mut message) => {
            match &mut message {
                ToSite::Roster(adverts) if !adverts.is_empty() => {
                    let count = adverts.len();
                    flip(&mut Arc::make_mut(adverts)[item % count].masking);
                }
                ToSite::Shares(shares) if !shares.is_empty() => {
                    let count = shares.len();
                    flip(&mut shares[item % count].bytes);
                }
                ToSite::Partition(partition) => {
                    let moved =
                        partition.survivors.iter().nth(item % partition.survivors.len()).cloned().unwrap();
                    partition.survivors.remove(&moved);
                    partition.dropped.insert(moved);
                }
                ToSite::Consents(consents) if !consents.is_empty() => {
                    let count = consents.len();
                    flip(&mut consents[item % count].signature);
                }
                ToSite::Roster(_) | ToSite::Shares(_) | ToSite::Consents(_) => {}
            }
            return Letter::ToSite(site, message);
        }
    };
    let message = match message {
        FromSite::Advert(mut advert, key) => {
            flip(&mut advert.sealing);
            FromSite::Advert(advert, key)
        }
        FromSite::Shares(mut shares) => {
            let count = shares.len();
            flip(&mut shares[item % count].bytes);
            FromSite::Shares(shares)
        }
        FromSite::Consent(mut consent) => {
            flip(&mut consent.signature);
            FromSite::Consent(consent)
        }
        FromSite::Opening(mut opening) => {
            let count = opening.seeds.len();
            share(opening.seeds.values_mut().nth(item % count).unwrap());
            opening.keys.values_mut().for_each(share);
            FromSite::Opening(opening)
        }
        FromSite::Vector => FromSite::Gone,
        FromSite::Gone => FromSite::Gone,
    };
    Letter::FromSite(site, message)
}
