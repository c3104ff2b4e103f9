//! Losses that must cost nothing, or one site alone.

use std::collections::BTreeSet;

use fedtwin_tests::simulation::site;

use super::{What, World};

#[test]
fn lost_connections_and_acknowledgements_at_every_moment_cost_nothing() {
    for (after, lost) in (0..60).flat_map(|after| [(after, false), (after, true)]) {
        let mut world = World::begin(4, 1);
        for index in 0..after {
            world.happen(&What::Deliver(index % 4));
        }
        for index in 0..4 {
            world.happen(&if lost { What::Repeat(index) } else { What::Reconnect(index) });
        }
        world.settle();
        let outcome = world.outcome().unwrap();
        assert!(outcome.enough && outcome.missing.is_empty(), "after {after}: {:?}", outcome.missing);
    }
}

#[test]
fn a_site_that_restarts_in_the_middle_is_missing_and_the_others_go_on() {
    for after in [6, 10, 14, 18] {
        let mut world = World::begin(4, 1);
        for index in 0..after {
            world.happen(&What::Deliver(index % 4));
        }
        world.happen(&What::Restart(0));
        world.settle();
        let outcome = world.outcome().unwrap();
        let others_are_in = outcome.missing.is_subset(&BTreeSet::from([site(0)]));
        assert!(outcome.enough && others_are_in, "after {after}: {:?}", outcome.missing);
    }
}
