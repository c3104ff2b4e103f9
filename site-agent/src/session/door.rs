//! The only door out of a hospital: what leaves is a release together with the receipt of its ledger entry.

use bytes::Bytes;
use fedtwin_plan::Digest;
use fedtwin_privacy::ledger::{Purpose, Receipt};
use fedtwin_privacy::release::{Release, ReleaseError};
use fedtwin_proto::domain::{AttemptKey, UpdateHeader};

/// Bytes that may leave: paid for, and on record.
#[derive(Debug, Clone)]
pub struct Outgoing {
    purpose: Purpose,
    key: AttemptKey,
    digest: Digest,
    bytes: Bytes,
}

/// Lets a release out; uses up its receipt.
///
/// # Errors
/// Refuses a receipt of other bytes.
pub fn send(key: AttemptKey, release: Release, receipt: Receipt) -> Result<Outgoing, ReleaseError> {
    let (purpose, digest) = (receipt.purpose(), release.digest());
    Ok(Outgoing { purpose, key, digest, bytes: release.send(receipt)?.into() })
}

impl Outgoing {
    /// Returns what the bytes are: an update, or metrics.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Announces the bytes.
    #[must_use]
    pub fn header(&self) -> UpdateHeader {
        UpdateHeader { key: self.key.clone(), length: self.bytes.len() as u64, digest: self.digest }
    }

    /// Returns the bytes, without copying them.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}
