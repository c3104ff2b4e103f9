//! Plans under a researcher's signature: made once, verified by everybody before anything is parsed.

use fedtwin_plan::signed::{PLAN_DOMAIN, SignedPlan};
use fedtwin_plan::text_file::{TextError, parse};
use fedtwin_plan::{Plan, Timestamp};

use crate::certificate::{AuthorityCertificate, CertificateError};
use crate::credentials::Credentials;
use crate::identity::{Identity, Role};
use crate::signature::{BadSignature, PublicKey, Signature};

/// Why a signed plan is not one to act on.
#[derive(Debug, thiserror::Error)]
pub enum PlanSignatureError {
    /// The signer's certificate does not hold.
    #[error("the signer's certificate is not accepted")]
    Certificate(#[from] CertificateError),
    /// The signer is nobody who signs plans.
    #[error("the plan is signed by {0}, expected a researcher")]
    Role(Identity),
    /// The bytes are not those that were signed.
    #[error("the plan's bytes are not those that its signature is for: it was changed after signing")]
    Signature(#[from] BadSignature),
    /// The text is no plan.
    #[error("the signed text is not a plan")]
    Text(#[from] TextError),
    /// The text is not UTF-8.
    #[error("the signed text is not UTF-8")]
    Encoding(#[from] std::str::Utf8Error),
    /// The plan's last day is over.
    #[error("the plan expired at the end of {0}")]
    Expired(fedtwin_plan::time::Date),
}

/// Who signed a plan: a name, which is what the authority says, and the key that it was signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSigner {
    /// The researcher.
    pub identity: Identity,
    /// The researcher's identity key.
    pub key: PublicKey,
}

/// Signs a plan's exact bytes.
#[must_use]
pub fn sign_plan(credentials: &Credentials, text: Vec<u8>) -> SignedPlan {
    let signature = credentials.identity_key().sign(PLAN_DOMAIN, &text);
    SignedPlan {
        signature: signature.as_bytes().to_vec(),
        certificate: credentials.identity_der().to_vec(),
        text,
    }
}

/// Verifies the signature first and parses afterwards; returns the plan and who signed it.
///
/// # Errors
/// Refuses a plan that no researcher of this federation signed, byte for byte, or that has expired.
pub fn verify_plan(
    signed: &SignedPlan,
    authority: &AuthorityCertificate,
    now: Timestamp,
) -> Result<(Plan, PlanSigner), PlanSignatureError> {
    let (identity, key) = authority.verify_identity(&signed.certificate, now)?;
    if identity.role != Role::Researcher {
        return Err(PlanSignatureError::Role(identity));
    }
    key.verify(PLAN_DOMAIN, &signed.text, &Signature::try_from(signed.signature.as_slice())?)?;
    let text = str::from_utf8(&signed.text)?;
    let plan: Plan = parse("the signed plan", text)?;
    if now >= plan.study.expires.end() {
        return Err(PlanSignatureError::Expired(plan.study.expires));
    }
    Ok((plan, PlanSigner { identity, key }))
}
