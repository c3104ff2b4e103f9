//! A site's side of an attempt under secure aggregation: its half of the protocol, as the study's core drives it.

use std::sync::Arc;

use fedtwin_certs::LogSigner;
use fedtwin_plan::{Digest, Plan, SiteName};
use fedtwin_privacy::random::{NoRandomness, RandomSource};
use fedtwin_proto::domain::{AttemptKey, Invitation, SecureMessage, SecureStep};
use fedtwin_secagg::site::{Floor, Reply, Site, SiteIdentity, StepError, ToSite};
use fedtwin_secagg::{AttemptPlace, Context, SiteMask};
use zeroize::Zeroizing;

/// Why an attempt under secure aggregation ended for this site.
#[derive(Debug, thiserror::Error)]
pub enum SecureError {
    /// The coordinator, or a site through it, did what an honest one would not, or less than this site asks for.
    #[error("secure aggregation: {0}")]
    Refused(#[from] StepError),
    /// There is no randomness to be had.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
}

/// Returns what the sites of an attempt agree on, where its plan has secure aggregation: everything that the
/// invitation says and the sum depends on.
///
/// # Errors
/// Refuses an attempt with a site that the plan does not name: its colluders were not counted.
pub(crate) fn context(
    plan: &Plan,
    digest: Digest,
    invitation: &Invitation,
) -> Result<Option<Context>, SecureError> {
    // Without `..`: a field that is added to the invitation has to find its place here.
    let Invitation { key: AttemptKey { study, round, attempt }, model, closes_in: _, clip, members } =
        invitation;
    debug_assert_eq!(*study, plan.study.id, "invitations go to their study's task");
    if let Some(stranger) = members.iter().find(|member| !plan.study.sites.contains(member)) {
        return Err(StepError::NotInThePlan(stranger.clone()).into());
    }
    let (round, attempt, model, clip) = (*round, *attempt, *model, *clip);
    Ok(Context::of(plan, digest, AttemptPlace { round, attempt, model, clip, members: members.clone() }))
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
    key: AttemptKey,
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
    /// Compute the update and add this mask to it.
    Mask(SiteMask),
    /// Send this, which is the last thing there is to do.
    Open(SecureMessage),
}

impl SecureAttempt {
    /// Joins the attempt; returns what to send.
    pub(crate) fn join(
        key: AttemptKey,
        context: Context,
        me: &Me,
        random: &mut dyn RandomSource,
    ) -> Result<(Self, SecureMessage), SecureError> {
        let mut entropy = Zeroizing::new([0; 32]);
        random.fill(entropy.as_mut_slice())?;
        let identity = SiteIdentity { site: me.site.clone(), signer: Arc::new(me.signer.clone()) };
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
            Reply::Mask(mask) => Next::Mask(mask),
            Reply::Consent(consent) => Next::Send(self.message(SecureStep::Consent(consent))),
            Reply::Opening(opening) => Next::Open(self.message(SecureStep::Opening(opening))),
        })
    }

    fn message(&self, step: SecureStep) -> SecureMessage {
        SecureMessage { key: self.key.clone(), step }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fedtwin_plan::text_file::parse;

    use super::*;

    const PLAN: &str = r#"
        [study]
        id = "risk"
        title = "What an invitation says"
        sites = ["a", "b", "c", "d"]
        expires = "2099-12-31"
        [cohort]
        name = "heart"
        patients_max = 100
        [data.table]
        outcome = "disease"
        features.age.number = { unit = "years", low = 20, high = 100 }
        [model]
        family = "linear-risk"
        seed = 1
        [rounds]
        count = 10
        attempts_max = 12
        blocks = 1
        sites_min = 3
        join_s = 60
        deadline_s = 60
        slot_s = 0
        [training]
        sampling = "1"
        loss = "bce"
        site = "gradient"
        server.fedavg.learning_rate = 1.0
        adaptive_clip = { quantile = 0.5, learning_rate = 0.2, bounds = [0.1, 10.0], share = 0.05 }
        [privacy.shared]
        clip = 1.0
        delta = 1e-5
        colluders = 1
        dropouts = 1
        target.noise-multiplier = 8.0
        [calibrated]
        m = 20
        c_int = 131072
        modulus_bits = 32
        steps = 12
        epsilon = 3.0
    "#;

    fn names(texts: &[&str]) -> std::collections::BTreeSet<SiteName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn invitation() -> Invitation {
        Invitation {
            key: AttemptKey { study: "risk".parse().unwrap(), round: 1, attempt: 1 },
            model: Digest::of(b"model"),
            closes_in: Duration::from_secs(60),
            clip: 1.0.try_into().unwrap(),
            members: names(&["a", "b", "c", "d"]),
        }
    }

    fn digest_of(change: impl Fn(&mut Invitation)) -> Result<Digest, String> {
        let plan: Plan = parse("the plan", PLAN).unwrap();
        let mut invitation = invitation();
        change(&mut invitation);
        let context = context(&plan, Digest::of(b"plan"), &invitation).map_err(|error| error.to_string())?;
        Ok(context.expect("the plan has secure aggregation").digest())
    }

    #[test]
    fn whatever_an_invitation_says_and_a_sum_depends_on_is_agreed_on() {
        let plain = digest_of(|_| {}).unwrap();
        let changes: [&dyn Fn(&mut Invitation); 5] = [
            &|invitation| (invitation.key.round, invitation.key.attempt) = (2, 2),
            &|invitation| invitation.key.attempt = 2,
            &|invitation| invitation.model = Digest::of(b"another model"),
            &|invitation| invitation.clip = 0.1.try_into().unwrap(),
            &|invitation| invitation.members = names(&["a", "b", "c"]),
        ];
        for (number, change) in changes.iter().enumerate() {
            assert_ne!(digest_of(change), Ok(plain), "change {number}");
        }
        // How long a site has left is its own, and moves no sum: sites that are asked again get less.
        assert_eq!(digest_of(|invitation| invitation.closes_in /= 2), Ok(plain));
    }

    #[test]
    fn a_site_that_the_plan_does_not_name_is_refused() {
        let refused = digest_of(|invitation| invitation.members = names(&["a", "b", "c", "e"])).unwrap_err();
        assert!(refused.contains("e is invited, which the plan does not name"), "{refused}");
    }
}
