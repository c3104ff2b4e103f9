//! Append-only, hash-chained and signed logs with RFC 6962 Merkle roots.
//!
//! A log is a text file with one entry a line. Each entry names the hash of the one before, and each is
//! signed, so that an auditor with the file and a public key needs nothing else ([`mod@verify`]). A
//! [`checkpoint`] states a log's size and root in 200 bytes that others can keep: it is how a log that was
//! rolled back to an earlier state is noticed, and what others [cosign](mod@cosignature). [`proof`]s say that an
//! entry is in a log, and that a log only grew.
//!
//! Left out on purpose: what the entries mean (that is the body's type), where keys come from
//! ([`Signer`]), and any clock. Only [`mod@disk`] touches files.

pub mod checkpoint;
pub mod cosignature;
pub mod disk;
pub mod entry;
pub mod error;
pub mod file;
pub mod hash;
pub mod key;
pub mod key_change;
pub mod merkle;
mod note;
pub mod proof;
pub mod verify;

pub use checkpoint::Checkpoint;
pub use entry::{Entry, Stamp};
pub use error::LogError;
pub use file::{Appended, LogFile};
pub use hash::LeafHash;
pub use key::{PublicKey, Signer};
pub use key_change::{KeyChange, Succession, first_key, succeeds};
pub use proof::Tree;
pub use verify::{Copied, FirstBad, NotContinued, Summary, entries, verify};
