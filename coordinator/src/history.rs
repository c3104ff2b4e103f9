//! A study's events, as many as fit: its beginning, the latest, and always its end.

use std::collections::VecDeque;
use std::sync::Arc;

use fedtwin_plan::{SiteName, Timestamp};
use fedtwin_proto::domain::{Event, StudyEvent, StudyOutcome};

/// Events in order, each with its number; those in the middle go first.
#[derive(Debug, Default)]
pub struct History {
    first: Vec<Arc<StudyEvent>>,
    first_bytes: usize,
    latest: VecDeque<Arc<StudyEvent>>,
    latest_bytes: usize,
    published: u64,
}

impl History {
    /// Numbers an event and keeps it, in the place of earlier ones where there is no room.
    pub fn push(&mut self, time: Timestamp, event: Event) {
        let bytes = bytes(&event);
        let event = Arc::new(StudyEvent { number: self.published, time, event });
        self.published += 1;
        if self.latest.is_empty() && self.first_bytes + bytes <= PART_BYTES_MAX {
            self.first_bytes += bytes;
            self.first.push(event);
        } else {
            self.latest_bytes += bytes;
            self.latest.push_back(event);
            self.trim(PART_BYTES_MAX);
        }
    }

    /// Keeps less of a study that is over.
    pub fn end(&mut self) {
        if self.first_bytes + self.latest_bytes > ENDED_BYTES_MAX {
            self.latest.extend(self.first.drain(..));
            self.latest.make_contiguous().sort_by_key(|event| event.number);
            self.latest_bytes += std::mem::take(&mut self.first_bytes);
            self.trim(ENDED_BYTES_MAX);
            self.latest.shrink_to_fit();
        }
        self.first.shrink_to_fit();
    }

    /// Returns the first event, of those that are kept, with this number or a later one; a gap in the numbers
    /// says how many are not.
    #[must_use]
    pub fn from(&self, number: u64) -> Option<&Arc<StudyEvent>> {
        let earlier = |event: &Arc<StudyEvent>| event.number < number;
        let first = self.first.get(self.first.partition_point(earlier));
        first.or_else(|| self.latest.get(self.latest.partition_point(earlier)))
    }

    /// The latest stays, however large.
    fn trim(&mut self, most: usize) {
        while self.latest_bytes > most && self.latest.len() > 1 {
            let oldest = self.latest.pop_front().expect("there is more than one");
            self.latest_bytes -= bytes(&oldest.event);
        }
    }
}

/// Returns about what an event takes in memory.
fn bytes(event: &Event) -> usize {
    let names =
        |sites: &[SiteName]| sites.iter().map(|site| size_of::<SiteName>() + site.as_str().len()).sum();
    let held: usize = match event {
        Event::SiteAnswered { refused, .. } => refused.as_ref().map_or(0, String::len),
        Event::SiteFailed { reason, .. } | Event::AttemptFailed { reason } => reason.len(),
        Event::AttemptStarted { sites, .. } => names(sites),
        Event::AttemptClosed { included, missing, .. } => names(included) + names(missing),
        Event::MetricsReleased(released) => names(&released.sites) + 8 * released.counts.len(),
        Event::StudyClosed(closed) => match &closed.outcome {
            StudyOutcome::Finished { .. } => 0,
            StudyOutcome::Failed { reason } => reason.len(),
        },
        Event::UpdateReceived { .. } => 0,
    };
    size_of::<StudyEvent>() + EVENT_BYTES + held
}

/// A pointer, its counters, and a site's name.
const EVENT_BYTES: usize = 80;
/// Each of the two parts of an open study's history: ten thousand events and more, thousands of rounds.
const PART_BYTES_MAX: usize = 2 << 20;
/// What is kept of a study that is over.
const ENDED_BYTES_MAX: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use fedtwin_proto::domain::StudyClosed;

    use super::*;

    fn failed(number: usize) -> Event {
        let reason = format!("{number} {}", "x".repeat(number % 2000));
        Event::SiteFailed { site: "va".parse().unwrap(), reason }
    }

    fn closed() -> Event {
        let outcome = StudyOutcome::Failed { reason: "over".to_owned() };
        Event::StudyClosed(StudyClosed { study: "s".parse().unwrap(), outcome })
    }

    fn events(history: &History) -> Vec<Arc<StudyEvent>> {
        let next = |event: &Arc<StudyEvent>| history.from(event.number + 1).cloned();
        std::iter::successors(history.from(0).cloned(), next).collect()
    }

    fn numbers(history: &History) -> Vec<u64> {
        events(history).iter().map(|event| event.number).collect()
    }

    #[test]
    fn a_short_history_is_whole() {
        let mut history = History::default();
        (0..1000).for_each(|number| history.push(Timestamp(1), failed(number % 10)));
        history.push(Timestamp(2), closed());
        assert_eq!(numbers(&history), (0..=1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_long_history_keeps_its_beginning_and_its_end_in_bounded_memory() {
        let mut history = History::default();
        for number in 0..100_000 {
            history.push(Timestamp(1), failed(number));
            assert!(history.first_bytes + history.latest_bytes <= 2 * PART_BYTES_MAX);
        }
        history.push(Timestamp(2), closed());
        let kept = numbers(&history);
        assert_eq!((kept[0], *kept.last().unwrap()), (0, 100_000));
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "in order");
        assert_eq!(kept.windows(2).filter(|pair| pair[0] + 1 < pair[1]).count(), 1, "one gap, which shows");
        history.end();
        let kept = numbers(&history);
        assert!(history.latest_bytes <= ENDED_BYTES_MAX && history.first.is_empty());
        assert_eq!((*kept.last().unwrap(), kept.len() as u64), (100_000, 100_001 - kept[0]));
        assert!(matches!(events(&history).last().unwrap().event, Event::StudyClosed(_)));
    }

    #[test]
    fn one_event_larger_than_all_room_is_kept_while_it_is_the_latest() {
        let mut history = History::default();
        let sites =
            (0..60_000).map(|i| format!("a-site-with-a-rather-long-name-{i}").parse().unwrap()).collect();
        history.push(Timestamp(1), Event::AttemptStarted { round: 1, attempt: 1, sites });
        assert_eq!(numbers(&history), [0]);
        history.push(Timestamp(2), closed());
        assert_eq!(numbers(&history), [1]);
    }
}
