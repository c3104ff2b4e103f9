//! A site made by hand, with valid credentials and no agent: it can send what no agent sends.

use std::sync::Arc;

use anyhow::Context;
use fedtwin_certs::{Credentials, tls};
use fedtwin_daemon::{clock, transport};
use fedtwin_plan::{Digest, StudyId};
use fedtwin_proto::domain::{
    Answer, AttemptDeclined, AttemptKey, Invitation, Notice, PlanAnswer, UpdateHeader,
};
use fedtwin_proto::limits::CHUNK_BYTES;
use fedtwin_proto::wire;
use fedtwin_proto::wire::sites_client::SitesClient;
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// A site that is subscribed and does only what it is told.
#[derive(Debug)]
pub struct HandMadeSite {
    client: SitesClient<Channel>,
    notices: Streaming<wire::Notice>,
}

impl HandMadeSite {
    /// Connects and subscribes.
    ///
    /// # Errors
    /// Returns why not.
    pub async fn subscribe(address: &str, credentials: &Credentials) -> anyhow::Result<Self> {
        let config = Arc::new(tls::client_config(credentials, clock::for_tls())?);
        let mut client = SitesClient::new(transport::connect(address, "localhost", config).await?);
        let identity_certificate = credentials.identity_der().to_vec().into();
        let notices =
            client.subscribe(wire::SubscribeRequest { identity_certificate, ..Default::default() }).await?;
        Ok(Self { client, notices: notices.into_inner() })
    }

    /// Accepts a study.
    ///
    /// # Errors
    /// Returns the coordinator's refusal.
    pub async fn accept(&mut self, study: &StudyId, patients: u32) -> Result<(), Status> {
        let answer = PlanAnswer { study: study.clone(), answer: Answer::Accepted { patients } };
        self.client.answer_plan(wire::PlanAnswer::from(answer)).await?;
        Ok(())
    }

    /// Waits for an invitation to a study.
    ///
    /// # Errors
    /// Fails where the notices end.
    pub async fn invitation(&mut self, study: &StudyId) -> anyhow::Result<Invitation> {
        loop {
            let notice = self.notices.message().await?.context("the notices ended")?;
            match Notice::try_from(notice)? {
                Notice::Invitation(invitation) if invitation.key.study == *study => return Ok(invitation),
                Notice::Invitation(_)
                | Notice::Measurement(_)
                | Notice::Secure(_)
                | Notice::Offer(_)
                | Notice::Closed(_) => {}
            }
        }
    }

    /// Sends an update in parts of the caller's making, and returns what the coordinator says.
    ///
    /// # Errors
    /// Returns the coordinator's refusal.
    pub async fn send(&mut self, update: HandMadeUpdate) -> Result<(), Status> {
        let header = update.header.map(|header| wire::update_message::Part::Header(header.into()));
        let chunks = update.chunks.into_iter().map(|(index, data)| {
            wire::update_message::Part::Chunk(wire::UpdateChunk { index, data: data.into() })
        });
        let parts: Vec<_> = header.into_iter().chain(chunks).collect();
        let messages = tokio_stream::iter(parts).map(|part| wire::UpdateMessage { part: Some(part) });
        match update.end {
            End::Regular => self.client.send_update(messages).await?,
            End::Never => self.client.send_update(messages.chain(tokio_stream::pending())).await?,
        };
        Ok(())
    }

    /// Tells that no update will come.
    ///
    /// # Errors
    /// Returns the coordinator's refusal.
    pub async fn decline(&mut self, key: &AttemptKey) -> Result<(), Status> {
        let (study, attempt) = (key.study.clone(), key.attempt);
        let declined = AttemptDeclined { study, attempt, reason: "made by hand".to_owned() };
        self.client.decline_round(wire::AttemptDeclined::from(declined)).await?;
        Ok(())
    }
}

/// An update as it goes over the wire, good or not.
#[derive(Debug, Clone)]
pub struct HandMadeUpdate {
    /// The header; an update without one begins with its first chunk.
    pub header: Option<UpdateHeader>,
    /// The chunks with their indices.
    pub chunks: Vec<(u32, Vec<u8>)>,
    /// How it ends.
    pub end: End,
}

/// How an update's stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After its last chunk.
    Regular,
    /// Not at all: the caller drops the call in the middle.
    Never,
}

impl HandMadeUpdate {
    /// Returns a good update of these bytes.
    ///
    /// # Panics
    /// If there are 2^32 chunks or more.
    #[must_use]
    pub fn good(key: &AttemptKey, bytes: &[u8]) -> Self {
        let header = UpdateHeader { key: key.clone(), length: bytes.len() as u64, digest: Digest::of(bytes) };
        let chunks = bytes.chunks(CHUNK_BYTES).enumerate().map(|(index, chunk)| {
            (u32::try_from(index).expect("an update has less than 2^32 chunks"), chunk.to_vec())
        });
        Self { header: Some(header), chunks: chunks.collect(), end: End::Regular }
    }
}
