//! Collecting the sites' noised counts of one model's scores.
//!
//! Who sends what: each member that is connected is asked once, and again when it comes back; it answers with
//! its counts, or says that it has none. The measurement is over when nobody is awaited or at its
//! deadline. What is published is the sum over the sites that answered.

use std::collections::{BTreeMap, BTreeSet};

use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, SiteName, Timestamp};
use fedtwin_proto::domain::{AttemptKey, Invitation, Notice};

use super::Models;
use crate::study_error::{Misbehaviour, StudyError};

/// A measurement that is open.
#[derive(Debug)]
pub(super) struct Measurement {
    /// The attempt that made the model.
    pub(super) key: AttemptKey,
    pub(super) models: Models,
    pub(super) deadline: Timestamp,
    cells: usize,
    pending: BTreeSet<SiteName>,
    declined: BTreeSet<SiteName>,
    received: BTreeMap<SiteName, Vec<i64>>,
}

impl Measurement {
    pub(super) fn new(key: AttemptKey, models: Models, cells: usize, deadline: Timestamp) -> Self {
        let (pending, declined, received) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { key, models, deadline, cells, pending, declined, received }
    }

    /// Awaits a member's counts.
    pub(super) fn expect(&mut self, site: SiteName) {
        self.pending.insert(site);
    }

    /// Asks a member that is connected for its counts, unless they are there; `clip` is the plan's, which
    /// does not matter to counts.
    pub(super) fn ask(&mut self, site: SiteName, clip: Positive, now: Timestamp) -> Option<Notice> {
        if self.received.contains_key(&site) {
            return None;
        }
        self.pending.insert(site);
        let closes_in = self.deadline.since(now);
        let (key, model) = (self.key.clone(), self.model());
        let invitation = Invitation { key, model, closes_in, clip, members: BTreeSet::new() };
        Some(Notice::Measurement(invitation))
    }

    /// What is measured: the average, where this is the last round of a study that has one.
    fn model(&self) -> Digest {
        self.models.average.unwrap_or(self.models.global)
    }

    /// Takes a site's counts; the same ones again are fine, as their acknowledgement may have been lost.
    pub(super) fn take(&mut self, site: SiteName, counts: Vec<i64>) -> Result<(), StudyError> {
        if counts.len() != self.cells {
            return Err(Misbehaviour::Counts { found: counts.len(), expected: self.cells }.into());
        }
        if self.pending.remove(&site) {
            self.received.insert(site, counts);
            return Ok(());
        }
        match self.received.get(&site) {
            Some(first) if *first == counts => Ok(()),
            Some(_) => Err(Misbehaviour::OtherCounts.into()),
            None => Err(Misbehaviour::NotAskedForMetrics.into()),
        }
    }

    /// Awaits a site no longer, until it is asked again; says whether it is the first time.
    pub(super) fn decline(&mut self, site: &SiteName) -> bool {
        self.pending.remove(site) && self.declined.insert(site.clone())
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.pending.is_empty() || now >= self.deadline
    }

    /// Returns the sites that answered and the sums of their counts, modulo 2^64; nothing without answers.
    pub(super) fn total(self) -> Option<(Vec<SiteName>, Vec<i64>)> {
        let mut sums = vec![0_i64; self.cells];
        for counts in self.received.values() {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum = sum.wrapping_add(*count);
            }
        }
        let sites: Vec<_> = self.received.into_keys().collect();
        (!sites.is_empty()).then_some((sites, sums))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);
    const DEADLINE: Timestamp = Timestamp(61_000);

    fn site(name: &str) -> SiteName {
        name.parse().unwrap()
    }

    fn clip() -> Positive {
        1.0.try_into().unwrap()
    }

    fn measurement(sites: &[&str]) -> Measurement {
        let key = AttemptKey { study: "s".parse().unwrap(), round: 2, attempt: 3 };
        let mut measurement = Measurement::new(key, Digest::of(b"model").into(), 2, DEADLINE);
        for name in sites {
            assert!(measurement.ask(site(name), clip(), NOW).is_some());
        }
        measurement
    }

    #[test]
    fn it_is_over_when_everybody_answered_or_time_is_up() {
        let mut open = measurement(&["a", "b", "c"]);
        assert_eq!(open.take(site("a"), vec![5, -7]), Ok(()));
        assert!(open.decline(&site("b")) && !open.decline(&site("b")));
        assert!(!open.is_over(NOW) && open.is_over(DEADLINE));
        assert_eq!(open.take(site("c"), vec![i64::MAX, 10]), Ok(()));
        assert!(open.is_over(NOW));
        // Sums are modulo 2^64, as the counts are.
        assert_eq!(open.total(), Some((vec![site("a"), site("c")], vec![i64::MIN + 4, 3])));
        assert_eq!(measurement(&["a"]).total(), None);
    }

    #[test]
    fn a_site_that_comes_back_and_declines_again_is_told_of_once() {
        let mut open = measurement(&["a", "b"]);
        assert!(open.decline(&site("a")));
        for _again in 0..3 {
            assert!(open.ask(site("a"), clip(), NOW).is_some());
            assert!(!open.decline(&site("a")));
        }
        assert_eq!(open.take(site("b"), vec![1, 2]), Ok(()));
        assert!(open.is_over(NOW), "it is awaited no longer");
    }

    #[test]
    fn counts_are_taken_once_and_of_those_who_were_asked() {
        let mut open = measurement(&["a"]);
        assert_eq!(open.take(site("a"), vec![1]), Err(Misbehaviour::Counts { found: 1, expected: 2 }.into()));
        assert_eq!(open.take(site("a"), vec![1, 2]), Ok(()));
        assert_eq!(open.take(site("a"), vec![1, 2]), Ok(()), "the acknowledgement was lost");
        assert_eq!(open.take(site("a"), vec![1, 3]), Err(Misbehaviour::OtherCounts.into()));
        assert_eq!(open.take(site("b"), vec![1, 2]), Err(Misbehaviour::NotAskedForMetrics.into()));
        assert!(open.ask(site("a"), clip(), NOW).is_none(), "its counts are there");
        assert_eq!(open.total(), Some((vec![site("a")], vec![1, 2])));
    }
}
