//! Places for what peers take of a program: so many for all together, and of these so many for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fedtwin_certs::Identity;
use tokio::sync::Notify;

/// Places of one kind; clones share them.
#[derive(Debug, Clone)]
pub struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    all: usize,
    each: usize,
    taken: Mutex<Taken>,
    /// Told whenever a place is free again.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By whoever has any.
    each: HashMap<Identity, usize>,
}

/// Places that somebody has; dropping this gives them back.
#[derive(Debug)]
pub struct Place {
    places: Arc<Shared>,
    peer: Identity,
    count: usize,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The peer has as many as one may have.
    Each(usize),
    /// All are taken.
    All(usize),
}

impl Places {
    /// Makes `all` places, of which each peer gets `each` at most.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self(Arc::new(Shared { all, each, taken: Mutex::default(), freed: Notify::new() }))
    }

    /// Takes places.
    ///
    /// # Errors
    /// Says whether it is the peer that has too many.
    pub fn take(&self, peer: &Identity, count: usize) -> Result<Place, Full> {
        let Shared { all, each, .. } = *self.0;
        let mut taken = self.0.taken();
        let own = taken.each.get(peer).copied().unwrap_or_default();
        if own + count > each {
            return Err(Full::Each(each));
        }
        if taken.all + count > all {
            return Err(Full::All(all));
        }
        taken.all += count;
        taken.each.insert(peer.clone(), own + count);
        Ok(Place { places: Arc::clone(&self.0), peer: peer.clone(), count })
    }

    /// Waits until there are places, and takes them; whoever wants more than one peer may have gets as many as that.
    pub async fn wait(&self, peer: &Identity, count: usize) -> Place {
        let count = count.min(self.0.each).min(self.0.all);
        loop {
            let mut freed = std::pin::pin!(self.0.freed.notified());
            // What is freed between the look and the wait is not missed.
            freed.as_mut().enable();
            if let Ok(place) = self.take(peer, count) {
                return place;
            }
            freed.await;
        }
    }
}

impl Place {
    /// Says how many places are needed from now on, when that is known; also where they are more than there are.
    pub fn resize(&mut self, count: usize) {
        let mut taken = self.places.taken();
        taken.all = taken.all - self.count + count;
        let own = taken.each.entry(self.peer.clone()).or_default();
        *own = *own - self.count + count;
        let fewer = count < self.count;
        self.count = count;
        drop(taken);
        if fewer {
            self.places.freed.notify_waiters();
        }
    }
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= self.count;
        let own = taken.each.entry(self.peer.clone()).or_default();
        *own -= self.count;
        if *own == 0 {
            taken.each.remove(&self.peer);
        }
        drop(taken);
        self.places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> Identity {
        format!("spiffe://heart/site/{name}").parse().unwrap()
    }

    #[test]
    fn one_peer_never_takes_everybodys_places() {
        let places = Places::new(3, 2);
        let (va, vb) = (peer("va"), peer("vb"));
        let first = places.take(&va, 1).unwrap();
        let _second = places.take(&va, 1).unwrap();
        assert_eq!(places.take(&va, 1).unwrap_err(), Full::Each(2));
        let _other = places.take(&vb, 1).unwrap();
        assert_eq!(places.take(&vb, 1).unwrap_err(), Full::All(3));
        drop(first);
        let _again = places.take(&vb, 1).unwrap();
        assert_eq!(places.take(&va, 2).unwrap_err(), Full::Each(2));
    }

    #[test]
    fn who_has_none_is_forgotten() {
        let places = Places::new(3, 2);
        drop(places.take(&peer("va"), 2).unwrap());
        let taken = places.0.taken();
        assert_eq!((taken.all, taken.each.len()), (0, 0));
    }

    #[tokio::test]
    async fn who_needs_less_than_expected_makes_room() {
        let places = Places::new(4, 3);
        let mut first = places.take(&peer("va"), 3).unwrap();
        let (waiting, vb) = (places.clone(), peer("vb"));
        let waiting = tokio::spawn(async move { waiting.wait(&vb, 3).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        first.resize(0);
        let second = waiting.await.unwrap();
        first.resize(5);
        assert_eq!(places.take(&peer("vc"), 1).unwrap_err(), Full::All(4), "what is there counts");
        drop((first, second));
        let taken = places.0.taken();
        assert_eq!((taken.all, taken.each.len()), (0, 0));
    }

    #[tokio::test]
    async fn who_waits_gets_what_is_freed() {
        let places = Places::new(2, 2);
        let first = places.take(&peer("va"), 2).unwrap();
        let (waiting, vb) = (places.clone(), peer("vb"));
        let waiting = tokio::spawn(async move { waiting.wait(&vb, 1000).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        assert_eq!(waiting.await.unwrap().count, 2, "all that it may have");
    }
}
