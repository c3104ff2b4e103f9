//! Stopping on request: SIGINT (Ctrl-C) and SIGTERM.

use std::io;

use tokio::signal::unix::{SignalKind, signal as listen};
use tokio_util::sync::CancellationToken;

/// Waits for the first SIGINT or SIGTERM.
///
/// # Errors
/// Fails if the system lets no handler be installed.
pub async fn signal() -> io::Result<()> {
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => tracing::info!("stopping on SIGINT"),
        _ = terminate.recv() => tracing::info!("stopping on SIGTERM"),
    }
    Ok(())
}

/// Cancels the token when standard input closes: whoever started this program is gone.
pub fn stop_with_parent(token: &CancellationToken) {
    let cancel = token.clone();
    // Not joined: the thread waits for an end of input that may never come, and ends with the program.
    std::thread::spawn(move || {
        let nothing = io::copy(&mut io::stdin().lock(), &mut io::sink());
        tracing::info!(?nothing, "stopping: the parent process is gone");
        cancel.cancel();
    });
}

/// Returns a token that the first SIGINT or SIGTERM cancels; must be called within a tokio runtime.
#[must_use]
pub fn token() -> CancellationToken {
    let token = CancellationToken::new();
    let cancel = token.clone();
    // Not joined: it waits for a signal that may never come, and the runtime drops it at the program's end.
    tokio::spawn(async move {
        if let Err(error) = signal().await {
            tracing::error!(%error, "no signal handler: this program stops only when killed");
            return;
        }
        cancel.cancel();
    });
    token
}
