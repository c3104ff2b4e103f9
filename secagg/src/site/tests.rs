//! What a site refuses, one lie at a time.

use super::*;
use crate::testing::{Federation, names};

/// Runs an honest attempt up to the message that `site` gets, lets `lie` change it, and returns what the site says.
fn refusal(federation: &Federation, lie: impl FnOnce(&mut ToSite), at: usize) -> Option<StepError> {
    let mut run = federation.run();
    let (site, mut message) = run.message_to("a", at);
    lie(&mut message);
    site.step(message).1.err()
}

fn check(lie: impl FnOnce(&mut ToSite), at: usize, expected: StepError) {
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    assert_eq!(refusal(&federation, lie, at), Some(expected));
}

const ROSTER: usize = 0;
const SHARES: usize = 1;
const PARTITION: usize = 2;
const CONSENTS: usize = 3;

fn name(text: &str) -> SiteName {
    text.parse().unwrap()
}

fn roster(message: &mut ToSite) -> &mut Vec<Advert> {
    let ToSite::Roster(adverts) = message else { panic!("expected a roster") };
    Arc::make_mut(adverts)
}

fn shares(message: &mut ToSite) -> &mut Vec<SealedShares> {
    let ToSite::Shares(shares) = message else { panic!("expected shares") };
    shares
}

fn partition_of(message: &mut ToSite) -> &mut Partition {
    let ToSite::Partition(partition) = message else { panic!("expected a partition") };
    partition
}

fn consents(message: &mut ToSite) -> &mut Vec<Consent> {
    let ToSite::Consents(consents) = message else { panic!("expected consents") };
    consents
}

#[test]
fn an_honest_attempt_is_refused_nowhere() {
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    for at in [ROSTER, SHARES, PARTITION, CONSENTS] {
        assert_eq!(refusal(&federation, |_| {}, at), None);
    }
}

#[test]
fn keys_that_a_site_did_not_sign_are_refused() {
    check(|message| roster(message)[1].masking[0] ^= 1, ROSTER, StepError::BadSignature(name("b")));
    check(|message| roster(message)[1].sealing[0] ^= 1, ROSTER, StepError::BadSignature(name("b")));
    check(|message| roster(message)[1].seed.0[0] ^= 1, ROSTER, StepError::BadSignature(name("b")));
    check(|message| roster(message)[1].signature = [0; 64], ROSTER, StepError::BadSignature(name("b")));
    // Two sites' keys swapped: each is signed, by the wrong one.
    let swap = |message: &mut ToSite| {
        let adverts = roster(message);
        let (b, c) = (adverts[1].site.clone(), adverts[2].site.clone());
        (adverts[1].site, adverts[2].site) = (c, b);
    };
    check(swap, ROSTER, StepError::BadSignature(name("c")));
}

#[test]
fn keys_of_another_attempt_are_refused() {
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    let mut earlier = federation.clone();
    earlier.context.attempt -= 1;
    let (_, mut old) = earlier.run().message_to("a", ROSTER);
    let replay = |message: &mut ToSite| roster(message)[1] = roster(&mut old)[1].clone();
    assert_eq!(refusal(&federation, replay, ROSTER), Some(StepError::BadSignature(name("b"))));
}

#[test]
fn sites_that_were_told_another_clip_are_refused() {
    // One site scales its sum by a small clip, the others drown nobody: by their own it would stand out.
    let told = |clip: f64| {
        let here = Federation::new(&["a", "b", "c", "d"], 3);
        let mut there = here.clone();
        there.context.clip = clip.try_into().unwrap();
        let (_, mut theirs) = there.run().message_to("a", ROSTER);
        let replace = |message: &mut ToSite| roster(message)[1] = roster(&mut theirs)[1].clone();
        refusal(&here, replace, ROSTER)
    };
    assert_eq!(told(1e-6), Some(StepError::BadSignature(name("b"))));
    assert_eq!(told(1.0), None, "the same test with the same clip");
}

#[test]
fn a_site_that_is_not_pinned_is_refused() {
    let mut federation = Federation::new(&["a", "b", "c", "d"], 3);
    federation.unpin("d");
    let joined = federation.join("a");
    assert_eq!(joined.err(), Some(StepError::NotPinned(name("d"))));
    // Another key under a known name is not the pinned one.
    let mut federation = Federation::new(&["a", "b", "c", "d"], 3);
    federation.repin("d");
    assert_eq!(refusal(&federation, |_| {}, ROSTER), Some(StepError::BadSignature(name("d"))));
}

#[test]
fn a_roster_without_this_sites_own_keys_is_refused() {
    let drop_own = |message: &mut ToSite| {
        roster(message).remove(0);
    };
    check(drop_own, ROSTER, StepError::OwnKeysSwapped);
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    let (_, mut other) = federation.clone().with_entropy(9).run().message_to("a", ROSTER);
    let swap = |message: &mut ToSite| roster(message)[0] = roster(&mut other)[0].clone();
    assert_eq!(refusal(&federation, swap, ROSTER), Some(StepError::OwnKeysSwapped));
}

#[test]
fn too_small_a_group_is_refused() {
    let federation = Federation::new(&["a", "b"], 2);
    assert_eq!(federation.join("a").err(), Some(StepError::TooFew { found: 2, least: 3 }));
    let fewer = |message: &mut ToSite| roster(message).truncate(2);
    check(fewer, ROSTER, StepError::TooFew { found: 2, least: 3 });
    let fewer = |message: &mut ToSite| shares(message).truncate(1);
    check(fewer, SHARES, StepError::TooFew { found: 2, least: 3 });
}

#[test]
fn a_lowered_threshold_is_refused() {
    let federation = Federation::new(&["a", "b", "c", "d", "e", "f"], 4);
    let expected = StepError::ThresholdTooLow { found: 4, sites: 6, least: 5 };
    assert_eq!(federation.join("a").err(), Some(expected));
}

#[test]
fn a_site_that_is_left_out_does_not_join() {
    let federation = Federation::new(&["b", "c", "d"], 3);
    assert_eq!(federation.join("a").err(), Some(StepError::NotAMember));
}

#[test]
fn strangers_and_repetitions_are_refused() {
    let twice = |message: &mut ToSite| {
        let again = roster(message)[1].clone();
        roster(message).push(again);
    };
    check(twice, ROSTER, StepError::Twice(name("b")));
    let stranger = |message: &mut ToSite| roster(message)[1].site = name("stranger");
    check(stranger, ROSTER, StepError::Stranger(name("stranger")));
    let twice = |message: &mut ToSite| {
        let again = shares(message)[0].clone();
        shares(message).push(again);
    };
    check(twice, SHARES, StepError::Twice(name("b")));
    let stranger = |message: &mut ToSite| shares(message)[0].peer = name("stranger");
    check(stranger, SHARES, StepError::Stranger(name("stranger")));
    let own = |message: &mut ToSite| shares(message)[0].peer = name("a");
    check(own, SHARES, StepError::Stranger(name("a")));
}

#[test]
fn shares_that_were_changed_or_swapped_are_refused() {
    check(|message| shares(message)[0].bytes[3] ^= 1, SHARES, StepError::SharesDoNotOpen(name("b")));
    let swap = |message: &mut ToSite| {
        let bytes = shares(message)[0].bytes;
        shares(message)[0].bytes = shares(message)[1].bytes;
        shares(message)[1].bytes = bytes;
    };
    check(swap, SHARES, StepError::SharesDoNotOpen(name("b")));
}

#[test]
fn a_site_on_both_sides_of_the_partition_is_refused() {
    let both = |message: &mut ToSite| {
        partition_of(message).dropped.insert(name("b"));
    };
    check(both, PARTITION, StepError::OnBothSides(name("b")));
}

#[test]
fn a_partition_that_leaves_somebody_out_is_refused() {
    let neither = |message: &mut ToSite| {
        partition_of(message).survivors.remove(&name("b"));
    };
    check(neither, PARTITION, StepError::OnNeitherSide(name("b")));
    let without_me = |message: &mut ToSite| {
        partition_of(message).survivors.remove(&name("a"));
        partition_of(message).dropped.insert(name("a"));
    };
    check(without_me, PARTITION, StepError::OnNeitherSide(name("a")));
    let stranger = |message: &mut ToSite| {
        partition_of(message).dropped.insert(name("stranger"));
    };
    check(stranger, PARTITION, StepError::Stranger(name("stranger")));
}

#[test]
fn a_sum_of_too_few_survivors_is_refused() {
    let fewer = |message: &mut ToSite| {
        for site in ["c", "d"] {
            partition_of(message).survivors.remove(&name(site));
            partition_of(message).dropped.insert(name(site));
        }
    };
    check(fewer, PARTITION, StepError::TooFew { found: 2, least: 3 });
}

#[test]
fn consents_to_another_partition_are_refused() {
    // The others were shown a partition in which d had dropped out.
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    let (_, mut theirs) = federation.run().without_vector_of("d").message_to("b", CONSENTS);
    let other = consents(&mut theirs).iter().find(|consent| consent.site == name("c")).unwrap().clone();
    let replace = |message: &mut ToSite| consents(message)[1] = other;
    assert_eq!(refusal(&federation, replace, CONSENTS), Some(StepError::BadSignature(name("c"))));
}

#[test]
fn too_few_or_repeated_consents_are_refused() {
    check(|message| consents(message).truncate(1), CONSENTS, StepError::TooFew { found: 2, least: 3 });
    let twice = |message: &mut ToSite| {
        let again = consents(message)[0].clone();
        consents(message).push(again);
    };
    check(twice, CONSENTS, StepError::Twice(name("b")));
    let stranger = |message: &mut ToSite| consents(message)[0].site = name("stranger");
    check(stranger, CONSENTS, StepError::Stranger(name("stranger")));
    check(|message| consents(message)[0].signature[5] ^= 1, CONSENTS, StepError::BadSignature(name("b")));
}

#[test]
fn every_message_is_refused_out_of_its_turn() {
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    let steps = [ROSTER, SHARES, PARTITION, CONSENTS];
    for turn in steps {
        for other in steps.into_iter().filter(|&other| other != turn) {
            let (site, _) = federation.run().message_to("a", turn);
            let (_, message) = federation.run().message_to("a", other);
            let (site, found) = site.step(message);
            assert!(matches!(found, Err(StepError::OutOfOrder { .. })), "{turn} {other}: {found:?}");
            // And nothing that comes after it is answered.
            let (_, right) = federation.run().message_to("a", turn);
            assert!(matches!(site.step(right).1, Err(StepError::OutOfOrder { .. })));
        }
    }
}

#[test]
fn nothing_is_opened_a_second_time() {
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    let (site, message) = federation.run().message_to("a", CONSENTS);
    let (site, opening) = site.step(message.clone());
    assert!(matches!(opening, Ok(Reply::Opening(_))));
    let (_, partition) = federation.run().without_vector_of("d").message_to("a", PARTITION);
    for second in [message, partition] {
        let (state, found) = match &site {
            Site::Over => Site::Over.step(second),
            other => panic!("{other:?}"),
        };
        assert!(matches!(state, Site::Over));
        assert_eq!(found.err(), Some(StepError::OutOfOrder { state: "the attempt is over for the site" }));
    }
}

#[test]
fn an_opening_has_one_secret_of_each_site() {
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    let (site, message) = federation.run().without_vector_of("d").message_to("a", CONSENTS);
    let (_, reply) = site.step(message);
    let Ok(Reply::Opening(opening)) = reply else { panic!("{reply:?}") };
    let sites = |shares: &BTreeMap<SiteName, Share>| shares.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(sites(&opening.seeds), names(&["a", "b", "c"]));
    assert_eq!(sites(&opening.keys), names(&["d"]));
}

#[test]
fn debug_output_has_no_secrets() {
    let federation = Federation::new(&["a", "b", "c", "d"], 3);
    let (site, message) = federation.run().message_to("a", CONSENTS);
    assert_eq!(format!("{site:?}"), "Agreed(Agreed in attempt 2)");
    assert_eq!(format!("{:?}", site.step(message).1), "Ok(Opening(Opening of 4 seeds and 0 keys))");
}
