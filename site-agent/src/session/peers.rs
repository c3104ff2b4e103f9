//! Whom this site hides among: sites whose identity keys its own people have pinned, and that nobody took back.

use std::sync::Arc;

use fedtwin_certs::LogSigner;
use fedtwin_plan::{Plan, Timestamp};

use super::{OfferError, Session};
use crate::secure::Me;

impl Session {
    /// Returns who this site is in secure aggregation, where its policy says whom it hides among.
    pub(crate) fn secure_me(&self) -> Option<Me> {
        let signer = LogSigner(Arc::clone(&self.credentials));
        self.floor.clone().map(|floor| Me { site: self.site.clone(), signer, floor })
    }

    /// Refuses to hide among sites whose identity keys nobody here has pinned, or whose certificates were taken back: they
    /// might be anybody's.
    pub(super) fn check_peers(&self, plan: &Plan, now: Timestamp) -> Result<(), OfferError> {
        if !plan.privacy.is_secure() {
            return Ok(());
        }
        for site in &plan.study.sites {
            let pinned = self.peers.get(site).ok_or_else(|| OfferError::NotPinned(site.clone()))?;
            let revoked = self.credentials.authority().check_revocation(&pinned.serial, now);
            revoked.map_err(|source| OfferError::PeerRevoked { site: site.clone(), source })?;
        }
        Ok(())
    }
}
