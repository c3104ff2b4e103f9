//! A study's events as its followers read them: one copy for all, and a number for each follower.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fedtwin_plan::Timestamp;
use fedtwin_proto::domain::{Event, StudyEvent};
use tokio::sync::watch;

use crate::history::History;

/// The events of an open study; dropping it ends its followers once they have read all.
#[derive(Debug)]
pub struct Feed {
    history: Shared,
    /// Tells that there is something new.
    news: watch::Sender<()>,
}

/// The events of a study that is over, as far as they are kept.
#[derive(Debug)]
pub struct EndedFeed(Shared);

/// Somebody's place in a study's events.
///
/// One that is slow takes no memory; it misses what is no longer kept, and sees it by the numbers.
#[derive(Debug)]
pub struct Follower {
    history: Shared,
    news: watch::Receiver<()>,
    /// The number of the event to read next.
    next: u64,
}

type Shared = Arc<Mutex<History>>;

impl Default for Feed {
    fn default() -> Self {
        Self { history: Arc::default(), news: watch::Sender::new(()) }
    }
}

impl Feed {
    /// Numbers an event and keeps it.
    pub fn push(&self, time: Timestamp, event: Event) {
        locked(&self.history).push(time, event);
        self.news.send_replace(());
    }

    /// Follows from the first event.
    #[must_use]
    pub fn follow(&self) -> Follower {
        Follower { history: Arc::clone(&self.history), news: self.news.subscribe(), next: 0 }
    }

    /// Keeps less of it: the study is over.
    #[must_use]
    pub fn end(self) -> EndedFeed {
        locked(&self.history).end();
        EndedFeed(self.history)
    }
}

impl EndedFeed {
    /// Reads from the first event to the last.
    #[must_use]
    pub fn follow(&self) -> Follower {
        let (_none, news) = watch::channel(());
        Follower { history: Arc::clone(&self.0), news, next: 0 }
    }
}

impl Follower {
    /// Waits for the next event; there is none after the study's end.
    pub async fn next(&mut self) -> Option<Arc<StudyEvent>> {
        loop {
            // Seen before the look: whatever comes after the look is news.
            self.news.mark_unchanged();
            let event = locked(&self.history).from(self.next).cloned();
            if let Some(event) = event {
                self.next = event.number + 1;
                return Some(event);
            }
            self.news.changed().await.ok()?;
        }
    }
}

fn locked(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(reason: &str) -> Event {
        Event::SiteFailed { site: "va".parse().unwrap(), reason: reason.to_owned() }
    }

    async fn numbers(mut follower: Follower) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(event) = follower.next().await {
            numbers.push(event.number);
        }
        numbers
    }

    #[tokio::test]
    async fn all_followers_see_all_events_in_order_until_the_end() {
        let feed = Feed::default();
        feed.push(Timestamp(1), event("past"));
        let running = tokio::spawn(numbers(feed.follow()));
        let lazy = feed.follow();
        for number in 1..100 {
            feed.push(Timestamp(1), event("future"));
            if number % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let ended = feed.end();
        let expected: Vec<u64> = (0..100).collect();
        assert_eq!(running.await.unwrap(), expected);
        assert_eq!(numbers(lazy).await, expected);
        assert_eq!(numbers(ended.follow()).await, expected);
    }

    #[tokio::test]
    async fn followers_share_one_copy() {
        let feed = Feed::default();
        feed.push(Timestamp(1), event("once"));
        let (mut first, mut second) = (feed.follow(), feed.follow());
        let (first, second) = (first.next().await.unwrap(), second.next().await.unwrap());
        assert!(Arc::ptr_eq(&first, &second));
    }
}
