//! The site's calls to the coordinator: the thin file that names the wire.

use std::sync::Arc;
use std::time::Duration;

use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::model_file::{Decoder, ModelFileError};
use fedtwin_plan::{Architecture, Digest, StudyId};
use fedtwin_privacy::ledger::Purpose;
use fedtwin_proto::domain::{
    Answer, AttemptDeclined, AttemptKey, Growth, LedgerEntries, Malformed, MirrorState, Notice, PlanAnswer,
    SecureMessage, Sighting,
};
use fedtwin_proto::limits::{CHUNK_BYTES, MESSAGE_BYTES_MAX, RUNNING_MAX};
use fedtwin_proto::wire;
use fedtwin_proto::wire::sites_client::SitesClient;
use tokio::sync::watch;
use tokio_stream::{StreamExt, iter};
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};

use crate::reason::PublicReason;
use crate::session::door::Outgoing;

/// A call that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The coordinator says no.
    #[error("the coordinator refused: {}", .0.message())]
    Refused(Status),
    /// The connection failed; trying again may help.
    #[error("the coordinator cannot be reached")]
    Unreachable(#[source] Arc<Status>),
    /// The coordinator sent what no coordinator sends.
    #[error("the coordinator misbehaved: {0}")]
    Misbehaved(String),
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Internal => {
                Self::Unreachable(Arc::new(status))
            }
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::DataLoss
            | Code::Unauthenticated => Self::Refused(status),
        }
    }
}

impl From<Malformed> for CallError {
    fn from(malformed: Malformed) -> Self {
        Self::Misbehaved(malformed.to_string())
    }
}

/// A connection to the coordinator.
#[derive(Debug, Clone)]
pub struct Client {
    sites: SitesClient<Channel>,
    /// How long nothing may move in a call of many messages.
    silence_max: Duration,
}

impl Client {
    /// Makes a client of a channel.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let sites = SitesClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Self { sites, silence_max: SILENCE_MAX }
    }

    /// Gives a call of many messages up where nothing moves in it for so long.
    #[must_use]
    pub fn with_silence_max(self, silence_max: Duration) -> Self {
        Self { silence_max, ..self }
    }

    /// Opens the stream of notices; `agent` is this agent's number, and `running` are the studies of which it wants to know
    /// whether they are over.
    ///
    /// # Errors
    /// Returns the coordinator's refusal or a failed connection.
    pub async fn subscribe(
        &mut self,
        identity_certificate: &[u8],
        agent: [u8; 8],
        running: &[StudyId],
    ) -> Result<Notices, CallError> {
        let (identity_certificate, agent) = (identity_certificate.to_vec().into(), agent.to_vec().into());
        // Those that are closed make room for the others, which the next connection asks for.
        let running = running.iter().take(RUNNING_MAX).map(ToString::to_string).collect();
        let request = wire::SubscribeRequest { identity_certificate, agent, running };
        Ok(Notices(self.sites.subscribe(request).await?.into_inner()))
    }

    /// Accepts a plan, with the cohort's declared size, or refuses it.
    ///
    /// # Errors
    /// Returns the coordinator's refusal or a failed connection.
    pub async fn answer(
        &mut self,
        study: &StudyId,
        answer: Result<u32, &PublicReason>,
    ) -> Result<(), CallError> {
        let answer = match answer {
            Ok(patients) => Answer::Accepted { patients },
            Err(reason) => Answer::Refused { reason: reason.to_string() },
        };
        let answer = PlanAnswer { study: study.clone(), answer };
        self.sites.answer_plan(timed(wire::PlanAnswer::from(answer))).await?;
        Ok(())
    }

    /// Says that no update will come.
    ///
    /// # Errors
    /// Returns the coordinator's refusal or a failed connection.
    pub async fn decline(&mut self, key: &AttemptKey, reason: &PublicReason) -> Result<(), CallError> {
        let (study, attempt, reason) = (key.study.clone(), key.attempt, reason.to_string());
        let declined = AttemptDeclined { study, attempt, reason };
        self.sites.decline_round(timed(wire::AttemptDeclined::from(declined))).await?;
        Ok(())
    }

    /// Fetches a model, and returns its weights once its digest, shapes and values are found good.
    ///
    /// # Errors
    /// Refuses a model that is not the named one or not the plan's, or has weights that are not finite.
    pub async fn fetch_model(
        &mut self,
        model: &Digest,
        architecture: &Architecture,
    ) -> Result<Vec<f32>, CallError> {
        let request = wire::ModelRequest { model: model.0.to_vec().into() };
        let silence_max = self.silence_max;
        let mut chunks = in_time(silence_max, self.sites.fetch_model(request)).await?.into_inner();
        let misbehaved = |error: ModelFileError| CallError::Misbehaved(error.to_string());
        let mut decoder = Decoder::new(architecture);
        let mut digest = RunningDigest::new();
        while let Some(chunk) = in_time(silence_max, chunks.message()).await? {
            digest.update(&chunk.data);
            decoder.push(&chunk.data).map_err(misbehaved)?;
        }
        if digest.finish() != *model {
            return Err(CallError::Misbehaved("the model's digest is not the one announced".to_owned()));
        }
        decoder.finish().map_err(misbehaved)
    }

    /// Sends an update or metrics; this is the only call that takes anything computed from patients.
    ///
    /// # Errors
    /// Returns the coordinator's refusal or a failed connection.
    pub async fn send(&mut self, outgoing: &Outgoing) -> Result<(), CallError> {
        match outgoing.purpose() {
            Purpose::Training => self.send_update(outgoing).await,
            Purpose::Metrics => {
                let (AttemptKey { study, round, attempt }, counts) =
                    (outgoing.header().key, outgoing.bytes());
                let message = wire::MetricsMessage { study: study.into(), round, attempt, counts };
                self.sites.send_metrics(timed(message)).await?;
                Ok(())
            }
        }
    }

    async fn send_update(&mut self, outgoing: &Outgoing) -> Result<(), CallError> {
        let header = wire::update_message::Part::Header(outgoing.header().into());
        let bytes = outgoing.bytes();
        let chunks = (0..bytes.len().div_ceil(CHUNK_BYTES)).map(move |index| {
            let start = index * CHUNK_BYTES;
            let data = bytes.slice(start..bytes.len().min(start + CHUNK_BYTES));
            let index = u32::try_from(index).expect("an update has less than 2^32 chunks");
            wire::update_message::Part::Chunk(wire::UpdateChunk { index, data })
        });
        let (moves, moved) = watch::channel(());
        let parts = iter(std::iter::once(header).chain(chunks)).map(move |part| {
            moves.send_replace(());
            wire::UpdateMessage { part: Some(part) }
        });
        while_moving(self.silence_max, moved, self.sites.send_update(parts)).await?;
        Ok(())
    }

    /// Sends a message of secure aggregation: keys, sealed shares, signatures, and shares of keys and seeds, none of
    /// which depend on patients.
    ///
    /// # Errors
    /// Returns the coordinator's refusal or a failed connection.
    pub async fn send_secure(&mut self, message: SecureMessage) -> Result<(), CallError> {
        self.sites.send_secure(timed(wire::SecureMessage::from(message))).await?;
        Ok(())
    }

    /// Appends ledger entries to the coordinator's mirror, and returns what it and others then have of this
    /// site's ledger; without entries it only asks.
    ///
    /// # Errors
    /// Returns the coordinator's refusal or a failed connection.
    pub async fn mirror(&mut self, entries: LedgerEntries) -> Result<MirrorState, CallError> {
        let request = timed(wire::LedgerEntries::from(entries));
        Ok(self.sites.mirror_ledger(request).await?.into_inner().try_into()?)
    }

    /// Tells what this site remembers of the others' ledgers, and returns what became of them.
    ///
    /// # Errors
    /// Returns the coordinator's refusal or a failed connection.
    pub async fn witness(&mut self, sightings: Vec<Sighting>) -> Result<Vec<Growth>, CallError> {
        let request = timed(Sighting::write(sightings));
        Ok(Growth::read(self.sites.witness(request).await?.into_inner())?)
    }
}

/// The stream of notices.
#[derive(Debug)]
pub struct Notices(Streaming<wire::Notice>);

impl Notices {
    /// Waits for the next notice; `None` means that the coordinator closed the stream.
    ///
    /// # Errors
    /// Returns a failed connection or a malformed notice.
    pub async fn next(&mut self) -> Result<Option<Notice>, CallError> {
        match self.0.message().await? {
            Some(notice) => Ok(Some(notice.try_into()?)),
            None => Ok(None),
        }
    }
}

/// Waits for something, but not for ever.
async fn in_time<T>(
    silence_max: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, CallError> {
    let answer = tokio::time::timeout(silence_max, call).await;
    Ok(answer.map_err(|_elapsed| Status::deadline_exceeded("the coordinator is silent"))??)
}

/// Waits for a call as long as more of what it sends is taken again and again.
async fn while_moving<T>(
    silence_max: Duration,
    mut moved: watch::Receiver<()>,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, CallError> {
    let mut call = std::pin::pin!(call);
    loop {
        let moves = async {
            tokio::select! {
                answer = &mut call => answer.map(Some),
                // Once all is taken, only the answer is left to wait for.
                Ok(()) = moved.changed() => Ok(None),
            }
        };
        if let Some(answer) = in_time(silence_max, moves).await? {
            return Ok(answer);
        }
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(SMALL_CALL_TIME_MAX);
    request
}

/// Calls of one small message each way, with an fsync at the other end.
const SMALL_CALL_TIME_MAX: Duration = Duration::from_secs(60);
/// As long as for a small call: a model or an update is read, written and hashed piece by piece, each of which is small.
const SILENCE_MAX: Duration = SMALL_CALL_TIME_MAX;

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn a_call_goes_on_while_more_of_it_is_taken_and_until_it_is_answered() {
        let (moves, moved) = watch::channel(());
        let call = async {
            for _part in 0..10 {
                moves.send_replace(());
                tokio::task::yield_now().await;
            }
            drop(moves);
            tokio::task::yield_now().await;
            Ok("taken")
        };
        assert_eq!(while_moving(LONG, moved, call).await.unwrap(), "taken");
        assert!(in_time(LONG, ready(Ok::<_, Status>(()))).await.is_ok());
    }

    #[tokio::test]
    async fn a_coordinator_that_takes_or_answers_nothing_is_away() {
        let away = |given_up: CallError| assert!(matches!(given_up, CallError::Unreachable(_)), "{given_up}");
        let (moves, moved) = watch::channel(());
        away(while_moving(SHORT, moved.clone(), pending::<Result<(), _>>()).await.unwrap_err());
        drop(moves);
        away(while_moving(SHORT, moved, pending::<Result<(), _>>()).await.unwrap_err());
        away(in_time(SHORT, pending::<Result<(), _>>()).await.unwrap_err());
    }
}
