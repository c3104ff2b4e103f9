//! A site's side of an attempt under secure aggregation: its half of the protocol, over the wire.

use std::sync::Arc;
use std::time::Duration;

use fedtwin_certs::LogSigner;
use fedtwin_plan::SiteName;
use fedtwin_privacy::random::{NoRandomness, RandomSource, SecureRandom};
use fedtwin_proto::domain::{RoundKey, SecureMessage, SecureStep};
use fedtwin_secagg::Context;
use fedtwin_secagg::mask::Masks;
use fedtwin_secagg::site::{Floor, Identity, Refusal, Reply, Site, ToSite};
use zeroize::Zeroizing;

use crate::client::{CallError, Client};
use crate::inbox::{Inbox, Superseded};

/// Why an attempt under secure aggregation ended for this site.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecureError {
    /// The coordinator, or a site through it, did what an honest one would not, or less than this site asks for.
    #[error("secure aggregation: {0}")]
    Refused(#[from] Refusal),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The study moved on.
    #[error(transparent)]
    Superseded(#[from] Superseded),
    /// There is no randomness to be had.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Who this site is, and what it insists on.
#[derive(Clone)]
pub(crate) struct Me {
    pub(crate) site: SiteName,
    pub(crate) signer: LogSigner,
    pub(crate) floor: Floor,
}

/// One attempt, from this site's keys to its opening.
pub(crate) struct SecureAttempt {
    key: RoundKey,
    site: Site,
    /// The last message, which the coordinator repeats when the connection comes back.
    last: Option<ToSite>,
}

impl SecureAttempt {
    /// Exchanges keys and shares, and returns the masks of this site's update.
    pub(crate) async fn begin(
        key: RoundKey,
        context: Context,
        me: &Me,
        (client, inbox): (&mut Client, &mut Inbox),
    ) -> Result<(Self, Masks), SecureError> {
        let mut entropy = Zeroizing::new([0; 32]);
        SecureRandom::new().fill(entropy.as_mut_slice())?;
        let identity = Identity { site: me.site.clone(), signer: Arc::new(me.signer.clone()) };
        let (site, advert) = Site::join(context, me.floor.clone(), identity, entropy)?;
        let mut attempt = Self { key, site, last: None };
        attempt.send(client, SecureStep::Advert(advert)).await?;
        loop {
            match attempt.next(inbox).await? {
                Reply::Shares(shares) => attempt.send(client, SecureStep::Shares(shares)).await?,
                Reply::Mask(masks) => return Ok((attempt, masks)),
                Reply::Consent(_) | Reply::Opening(_) => unreachable!("masks come before consents"),
            }
        }
    }

    /// Signs whose vectors are in the sum, and opens what that needs; the update has been sent.
    pub(crate) async fn finish(mut self, client: &mut Client, inbox: &mut Inbox) -> Result<(), SecureError> {
        loop {
            match self.next(inbox).await? {
                Reply::Consent(consent) => self.send(client, SecureStep::Consent(consent)).await?,
                Reply::Opening(opening) => {
                    return Ok(self.send(client, SecureStep::Opening(opening)).await?);
                }
                Reply::Shares(_) | Reply::Mask(_) => unreachable!("the update is masked already"),
            }
        }
    }

    async fn next(&mut self, inbox: &mut Inbox) -> Result<Reply, SecureError> {
        let message = loop {
            let message = inbox.secure(&self.key).await?;
            if self.last.as_ref() != Some(&message) {
                break message;
            }
        };
        self.last = Some(message.clone());
        let (site, reply) = std::mem::replace(&mut self.site, Site::Over).step(message);
        self.site = site;
        Ok(reply?)
    }

    /// Sends until it arrives or the coordinator says no; the attempt's own time bounds the tries.
    async fn send(&self, client: &mut Client, step: SecureStep) -> Result<(), CallError> {
        let message = SecureMessage { key: self.key.clone(), step };
        loop {
            match client.send_secure(message.clone()).await {
                Err(CallError::Unreachable(status)) => {
                    tracing::warn!(key = %self.key, %status, "a message of secure aggregation did not arrive; sending it again");
                    tokio::time::sleep(RESEND_AFTER).await;
                }
                other => return other,
            }
        }
    }
}

const RESEND_AFTER: Duration = Duration::from_millis(500);
