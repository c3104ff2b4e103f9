//! Identities, the federation's certificate authority and mutual-TLS configurations.
//!
//! Everybody in a federation holds two keys, both certified by the federation's own authority under the same name
//! `spiffe://<federation>/<role>/<name>`. The *TLS key* opens connections and its certificate is short-lived; the
//! *identity key* (Ed25519) signs plans, ledgers and checkpoints, and is never accepted in a handshake. Neither
//! certificate is accepted in the other's place.
//!
//! This crate knows no socket and no clock: `now` is an argument, and TLS configurations take a time provider. Only
//! [`folder`] touches the disk. Enrolment by token is left out.

pub mod authority;
pub mod certificate;
pub mod credentials;
pub mod folder;
pub mod handshake_error;
pub mod identity;
pub mod log_signer;
pub mod plan_signature;
pub mod revocation;
pub mod signature;
pub mod tls;

#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod old_tls_tests;
#[cfg(test)]
mod revocation_tests;

pub use authority::{Authority, CertificateTerms};
pub use certificate::{AuthorityCertificate, Certificate, KeyPurpose};
pub use credentials::Credentials;
pub use handshake_error::HandshakeError;
pub use identity::{HolderName, Identity, Role};
pub use log_signer::LogSigner;
pub use plan_signature::{PlanSignatureError, PlanSigner, sign_plan, verify_plan};
pub use revocation::{Revocation, RevocationList};
pub use signature::{IdentityKey, PublicKey, Signature};
