//! A site's side of an attempt under secure aggregation: its half of the protocol, as the study's core drives it.

use std::sync::Arc;

use fedtwin_certs::LogSigner;
use fedtwin_plan::{Digest, Plan, SiteName};
use fedtwin_privacy::random::{NoRandomness, RandomSource};
use fedtwin_proto::domain::{Invitation, RoundKey, SecureMessage, SecureStep};
use fedtwin_secagg::mask::Masks;
use fedtwin_secagg::site::{Floor, Identity, Refusal, Reply, Site, ToSite};
use fedtwin_secagg::{AttemptPlace, Context};
use zeroize::Zeroizing;

/// Why an attempt under secure aggregation ended for this site.
#[derive(Debug, thiserror::Error)]
pub enum SecureError {
    /// The coordinator, or a site through it, did what an honest one would not, or less than this site asks for.
    #[error("secure aggregation: {0}")]
    Refused(#[from] Refusal),
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

/// What a message asks for.
pub(crate) enum Next {
    /// Nothing: it repeats the last one.
    Nothing,
    /// Send this.
    Send(SecureMessage),
    /// Compute the update and add these masks to it.
    Mask(Masks),
    /// Send this, which is the last thing there is to do.
    Open(SecureMessage),
}

impl SecureAttempt {
    /// Joins the attempt; returns what to send.
    pub(crate) fn join(
        key: RoundKey,
        context: Context,
        me: &Me,
        random: &mut dyn RandomSource,
    ) -> Result<(Self, SecureMessage), SecureError> {
        let mut entropy = Zeroizing::new([0; 32]);
        random.fill(entropy.as_mut_slice())?;
        let identity = Identity { site: me.site.clone(), signer: Arc::new(me.signer.clone()) };
        let (site, advert) = Site::join(context, me.floor.clone(), identity, entropy)?;
        let attempt = Self { key, site, last: None };
        let message = attempt.message(SecureStep::Advert(advert));
        Ok((attempt, message))
    }

    /// Takes the next message of the attempt.
    pub(crate) fn step(&mut self, message: ToSite) -> Result<Next, SecureError> {
        if self.last.as_ref() == Some(&message) {
            return Ok(Next::Nothing);
        }
        self.last = Some(message.clone());
        let (site, reply) = std::mem::replace(&mut self.site, Site::Over).step(message);
        self.site = site;
        Ok(match reply? {
            Reply::Shares(shares) => Next::Send(self.message(SecureStep::Shares(shares))),
            Reply::Mask(masks) => Next::Mask(masks),
            Reply::Consent(consent) => Next::Send(self.message(SecureStep::Consent(consent))),
            Reply::Opening(opening) => Next::Open(self.message(SecureStep::Opening(opening))),
        })
    }

    fn message(&self, step: SecureStep) -> SecureMessage {
        SecureMessage { key: self.key.clone(), step }
    }
}

/// Returns what the sites of an attempt agree on, where its plan has secure aggregation.
pub(crate) fn context(plan: &Plan, digest: Digest, invitation: &Invitation) -> Option<Context> {
    let Invitation { key: RoundKey { round, attempt, .. }, model, members, .. } = invitation;
    let (round, attempt) = (*round, *attempt);
    Context::of(plan, digest, AttemptPlace { round, attempt, model: *model, members: members.clone() })
}
