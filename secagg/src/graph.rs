//! Which sites share masks and hold each other's shares.
//!
//! All of them up to [`NEIGHBOURS_MAX`] + 1 sites; beyond, each with as many on a ring in a random order (Bell et al.
//! 2020, section 3: a Harary graph on a random permutation), so that what a site does not grow with the federation.
//! The order follows from the roster's digest, into which each site puts fresh keys. It cannot be chosen, but a server that
//! colludes with sites can try many; so neighbourhoods are large. With a third of 256 sites corrupt, a try gives a site
//! 68 or more corrupt neighbours of 100, which its secrets take, with a probability of 3e-20 (hypergeometric).

use std::collections::BTreeMap;

use fedtwin_plan::{Digest, SiteName};

use crate::context::threshold;

/// The neighbours of a site in a large federation: an even number, and with the site itself within the shares' field.
pub const NEIGHBOURS_MAX: usize = 100;

/// The sites of a roster, on a ring.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    ring: Vec<SiteName>,
    places: BTreeMap<SiteName, usize>,
}

impl Graph {
    /// Places the sites of the roster with that digest.
    pub(crate) fn new<'a>(binding: &Digest, sites: impl Iterator<Item = &'a SiteName>) -> Self {
        let order = |site: &SiteName| Digest::of(&[&binding.0, site.as_str().as_bytes()].concat());
        let mut ring: Vec<SiteName> = sites.cloned().collect();
        ring.sort_by_cached_key(order);
        let places = ring.iter().cloned().enumerate().map(|(place, site)| (site, place)).collect();
        Self { ring, places }
    }

    /// Returns a site and its neighbours in ascending order: the holders of its shares. Nobody for a site that is not
    /// in the roster.
    pub(crate) fn neighbourhood(&self, site: &SiteName) -> Vec<SiteName> {
        let Some(&place) = self.places.get(site) else { return Vec::new() };
        let sites = self.ring.len();
        let reach = NEIGHBOURS_MAX.min(sites - 1);
        // From as many places before as behind; on a small ring that is everybody once.
        let mut found: Vec<SiteName> =
            (0..=reach).map(|step| self.ring[(place + sites - reach / 2 + step) % sites].clone()).collect();
        found.sort_unstable();
        found
    }

    /// Returns the shares that give a site's secrets back.
    pub(crate) fn threshold(&self) -> usize {
        threshold(self.ring.len().min(NEIGHBOURS_MAX + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(sites: usize) -> (Graph, Vec<SiteName>) {
        let names: Vec<SiteName> = (0..sites).map(|site| format!("s{site}").parse().unwrap()).collect();
        (Graph::new(&Digest::of(b"roster"), names.iter()), names)
    }

    #[test]
    fn few_sites_are_all_neighbours() {
        for sites in [1, 2, 3, 4, 50, 101] {
            let (graph, mut names) = graph(sites);
            names.sort_unstable();
            assert!(names.iter().all(|site| graph.neighbourhood(site) == names), "{sites}");
            assert_eq!(graph.threshold(), threshold(sites));
        }
    }

    #[test]
    fn many_sites_have_as_many_neighbours_each_and_mutually() {
        for sites in [102, 103, 256] {
            let (graph, names) = graph(sites);
            for site in &names {
                let neighbours = graph.neighbourhood(site);
                assert_eq!(neighbours.len(), NEIGHBOURS_MAX + 1);
                assert!(neighbours.windows(2).all(|pair| pair[0] < pair[1]));
                assert!(neighbours.contains(site));
                assert!(neighbours.iter().all(|other| graph.neighbourhood(other).contains(site)));
            }
        }
    }

    #[test]
    fn the_order_follows_from_the_roster() {
        let (one, names) = graph(256);
        let other = Graph::new(&Digest::of(b"another roster"), names.iter());
        assert_ne!(one.neighbourhood(&names[0]), other.neighbourhood(&names[0]));
        assert!(one.neighbourhood(&"stranger".parse().unwrap()).is_empty());
    }
}
