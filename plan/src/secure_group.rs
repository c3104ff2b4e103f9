//! How many sites have to agree under secure aggregation, and how many may side with a coordinator that lies.
//!
//! Everybody holds shares of everybody, of which a threshold gives a secret back; docs/PROTOCOL.md has the proofs.

/// The most sites of a plan with secure aggregation: each has messages for each other, so that what the coordinator moves
/// and holds grows with their square, some 100 MB of it at 1,000.
pub const SITES_MAX: u32 = 1_000;

/// Returns how many of `sites` must agree: more than two thirds.
///
/// Two sets of so many share more than a third of all. With at most a third of the sites on its side, a server
/// cannot get honest majorities for two different splits. (Bonawitz et al. 2017, theorem 6.5.)
#[must_use]
pub const fn threshold(sites: usize) -> usize {
    2 * sites / 3 + 1
}

/// Returns the most sites that may side with a lying coordinator where rosters have `least..=most` sites, whichever it
/// shows.
///
/// Every honest site opens one secret of each site, those on its side both: with 2 t - n of them on its side, a
/// coordinator that shows two splits gets a threshold t of both from the n sites of a roster.
#[must_use]
pub fn colluders_max(least: usize, most: usize) -> usize {
    (least.max(1)..=most).map(|sites| 2 * threshold(sites) - sites - 1).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_two_thirds_agree() {
        let thresholds: Vec<_> = (1..=9).map(threshold).collect();
        assert_eq!(thresholds, [1, 2, 3, 3, 4, 5, 5, 6, 7]);
    }

    #[test]
    fn the_smallest_margin_of_all_rosters_counts() {
        let margins: Vec<_> = (3..=9).map(|sites| colluders_max(sites, sites)).collect();
        assert_eq!(margins, [2, 1, 2, 3, 2, 3, 4]);
        assert_eq!(colluders_max(3, 4), 1, "a roster of 3 stands 2, one of 4 only 1");
        assert_eq!(colluders_max(5, 6), 2);
        assert_eq!(colluders_max(180, 256), 60);
        assert_eq!(colluders_max(667, 1000), 222);
    }

    #[test]
    fn a_third_of_the_sites_is_about_what_is_stood() {
        assert!((3..=1000).all(|sites| colluders_max(sites, sites) >= sites / 3));
        assert!((3..=1000).all(|sites| colluders_max(sites, sites) <= sites / 3 + 1));
    }
}
