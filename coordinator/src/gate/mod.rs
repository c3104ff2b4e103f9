//! What every call passes before anything of its body is read: the caller's role, a place, a size and a time.
//!
//! HTTP's headers and the certificate say all that is needed. A message is then read whole, up to what its call may
//! need, into places that are counted in bytes; streams of messages go to their services one by one.

mod terms;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fedtwin_certs::Identity;
use fedtwin_daemon::clock;
use fedtwin_daemon::transport::{self, Peer, Place, Places, holding};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::service::Routes;
use tower::ServiceExt;

use self::terms::{Kept, Message, Terms};
use crate::access::Call;
use crate::policy::Policy;
use crate::services::ServiceContext;

/// The gate before all services.
pub struct Gate {
    context: ServiceContext,
    /// Places in memory for messages, in bytes.
    messages: Places,
    updates: Places,
    models: Places,
    downloads: Places,
    followers: Places,
    notices: Places,
}

/// Who has passed the gate, and for which call; services find it in a request's extensions.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// Who calls.
    pub caller: Identity,
    /// What is called.
    pub call: Call,
}

/// The room of a call's message in memory; whoever goes on with it where the call was given up keeps this.
#[derive(Debug, Clone)]
pub struct Room(Arc<Mutex<Place>>);

impl Room {
    fn resize(&self, bytes: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).resize(bytes);
    }
}

impl Gate {
    /// Makes the gate, with places for so many files under way.
    #[must_use]
    pub fn new(context: ServiceContext, files: usize) -> Self {
        let Policy {
            uploads_per_peer_max,
            downloads_per_peer_max,
            followers_per_peer_max,
            given_models_max,
            ..
        } = context.policy;
        let places = |all, each: u32| Places::new(all, each as usize);
        Self {
            context,
            messages: Places::new(MESSAGES_BYTES_MAX, MESSAGES_BYTES_PER_PEER_MAX),
            updates: places(files / 2, uploads_per_peer_max),
            models: places(MODELS_MAX, given_models_max),
            downloads: places(files / 2, downloads_per_peer_max),
            followers: places(FOLLOWERS_MAX, followers_per_peer_max),
            notices: places(FOLLOWERS_MAX, NOTICES_PER_PEER_MAX),
        }
    }

    /// Lets a request through to its service, or answers it.
    ///
    /// # Errors
    /// Never: a refusal is an answer.
    pub async fn pass(
        self: Arc<Self>,
        request: Request<Body>,
        routes: Routes,
    ) -> Result<Response<Body>, Infallible> {
        Ok(self.answer(request, routes).await.unwrap_or_else(Status::into_http))
    }

    async fn answer(&self, request: Request<Body>, routes: Routes) -> Result<Response<Body>, Status> {
        let call = Call::of_path(request.uri().path())
            .ok_or_else(|| Status::unimplemented("this coordinator has no such call"))?;
        let (mut parts, body) = request.into_parts();
        let peer = parts.extensions.get::<Peer>().cloned();
        let caller = self.admit(peer.as_ref(), call)?;
        parts.extensions.insert(Admitted { caller: caller.clone(), call });
        let Terms { message, kept } = Terms::of(call);
        let kept = self.keep(kept, &caller).await?;
        let Some(Message { bytes, time }) = message else {
            let Ok(response) = routes.oneshot(Request::from_parts(parts, body)).await;
            return Ok(response.map(|body| holding(body, kept)));
        };
        let room = place(&self.messages, &caller, bytes, "bytes of messages").await?;
        let room = Room(Arc::new(Mutex::new(room)));
        let message = read(body, bytes).await?;
        room.resize(message.len());
        parts.extensions.insert(room.clone());
        let body = Body::new(Full::new(message));
        let answered = timeout(time, routes.oneshot(Request::from_parts(parts, body))).await;
        let Ok(response) = answered.map_err(|_elapsed| {
            tracing::warn!(%caller, ?call, "a call took too long");
            Status::deadline_exceeded(format!("the coordinator did not answer within {} s", time.as_secs()))
        })?;
        match kept {
            Some(kept) => Ok(response.map(|body| holding(body, kept))),
            None => whole(response, room, peer).await,
        }
    }

    /// Returns who calls, if the certificate's role may call this and has not expired meanwhile.
    fn admit(&self, peer: Option<&Peer>, call: Call) -> Result<Identity, Status> {
        let peer = peer.ok_or_else(|| Status::unauthenticated("no client certificate"))?;
        if clock::now() >= peer.expires {
            return Err(Status::unauthenticated(
                "the client's certificate has expired: renew it and connect again",
            ));
        }
        let identity = &peer.identity;
        let roles = call.roles();
        if roles.contains(&identity.role) {
            return Ok(identity.clone());
        }
        let roles = roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
        tracing::warn!(%identity, expected = %roles, "a call was refused for its role");
        let reason = format!("{identity} may not call this: it takes a {roles}");
        self.context.note(identity, &reason);
        Err(Status::permission_denied(reason))
    }

    /// Takes a place for what a call keeps while it lasts.
    async fn keep(&self, kept: Kept, caller: &Identity) -> Result<Option<Place>, Status> {
        let (places, what) = match kept {
            Kept::Nothing => return Ok(None),
            Kept::Update => (&self.updates, "updates on their way in"),
            Kept::Model => (&self.models, "models on their way in"),
            Kept::Download => (&self.downloads, "files on their way out"),
            Kept::Follower => (&self.followers, "followers of studies"),
            Kept::Notices => (&self.notices, "streams of notices"),
        };
        place(places, caller, 1, what).await.map(Some)
    }
}

/// Waits a while for a place: whoever comes while many do is not lost.
async fn place(places: &Places, caller: &Identity, count: usize, what: &str) -> Result<Place, Status> {
    if let Ok(place) = timeout(WAIT_MAX, places.wait(caller, count)).await {
        return Ok(place);
    }
    places.take(caller, count).map_err(|full| {
        let busy = match full {
            transport::Full::Each(each) => {
                format!("{caller} has as many {what} as one may have ({each}); try again later")
            }
            transport::Full::All(all) => format!("there are {all} {what}; try again later"),
        };
        tracing::warn!(%busy, "a call found no place");
        Status::unavailable(busy)
    })
}

/// Reads a message whole.
async fn read(body: Body, most: usize) -> Result<Bytes, Status> {
    let message = timeout(READ_TIME_MAX, Limited::new(body, most + PREFIX_BYTES).collect()).await;
    let message = message.map_err(|_elapsed| {
        Status::deadline_exceeded(format!("the message did not arrive within {} s", READ_TIME_MAX.as_secs()))
    })?;
    let message = message.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Status::out_of_range(format!("the message has more than {most} bytes"))
        } else {
            Status::cancelled("the message was broken off")
        }
    })?;
    Ok(message.to_bytes())
}

/// Puts an answer that is no stream together: it has room in memory, of its own size, until it is read, and a time for that.
async fn whole(response: Response<Body>, room: Room, peer: Option<Peer>) -> Result<Response<Body>, Status> {
    let (parts, body) = response.into_parts();
    let trailers = body.collect().await?;
    let headers = trailers.trailers().cloned();
    let bytes = trailers.to_bytes();
    room.resize(bytes.len());
    let answered = peer.map(|peer| peer.answered());
    let body = Full::new(bytes).with_trailers(async move { headers.map(Ok) });
    Ok(Response::from_parts(parts, holding(Body::new(body), (room, answered))))
}

/// What gRPC puts before a message: a flag and the length.
const PREFIX_BYTES: usize = 5;
/// The largest message over a line of 40 kB/s.
const READ_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a call waits for a place; its client then tries again.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Messages in memory, and answers to them that are not read yet.
const MESSAGES_BYTES_MAX: usize = 64 << 20;
/// Three of the largest messages.
const MESSAGES_BYTES_PER_PEER_MAX: usize = 4 << 20;
/// Initial models under way: each is one chunk in memory and at most one model on disk.
const MODELS_MAX: usize = 16;
/// Followers of studies, and streams of notices: of the order of connections.
const FOLLOWERS_MAX: usize = 4096;
/// An agent has one, and another after its line broke.
const NOTICES_PER_PEER_MAX: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_nobody_reads_has_room_of_its_own_size_alone() {
        let (places, caller) = (Places::new(100, 100), "spiffe://heart/site/va".parse().unwrap());
        let room = || Room(Arc::new(Mutex::new(places.take(&caller, 90).unwrap())));
        let first = room();
        assert!(places.take(&caller, 90).is_err());
        let body = Full::new(Bytes::from_static(b"0123456789")).with_trailers(async { None });
        let answer = whole(Response::new(Body::new(body)), first, None).await.unwrap();
        let second = room();
        assert!(places.take(&caller, 1).is_err());
        drop(answer);
        assert!(places.take(&caller, 11).is_err() && places.take(&caller, 10).is_ok());
        // Whoever goes on with a call that was given up keeps its room.
        let (going_on, given_up) = (second.clone(), second);
        drop(given_up);
        assert!(places.take(&caller, 90).is_err());
        drop(going_on);
        assert!(places.take(&caller, 100).is_ok());
    }
}
