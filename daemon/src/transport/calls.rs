//! The calls on a connection, and the end of one that carries none, or whose peer does not read what it asked for.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tower::{Layer, ServiceExt};

use super::Peer;

/// Counts the calls of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
    /// When each answer that is not read yet was there, in their order.
    answers: Mutex<BTreeMap<u64, Instant>>,
}

/// A call that is under way.
struct UnderWay(Arc<Counts>);

/// An answer that is there as a whole; a connection whose peer does not read it breaks.
#[derive(Debug)]
pub struct Answered {
    counts: Arc<Counts>,
    number: u64,
}

impl Calls {
    fn begin(&self) -> UnderWay {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.0))
    }

    pub(super) fn answered(&self) -> Answered {
        let mut answers = self.0.answers();
        let number = answers.last_key_value().map_or(0, |(last, _)| last + 1);
        answers.insert(number, Instant::now());
        Answered { counts: Arc::clone(&self.0), number }
    }
}

impl Counts {
    fn answers(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.counts.answers().remove(&self.number);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// Says when a connection has carried no call for a while, and for twice as long at the latest.
#[derive(Debug)]
pub(super) struct Idle {
    calls: Calls,
    silence: Duration,
    /// The calls that had begun when the timer was set.
    seen: u64,
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    pub(super) fn new(calls: Calls, silence: Duration) -> Self {
        Self { calls, silence, seen: 0, timer: Box::pin(sleep(silence)) }
    }

    pub(super) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<&'static str> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            if self.tick() {
                return Poll::Ready("the connection carries no call");
            }
            if self.is_unread(Instant::now()) {
                return Poll::Ready("an answer is not read");
            }
            self.timer.as_mut().reset(Instant::now() + self.silence);
        }
    }

    /// Says at the end of a silence whether it was one: no call is under way, and none began since the last tick.
    fn tick(&mut self) -> bool {
        // Ended is read first: if the counts are equal then, no call is under way, whatever happens in between.
        let ended = self.calls.0.ended.load(Ordering::Relaxed);
        let begun = self.calls.0.begun.load(Ordering::Relaxed);
        let before = std::mem::replace(&mut self.seen, begun);
        begun == before && begun == ended
    }

    /// Says whether an answer has waited for a whole silence to be read.
    fn is_unread(&self, now: Instant) -> bool {
        let oldest = self.calls.0.answers().first_key_value().map(|(_, since)| *since);
        oldest.is_some_and(|since| now.duration_since(since) >= self.silence)
    }
}

/// Counts a server's calls: what a connection carries keeps it open.
#[derive(Debug, Clone, Copy)]
pub struct CountCalls;

/// A service whose calls are counted.
#[derive(Debug, Clone)]
pub struct Counted<S>(S);

impl<S> Layer<S> for CountCalls {
    type Service = Counted<S>;

    fn layer(&self, service: S) -> Counted<S> {
        Counted(service)
    }
}

impl<S> Service<http::Request<Body>> for Counted<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let under_way = request.extensions().get::<Peer>().map(|peer| peer.calls.begin());
        let service = self.0.clone();
        Box::pin(async move { Ok(service.oneshot(request).await?.map(|body| holding(body, under_way))) })
    }
}

/// Returns a body that keeps something until its last byte is taken, or nobody wants it any more.
pub fn holding(body: Body, kept: impl Send + 'static) -> Body {
    Body::new(body.map_frame(move |frame| {
        let _kept = &kept;
        frame
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_lasts_as_long_as_its_calls_and_one_silence_longer() {
        let calls = Calls::default();
        let idle = || Idle::new(calls.clone(), Duration::from_secs(1));
        assert!(idle().tick(), "no call at all");
        let mut idle = idle();
        drop(calls.begin());
        assert!(!idle.tick(), "one came and went");
        let (first, second) = (calls.begin(), calls.begin());
        drop(first);
        assert!(!idle.tick() && !idle.tick() && !idle.tick(), "one is under way");
        drop(second);
        assert!(idle.tick());
        let kept = holding(Body::new("an answer".to_owned()), calls.begin());
        assert!(!idle.tick() && !idle.tick(), "an answer is on its way");
        drop(kept);
        assert!(idle.tick());
    }

    #[tokio::test]
    async fn a_connection_breaks_when_an_answer_is_not_read_for_a_silence() {
        let calls = Calls::default();
        let silence = Duration::from_secs(1000);
        let idle = Idle::new(calls.clone(), silence);
        let later = || Instant::now() + silence;
        let (first, second) = (calls.answered(), calls.answered());
        assert!(!idle.is_unread(Instant::now()) && idle.is_unread(later()));
        drop(first);
        assert!(idle.is_unread(later()), "another waits");
        drop(second);
        assert!(!idle.is_unread(later()), "both were read");
        let kept = holding(Body::new("an answer".to_owned()), calls.answered());
        assert!(idle.is_unread(later()));
        drop(kept);
        assert!(!idle.is_unread(later()));
    }
}
