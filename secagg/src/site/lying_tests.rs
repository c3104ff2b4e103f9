//! A coordinator that lies about the partition, with sites on its side, among as many sites as a plan may have.
//!
//! The victim is shown to some as a survivor and to others as dropped out: whoever is on its side gives shares of both its
//! seed and its key. Corrupt sites are played here: they sign every partition, and what they hold of others is open.

use fedtwin_plan::secure_group::{colluders_max, threshold};
use proptest::prelude::*;

use super::*;
use crate::coordinator::{Aggregation, Effect, FromSite};
use crate::shamir::place;
use crate::shamir::{weighted_sum, weights_at_zero};
use crate::testing::Federation;

/// An attempt in which all shares were handed on.
struct Attempt {
    federation: Federation,
    masked: BTreeMap<SiteName, Box<Masked>>,
}

impl Attempt {
    fn among(sites: usize) -> Self {
        let names: Vec<String> = (0..sites).map(|site| format!("s{site:03}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let federation = Federation::new(&names, threshold(sites));
        let mut aggregation = Aggregation::begin(federation.context.clone());
        let mut states = BTreeMap::new();
        let mut letters = Vec::new();
        let say = |aggregation: Aggregation, site: &SiteName, message, letters: &mut Vec<_>| {
            let (next, effects) = aggregation.step(site, message);
            for effect in effects {
                let Effect::Send(site, message) = effect else { panic!("{effect:?}") };
                letters.push((site, message));
            }
            next
        };
        for site in &federation.context.members {
            let (state, advert) = federation.join_as(site).unwrap();
            states.insert(site.clone(), state);
            let advert = FromSite::Advert(advert, federation.identity(site));
            aggregation = say(aggregation, site, advert, &mut letters);
        }
        let mut masked = BTreeMap::new();
        while let Some((site, message)) = letters.pop() {
            let (state, reply) = states.remove(&site).unwrap().step(message);
            match (state, reply.unwrap()) {
                (Site::Masked(state), Reply::Mask(_)) => {
                    masked.insert(site, state);
                }
                (state, Reply::Shares(shares)) => {
                    states.insert(site.clone(), state);
                    aggregation = say(aggregation, &site, FromSite::Shares(shares), &mut letters);
                }
                (_, other) => panic!("{other:?}"),
            }
        }
        Self { federation, masked }
    }

    /// Shows the victim's side to each honest site, with the last `corrupt` sites on the coordinator's side, and says
    /// whether it learns both secrets of the victim, the first site.
    fn bares_the_first(self, corrupt: usize, survives: impl Fn(usize) -> bool) -> bool {
        let Self { federation, masked } = self;
        let sites: Vec<SiteName> = masked.keys().cloned().collect();
        let victim = &sites[0];
        let threshold = threshold(sites.len());
        let all: BTreeSet<SiteName> = sites.iter().cloned().collect();
        let with = Partition { survivors: all.clone(), dropped: BTreeSet::new() };
        let without = Partition {
            survivors: all.iter().filter(|site| *site != victim).cloned().collect(),
            dropped: BTreeSet::from([victim.clone()]),
        };
        let honest = sites.len() - corrupt;
        let (mut seeds, mut keys) = (Vec::new(), Vec::new());
        let mut agreed: [Vec<(usize, Box<Agreed>)>; 2] = [Vec::new(), Vec::new()];
        let mut consents: [Vec<Consent>; 2] = [Vec::new(), Vec::new()];
        let (own_seed, own_key) = {
            let own = &masked[victim].attempt;
            (own.seed.clone(), own.masking_secret.clone())
        };
        for (number, (site, state)) in masked.into_iter().enumerate() {
            if number >= honest {
                let Held { key, seed } = &state.held[victim];
                seeds.push((number, seed.clone()));
                keys.push((number, key.clone()));
                for (side, partition) in [&with, &without].into_iter().enumerate() {
                    let signature = state.attempt.identity.signer.sign(&partition.signed(&state.binding));
                    consents[side].push(Consent { site: site.clone(), signature });
                }
                continue;
            }
            // The victim itself refuses to have dropped out.
            let side = usize::from(number > 0 && !survives(number));
            let (state, consent) = state.partition([&with, &without][side].clone()).unwrap();
            consents[side].push(consent);
            agreed[side].push((number, state));
        }
        for (side, agreed) in agreed.into_iter().enumerate() {
            for (number, state) in agreed {
                let others = consents[side].iter().filter(|consent| consent.site != sites[number]);
                let Ok(opening) = state.consents(&others.cloned().collect::<Vec<_>>()) else { continue };
                seeds.extend(opening.seeds.get(victim).map(|share| (number, share.0.clone())));
                keys.extend(opening.keys.get(victim).map(|share| (number, share.0.clone())));
            }
        }
        drop(federation);
        given_back(&seeds, threshold) == Some(own_seed) && given_back(&keys, threshold) == Some(own_key)
    }
}

/// Returns what shares give, if they are enough.
fn given_back(shares: &[(usize, Secret)], threshold: usize) -> Option<Secret> {
    let shares = shares.get(..threshold)?;
    let places: Vec<_> = shares.iter().map(|(holder, _)| place(*holder)).collect();
    let rows: Vec<_> = shares.iter().map(|(_, share)| crate::field::Row::of(share)).collect();
    Some(weighted_sum(weights_at_zero(&places), &rows).to_secret())
}

/// Shows the victim as a survivor to as few as a threshold of consents needs: the best that a coordinator can do.
fn best_attack(sites: usize, corrupt: usize) -> bool {
    let enough = threshold(sites).saturating_sub(corrupt);
    Attempt::among(sites).bares_the_first(corrupt, |number| number < enough)
}

#[test]
fn no_partition_by_side_of_the_victim_bares_it_among_150_and_256_sites() {
    for sites in [150, 256] {
        assert!(!best_attack(sites, colluders_max(sites, sites)), "{sites}");
    }
}

/// The control: the same attack with one site more.
#[test]
fn one_corrupt_site_more_bares_the_victim() {
    for sites in [4, 7, 150] {
        assert!(best_attack(sites, colluders_max(sites, sites) + 1), "{sites}");
    }
}

/// The other control: the graph and threshold that there were, among the same sites. Neighbourhoods are of 100 on a
/// ring, of which 68 shares give a secret back; so that the bound of all sites says nothing of one neighbourhood.
#[test]
fn a_sparse_graph_bares_somebody_with_fewer_corrupt_sites_than_are_allowed() {
    let mut random = ChaCha20Rng::from_seed([3; 32]);
    for sites in [150_usize, 256] {
        let corrupt = colluders_max(sites, sites);
        let mut ring: Vec<usize> = (0..sites).collect();
        ring.sort_by_cached_key(|_| random.next_u64());
        let (reach, least) = (50, threshold(101));
        let bared = |at: usize| {
            let holders = (0..=2 * reach).map(|step| ring[(at + sites - reach + step) % sites]);
            let on_its_side = holders.filter(|&site| site < corrupt).count();
            // Honest holders give one secret, the others both.
            ring[at] >= corrupt && 101 + on_its_side >= 2 * least
        };
        assert!((0..sites).any(bared), "{sites}");
        // And with everybody for a neighbour the same sum is short by one.
        assert!(sites + corrupt < 2 * threshold(sites));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn no_choice_of_sides_bares_the_victim(sites in 4_usize..14, sides: [bool; 14]) {
        let corrupt = colluders_max(sites, sites);
        prop_assert!(!Attempt::among(sites).bares_the_first(corrupt, |number| sides[number]));
    }
}
