//! Work on threads of its own: what fails there fails alone, and what may be lost keeps no coordinator from stopping.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::sync::oneshot;

/// Does something that may have a fault, which ends nothing else: the driver owns all studies.
///
/// What the work was about may be in a panic's payload, so that only its name is logged.
pub(super) fn caught<T>(what: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    // Work shares nothing with the rest but files, which outlive a crash as well.
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    if done.is_none() {
        tracing::error!(what, "a fault of the coordinator ended work on a thread of its own");
    }
    done
}

/// Does such work on a thread that ends with the process, wherever it is: it must write nothing.
///
/// The runtime's own threads for blocking work are waited for when the process ends, however long that takes.
pub(super) async fn abandonable<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    let work = move || {
        let _stopped = caught(what, work).map(|done| reply.send(done));
    };
    if let Err(error) = thread::Builder::new().name(what.to_owned()).spawn(work) {
        tracing::error!(what, %error, "there is no thread for it");
    }
    answer.await.ok()
}
