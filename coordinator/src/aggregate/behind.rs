//! A model that is digested and written while its next values are computed.
//!
//! Both take about as long. So does the disk, which has most of the bytes before the last ones are computed.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use fedtwin_plan::Digest;

use crate::store::NewModel;

/// A model's writer on a thread of its own, a few chunks behind.
pub(super) struct Behind {
    chunks: SyncSender<Vec<u8>>,
    written: Receiver<Vec<u8>>,
    thread: JoinHandle<io::Result<NewModel>>,
}

impl Behind {
    /// Goes on with a model of which nothing or the beginning is written.
    ///
    /// # Errors
    /// Fails where there is no thread to be had.
    pub(super) fn start(model: NewModel) -> io::Result<Self> {
        let (chunks, queue) = sync_channel(CHUNKS_QUEUED);
        let (done, written) = sync_channel(CHUNKS_UNDER_WAY);
        let thread = Builder::new().name("writing a model".to_owned());
        let thread = thread.spawn(move || write(model, &queue, &done))?;
        Ok(Self { chunks, written, thread })
    }

    /// Returns a buffer for the next chunk, with anything in it.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.written.try_recv().unwrap_or_default()
    }

    /// Writes a chunk. What goes wrong is told by [`Self::commit`].
    pub(super) fn write(&self, chunk: Vec<u8>) {
        // The thread ends before its queue only with an error, which is waiting to be told.
        let _ended = self.chunks.send(chunk);
    }

    /// Waits until all is written, and puts the model in place.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub(super) fn commit(self) -> io::Result<Digest> {
        drop(self.chunks);
        self.thread.join().expect("writing does not panic")?.commit()
    }
}

fn write(mut model: NewModel, queue: &Receiver<Vec<u8>>, done: &SyncSender<Vec<u8>>) -> io::Result<NewModel> {
    let mut not_on_disk = 0;
    for chunk in queue {
        model.write_all(&chunk)?;
        not_on_disk += chunk.len();
        if not_on_disk >= SYNC_BYTES {
            model.sync()?;
            not_on_disk = 0;
        }
        // Nobody takes the last ones.
        let _dropped = done.try_send(chunk);
    }
    Ok(model)
}

/// As many as keep both threads busy where one is held up.
const CHUNKS_QUEUED: usize = 2;
/// These, the one that is written and the one that is computed.
const CHUNKS_UNDER_WAY: usize = CHUNKS_QUEUED + 2;
/// A disk of 300 MB/s takes a tenth of a second, ten times what a flush by itself takes.
const SYNC_BYTES: usize = 32 << 20;
