//! A holder's identity key as the signer of its own logs.
//!
//! Log entries and checkpoints bring their own prefixes, so the key signs them as they are; neither can
//! be taken for a message of another domain, which begins with `fedtwin/<domain>/v1` and a zero byte.

use std::sync::Arc;

use fedtwin_audit_log::Signer;

use crate::credentials::Credentials;

/// Signs the holder's logs.
#[derive(Debug, Clone)]
pub struct LogSigner(pub Arc<Credentials>);

impl Signer for LogSigner {
    fn sign(&self, message: &[u8]) -> [u8; 64] {
        *self.0.identity_key().sign_log(message).as_bytes()
    }

    fn public_key(&self) -> fedtwin_audit_log::PublicKey {
        fedtwin_audit_log::PublicKey(*self.0.identity_key().public().as_bytes())
    }
}
