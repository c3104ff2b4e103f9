//! Whole attempts under generated schedules: drops, delays, duplicates and lies at every step.

mod world;

use fedtwin_plan::{Digest, SiteName};
use proptest::prelude::*;

use super::*;
use crate::message::Partition;
use crate::site::Reply;
use crate::testing::Federation;

use world::{Event, Letter, Lie, World, changed, events};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_survivors_sum_is_opened_or_nothing(sites in 3_usize..8, missing in 0_usize..3, events in events()) {
        let mut world = World::new(sites, missing);
        for event in events {
            world.happen(event);
        }
        world.settle();
    }

    /// A server that shows each site one of two partitions, and hands on whichever consents it likes.
    #[test]
    fn a_cheating_server_never_gets_both_secrets(
        sites in 4_usize..9,
        shown in prop::collection::vec(0_usize..2, 9),
        first in prop::collection::vec(any::<bool>(), 9),
        second in prop::collection::vec(any::<bool>(), 9),
    ) {
        let mut world = World::new(sites, sites);
        let members: Vec<SiteName> = world.federation.context.members.iter().cloned().collect();
        let partition = |kept: &[bool]| {
            let (survivors, dropped): (Vec<_>, Vec<_>) = members.iter().cloned().zip(kept).partition(|(_, kept)| **kept);
            let names = |sites: Vec<(SiteName, &bool)>| sites.into_iter().map(|(site, _)| site).collect();
            Partition { survivors: names(survivors), dropped: names(dropped) }
        };
        let partitions = [partition(&first), partition(&second)];
        let mut consents: Vec<(usize, Consent)> = Vec::new();
        while let Some(letter) = world.letters.pop() {
            match letter {
                // Here the server leaves the protocol.
                Letter::ToSite(site, ToSite::Partition(_)) => {
                    let which = shown[members.iter().position(|member| *member == site).unwrap()];
                    let (state, reply) = world.sites.remove(&site).unwrap().step(ToSite::Partition(partitions[which].clone()));
                    world.sites.insert(site, state);
                    if let Ok(Reply::Consent(consent)) = reply {
                        consents.push((which, consent));
                    }
                }
                letter => world.arrive(letter),
            }
        }
        for (which, own) in &consents {
            let others = consents.iter().filter(|(shown, consent)| shown == which && consent.site != own.site);
            let others = others.map(|(_, consent)| consent.clone()).collect();
            let (_, reply) = world.sites.remove(&own.site).unwrap().step(ToSite::Consents(others));
            if let Ok(Reply::Opening(opening)) = reply {
                world.openings.push(opening);
            }
        }
        world.invariant_no_site_opens_both();
    }
}

fn settled(sites: usize, missing: usize, events: impl IntoIterator<Item = Event>) -> World {
    let mut world = World::new(sites, missing);
    events.into_iter().for_each(|event| world.happen(event));
    world.settle();
    world
}

fn survivors(world: &World) -> usize {
    match &world.aggregation {
        Some(Aggregation::Opened(opened)) => opened.survivors.len(),
        other => panic!("nothing was opened: {other:?}"),
    }
}

#[test]
fn a_round_survives_a_dropout_at_each_step() {
    // Messages in order: 6 adverts, 6 rosters, 6 shares, and so on; the crash comes after so many.
    for after in 0..60 {
        let deliveries = (0..after).map(|_| Event::Deliver(0));
        let world = settled(6, 1, deliveries.chain([Event::Crash(5)]));
        let expected = if after < 30 { 5..=6 } else { 6..=6 };
        assert!(expected.contains(&survivors(&world)), "{after}");
    }
}

#[test]
fn one_dropout_too_many_opens_nothing() {
    let crashes = [Event::Crash(0), Event::Crash(1)];
    let world = settled(6, 1, crashes);
    let failure = UnmaskingError::TooFew { step: Step::Shares, found: 4, least: 5 };
    assert!(
        matches!(world.aggregation, Some(Aggregation::Failed(found)) if found == failure),
        "{:?}",
        world.aggregation
    );
    assert!(world.openings.is_empty());
}

#[test]
fn many_sites_survive_dropouts() {
    let sites = 130;
    let mut world = World::new(sites, 20);
    // All adverts, rosters and shares arrive; then twenty sites end.
    for _ in 0..3 * sites {
        let letter = world.letters.remove(0);
        world.arrive(letter);
    }
    for site in 0..20 {
        world.sites.remove(&format!("s{site}").parse().unwrap());
    }
    world.settle();
    assert_eq!(survivors(&world), sites - 20);
    let Some(Aggregation::Opened(Unmasking { masks, .. })) = &world.aggregation else { unreachable!() };
    assert_eq!(masks.count(), 110 + 20 * 110, "everybody masks with everybody");
}

#[test]
fn liars_among_the_openings_are_outvoted() {
    let mut world = World::new(7, 1);
    world.deliver_until(|letter| matches!(letter, Letter::FromSite(_, FromSite::Opening(_))));
    while let Some(place) = world.letters.iter().position(|letter| matches!(letter, Letter::ToSite(..))) {
        let letter = world.letters.remove(place);
        world.arrive(letter);
    }
    // The first two of seven openings are wrong, and five are needed.
    let letters = std::mem::take(&mut world.letters);
    for (index, letter) in letters.into_iter().enumerate() {
        let letter = if index < 2 { changed(letter, Lie { item: 3, byte: 9 + index }) } else { letter };
        world.arrive(letter);
        world.solved();
    }
    assert_eq!(survivors(&world), 7);
    world.invariant_an_opened_sum_is_the_survivors();
}

#[test]
fn too_many_liars_open_nothing() {
    let mut world = World::new(7, 1);
    world.deliver_until(|letter| matches!(letter, Letter::FromSite(_, FromSite::Opening(_))));
    while let Some(letter) = world.letters.pop() {
        let lie = Lie { item: 3, byte: 9 + world.letters.len() };
        world.arrive(changed(letter, lie));
    }
    world.settle();
    assert!(matches!(world.aggregation, Some(Aggregation::Failed(_))), "{:?}", world.aggregation);
}

/// A code word has sixteen elements of two bytes, each of which is corrected by itself: so more may lie than shares are to
/// spare, and the secret is found all the same.
#[test]
fn liars_in_other_elements_each_are_outvoted_or_open_nothing() {
    for (sites, liars) in [(8, 3), (10, 3), (13, 5), (16, 5), (16, 16)] {
        let mut world = World::new(sites, 0);
        world.deliver_until(|letter| matches!(letter, Letter::FromSite(_, FromSite::Opening(_))));
        while let Some(place) = world.letters.iter().position(|letter| matches!(letter, Letter::ToSite(..))) {
            let letter = world.letters.remove(place);
            world.arrive(letter);
        }
        let letters = std::mem::take(&mut world.letters);
        for (index, letter) in letters.into_iter().enumerate() {
            let lie = Lie { item: 3, byte: 2 * index };
            world.arrive(if index < liars { changed(letter, lie) } else { letter });
            world.solved();
        }
        world.settle();
        world.invariant_an_opened_sum_is_the_survivors();
    }
}

#[test]
fn a_site_with_another_model_is_rejected() {
    let mut other = Federation::new(&["a", "b", "c", "d"], 3);
    let here = other.clone();
    other.context.model = Digest::of(b"another model");
    let aggregation = Aggregation::begin(here.context.clone());
    let (_, advert) = other.join("b").unwrap();
    let site = advert.site.clone();
    let (_, effects) = aggregation.step(&site, FromSite::Advert(advert, here.identity(&site)));
    assert!(matches!(&effects[..], [Effect::Reject(site, _)] if site.as_str() == "b"));
}

#[test]
fn masks_of_another_model_do_not_cancel() {
    // Were a server to tell two halves of a federation of different models, and forge what they sign, the sum
    // would say nothing: its bits are those of a uniform number, whatever the inputs.
    let mut sum = vec![0_i64; 20_000];
    for (model, site) in [("one", "a"), ("one", "b"), ("other", "c"), ("other", "d")] {
        let mut federation = Federation::new(&["a", "b", "c", "d"], 3);
        federation.context.model = Digest::of(model.as_bytes());
        federation.context.values = sum.len() as u64;
        let (state, message) = federation.run().message_to(site, 1);
        let Ok(Reply::Mask(mask)) = state.step(message).1 else { panic!("expected a mask") };
        // Inputs that are all alike, so that any of their sum that is left shows in the mean.
        let mut vector = vec![1_i64 << 36; sum.len()];
        mask.add_to(&mut vector);
        sum.iter_mut().zip(&vector).for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
    }
    let bits = fedtwin_plan::WireBits::B40;
    let mean = sum.iter().map(|&value| bits.least(value) as f64).sum::<f64>() / sum.len() as f64;
    // A uniform number of 40 bits has the deviation 2^40 / sqrt(12); five of the mean's, one in two million.
    let deviation = (2_f64.powi(40) / 12_f64.sqrt()) / (sum.len() as f64).sqrt();
    assert!(mean.abs() < 5.0 * deviation, "{mean} {deviation}");
    assert!(deviation * 5.0 < 2_f64.powi(36), "the inputs would show");
    for bit in 0..40 {
        let ones = sum.iter().filter(|&&value| value >> bit & 1 == 1).count() as f64;
        let half = sum.len() as f64 / 2.0;
        assert!((ones - half).abs() < 5.0 * half.sqrt() / 2_f64.sqrt(), "bit {bit}: {ones}");
    }
}

#[test]
#[should_panic(expected = "assertion `left == right` failed")]
fn the_invariant_notices_a_vector_that_is_off_by_one() {
    let mut world = settled(4, 1, []);
    world.vectors.values_mut().next().unwrap()[0] += 1;
    world.invariant_an_opened_sum_is_the_survivors();
}

#[test]
#[should_panic(expected = "shares of its seed")]
fn the_invariant_notices_a_site_of_which_both_secrets_are_open() {
    let mut world = settled(4, 1, []);
    for opening in &mut world.openings {
        opening.keys = opening.seeds.clone();
    }
    world.invariant_no_site_opens_both();
}
