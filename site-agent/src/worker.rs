//! The thread that owns a study's trainer: it loads the cohort, then computes one thing after another.

use std::future::Future;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use fedtwin_trainer::{NewTrainer, Stopper, Trainer, TrainerError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::checked::{self, Expected};
use crate::session::Accepted;

/// Something to do with the trainer, or with the reason why there is none.
type Job = Box<dyn FnOnce(Result<&mut dyn Trainer, TrainerError>) + Send>;

/// A trainer on a thread of its own; dropping it ends the trainer, whatever it is doing.
pub(crate) struct Worker {
    jobs: SyncSender<Job>,
    stopper: Arc<Mutex<Stopping>>,
}

/// What was started, and whether it is still wanted.
#[derive(Default)]
struct Stopping {
    trainer: Stopper,
    stopped: bool,
}

impl Worker {
    /// Starts a trainer once it has its place, which it keeps until it has ended; it begins to load the cohort.
    pub(crate) fn start<P: Send + 'static>(
        place: impl Future<Output = P> + Send + 'static,
        new_trainer: NewTrainer,
        plan: String,
        accepted: &Accepted,
    ) -> Self {
        let (jobs, queue) = sync_channel(JOBS_QUEUED);
        let stopper = Arc::default();
        let (shared, cohort_file) = (Arc::clone(&stopper), accepted.cohort_file.clone());
        let checked = accepted.checked.clone();
        tokio::spawn(async move {
            let _place = place.await;
            let working = move || work(&new_trainer, (&plan, &cohort_file, &checked), &shared, &queue);
            // A panic is seen by whoever asked for something.
            let _panicked = tokio::task::spawn_blocking(working).await;
        });
        Self { jobs, stopper }
    }

    /// Has the trainer do something once it is ready, or be told that there is none; returns when that was done, and
    /// with what result. There is none if the trainer's thread panics, or has more to do than it should.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(Result<&mut dyn Trainer, TrainerError>) -> T + Send + 'static,
    ) -> oneshot::Receiver<(Instant, T)> {
        let (reply, answer) = oneshot::channel();
        // A full queue drops the job, and with it the reply.
        let _full = self.jobs.try_send(Box::new(move |trainer| {
            let result = job(trainer);
            let _nobody_waits = reply.send((Instant::now(), result));
        }));
        answer
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut stopping = locked(&self.stopper);
        stopping.stopped = true;
        stopping.trainer.stop();
    }
}

fn work(
    new_trainer: &NewTrainer,
    (plan, cohort_file, checked): (&str, &Path, &Expected),
    stopper: &Mutex<Stopping>,
    queue: &Receiver<Job>,
) {
    if locked(stopper).stopped {
        return;
    }
    let mut loaded = new_trainer().and_then(|mut trainer| {
        let mut stopping = locked(stopper);
        stopping.trainer = trainer.stopper();
        if stopping.stopped {
            stopping.trainer.stop();
        }
        drop(stopping);
        checked::load(trainer.as_mut(), (plan, cohort_file), checked)?;
        Ok(trainer)
    });
    if let Err(error) = &loaded {
        let error = fedtwin_daemon::program::describe(error);
        tracing::error!(%error, "the trainer cannot load the cohort");
    }
    for job in queue {
        match &mut loaded {
            Ok(trainer) => job(Ok(trainer.as_mut())),
            Err(error) => job(Err(TrainerError::Failed(error.to_string()))),
        }
    }
}

fn locked(stopper: &Mutex<Stopping>) -> std::sync::MutexGuard<'_, Stopping> {
    stopper.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An attempt's work is one; models that are scored slower than they are trained may be a few, each in memory.
const JOBS_QUEUED: usize = 8;
