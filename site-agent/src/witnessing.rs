//! Exchanges of checkpoints with the coordinator: this site's own, and the other sites'.

use fedtwin_daemon::{clock, program};
use fedtwin_proto::domain::LedgerEntries;

use crate::agent::Shared;
use crate::client::{CallError, Client};
use crate::session::{KeptError, NotWhole};

/// Why the ledger is not witnessed.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The coordinator could not be asked, or refuses.
    #[error(transparent)]
    Call(#[from] CallError),
    /// This site's ledger cannot be relied on.
    #[error(transparent)]
    NotWhole(#[from] NotWhole),
    /// This site's disk.
    #[error("the ledger cannot be read for its mirror")]
    Storage(#[from] std::io::Error),
    /// What was acknowledged cannot be kept.
    #[error(transparent)]
    Kept(#[from] KeptError),
}

/// Asks what others remember of this site's ledger, compares, and sends what the mirror lacks together with
/// a checkpoint. When it returns, the coordinator holds all that this ledger had when it was called, and this site
/// remembers that it does.
///
/// # Errors
/// Refuses to go on with a ledger that was rolled back, and with a coordinator that forgets.
pub async fn mirror(shared: &Shared, client: &mut Client) -> Result<(), WitnessError> {
    // Another study's task may have more acknowledged while this one is being answered.
    let acknowledged = shared.session().acknowledged();
    let mut held = client.mirror(LedgerEntries::default()).await?;
    shared.session().recollected(&held, acknowledged)?;
    loop {
        let missing = tokio::task::block_in_place(|| shared.session().entries_from(held.entries))?;
        let lines = missing.entries.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let (last, sent) = (missing.checkpoint.clone(), missing.first + lines);
        held = client.mirror(missing).await?;
        // Every answer may say what others remember, and only what is held is acknowledged.
        shared.session().recollected(&held, acknowledged)?;
        let more = lines > 0 || last.is_some();
        if held.entries < sent || !more {
            let message = format!("its mirror was sent {sent} entries and holds {}", held.entries);
            return Err(CallError::Misbehaved(message).into());
        }
        if let Some(note) = last {
            return Ok(tokio::task::block_in_place(|| shared.session().acknowledge(&note))?);
        }
    }
}

/// Tells what this site remembers of the others' ledgers, and remembers what became of them. What does not
/// fit is for a person to look at, and does not stop this site.
///
/// # Errors
/// Returns the coordinator's refusal or a failed connection.
pub async fn witness(shared: &Shared, client: &mut Client) -> Result<(), CallError> {
    let _one_at_a_time = shared.witnessing.lock().await;
    let sightings = shared.session().others().sightings();
    let growths = client.witness(sightings).await?;
    if growths.is_empty() {
        return Ok(());
    }
    let cosigned = tokio::task::block_in_place(|| {
        let mut session = shared.session();
        for growth in &growths {
            if let Err(conflict) = session.others_mut().take(growth, clock::now()) {
                tracing::error!(conflict = %program::describe(&conflict), "another site's ledger is not what it was");
            }
        }
        session.others().sightings()
    });
    // The cosignatures; what grew meanwhile is for the next time.
    client.witness(cosigned).await?;
    Ok(())
}
