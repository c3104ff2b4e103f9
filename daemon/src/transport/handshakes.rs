//! Handshakes under way: while there are as many as there may be, the oldest makes room for the next.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// The tasks of all handshakes; dropping this ends them.
pub(super) struct Handshakes {
    most: usize,
    /// How long a handshake may take while others wait.
    patience: Duration,
    running: JoinSet<()>,
    /// In the order of their beginning.
    begun: VecDeque<(Instant, AbortHandle)>,
}

impl Handshakes {
    pub(super) fn new(most: usize) -> Self {
        Self { most, patience: CROWDED_TIME_MAX, running: JoinSet::new(), begun: VecDeque::new() }
    }

    pub(super) fn spawn(&mut self, handshake: impl Future<Output = ()> + Send + 'static) {
        let handle = self.running.spawn(handshake);
        self.begun.push_back((Instant::now(), handle));
    }

    /// Waits until there is room for one more.
    ///
    /// While others wait, a handshake that does nothing keeps its place for a short time alone, so that connections
    /// that say nothing delay nobody for longer.
    pub(super) async fn make_room(&mut self) {
        self.reap();
        while self.running.len() >= self.most {
            let (began, oldest) = self.begun.front().expect("each that runs has begun");
            tokio::select! {
                biased;
                _ = self.running.join_next() => {}
                () = sleep_until(*began + self.patience) => {
                    tracing::warn!("too many handshakes at once: the oldest is cut off");
                    oldest.abort();
                    self.running.join_next().await;
                }
            }
            self.reap();
        }
    }

    fn reap(&mut self) {
        while self.running.try_join_next().is_some() {}
        self.begun.retain(|(_, task)| !task.is_finished());
    }
}

/// Handshakes at once: each holds some 30 KiB, and 256 are done in a second on one core.
pub(super) const HANDSHAKES_MAX: usize = 256;
/// A handshake takes two round trips; what takes longer than this is not trying.
pub(super) const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Two round trips over a bad line.
const CROWDED_TIME_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn silent_ones_make_room_and_quick_ones_are_never_cut_off() {
        let patience = Duration::from_millis(50);
        let mut handshakes = Handshakes { patience, ..Handshakes::new(4) };
        for _silent in 0..4 {
            handshakes.make_room().await;
            handshakes.spawn(std::future::pending());
        }
        let began = Instant::now();
        let finished = Arc::new(AtomicUsize::new(0));
        for _quick in 0..100 {
            handshakes.make_room().await;
            let finished = Arc::clone(&finished);
            handshakes.spawn(async move {
                finished.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert!(began.elapsed() >= patience / 2, "the silent ones had their time");
        handshakes.running.join_next().await;
        while handshakes.running.try_join_next().is_some() {}
        assert_eq!(finished.load(Ordering::Relaxed), 100);
        assert!(handshakes.running.len() < 4, "at least one silent one was cut off");
    }
}
