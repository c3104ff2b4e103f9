//! Messages about ledgers: copies of a site's own, and what others remember of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use fedtwin_plan::SiteName;

use super::{Malformed, name};
use crate::limits::{KEY_CHANGES_MAX, NOTE_BYTES_MAX, PROOF_HASHES_MAX, WITNESSED_MAX};
use crate::wire;

/// Entries for the coordinator's copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerEntries {
    /// The sequence number of the first entry here.
    pub first: u64,
    /// Whole entries as the ledger's file has them.
    pub entries: Bytes,
    /// The site's checkpoint of all entries up to the last one here, where no more are to come.
    pub checkpoint: Option<String>,
}

impl TryFrom<wire::LedgerEntries> for LedgerEntries {
    type Error = Malformed;

    fn try_from(wire: wire::LedgerEntries) -> Result<Self, Malformed> {
        let checkpoint = note("checkpoint", wire.checkpoint)?;
        let checkpoint = Some(checkpoint).filter(|note| !note.is_empty());
        Ok(Self { first: wire.first, entries: wire.entries, checkpoint })
    }
}

impl From<LedgerEntries> for wire::LedgerEntries {
    fn from(entries: LedgerEntries) -> Self {
        let LedgerEntries { first, entries, checkpoint } = entries;
        Self { first, entries, checkpoint: checkpoint.unwrap_or_default() }
    }
}

/// What the coordinator has of a site's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorState {
    /// The entries in its copy.
    pub entries: u64,
    /// Checkpoints that it or another site keeps.
    pub checkpoints: Vec<String>,
}

impl TryFrom<wire::MirrorState> for MirrorState {
    type Error = Malformed;

    fn try_from(wire: wire::MirrorState) -> Result<Self, Malformed> {
        let notes = bounded("checkpoints", wire.checkpoints, WITNESSED_MAX)?;
        let checkpoints =
            notes.into_iter().map(|text| note("checkpoints", text)).collect::<Result<_, _>>()?;
        Ok(Self { entries: wire.entries, checkpoints })
    }
}

impl From<MirrorState> for wire::MirrorState {
    fn from(state: MirrorState) -> Self {
        Self { entries: state.entries, checkpoints: state.checkpoints }
    }
}

/// What a site remembers of another site's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The other site.
    pub site: SiteName,
    /// The largest checkpoint that it saw, as that site signed it.
    pub checkpoint: String,
    /// Its own cosignature of that.
    pub cosignature: String,
}

impl Sighting {
    /// Reads a message of sightings.
    ///
    /// # Errors
    /// Refuses more than a site witnesses, two of one site, and texts that are too long.
    pub fn read(wire: wire::Sightings) -> Result<Vec<Self>, Malformed> {
        let read = |wire: wire::Sighting| {
            let (checkpoint, cosignature) = (note("checkpoint", wire.checkpoint)?, wire.cosignature);
            Ok(Self {
                site: name("site", &wire.site)?,
                checkpoint,
                cosignature: note("cosignature", cosignature)?,
            })
        };
        let sightings = bounded("sightings", wire.sightings, WITNESSED_MAX)?;
        let sightings: Vec<Self> = sightings.into_iter().map(read).collect::<Result<_, _>>()?;
        let mut seen = BTreeSet::new();
        if let Some(twice) = sightings.iter().find(|sighting| !seen.insert(&sighting.site)) {
            return Err(Malformed::new("sightings", format!("has two of {}", twice.site)));
        }
        Ok(sightings)
    }

    /// Writes a message of sightings.
    #[must_use]
    pub fn write(sightings: Vec<Self>) -> wire::Sightings {
        let write = |Self { site, checkpoint, cosignature }| wire::Sighting {
            site: String::from(site),
            checkpoint,
            cosignature,
        };
        wire::Sightings { sightings: sightings.into_iter().map(write).collect() }
    }
}

/// What became of another site's ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Growth {
    /// The other site.
    pub site: SiteName,
    /// Its identity certificate, DER.
    pub certificate: Bytes,
    /// Its last checkpoint.
    pub checkpoint: String,
    /// That this continues the one that was remembered.
    pub proof: Vec<[u8; 32]>,
    /// Where its identity key changed, as its log has that: JSON.
    pub key_changes: Vec<String>,
}

impl Growth {
    /// Reads a message of growths.
    ///
    /// # Errors
    /// Refuses more than a federation has sites, and parts that are too long.
    pub fn read(wire: wire::Growths) -> Result<Vec<Self>, Malformed> {
        let read = |wire: wire::Growth| {
            let hash = |bytes: Bytes| {
                let bytes: Result<[u8; 32], _> = bytes.as_ref().try_into();
                bytes.map_err(|_other_length| {
                    Malformed::new("proof", "holds a hash that is not 32 bytes long")
                })
            };
            let proof = bounded("proof", wire.proof, PROOF_HASHES_MAX)?;
            if wire.certificate.len() > NOTE_BYTES_MAX {
                return Err(Malformed::new("certificate", "is too long"));
            }
            Ok(Self {
                site: name("site", &wire.site)?,
                certificate: wire.certificate,
                checkpoint: note("checkpoint", wire.checkpoint)?,
                proof: proof.into_iter().map(hash).collect::<Result<_, _>>()?,
                key_changes: bounded("key_changes", wire.key_changes, KEY_CHANGES_MAX)?
                    .into_iter()
                    .map(|text| note("key_changes", text))
                    .collect::<Result<_, _>>()?,
            })
        };
        bounded("growths", wire.growths, WITNESSED_MAX)?.into_iter().map(read).collect()
    }

    /// Writes a message of growths.
    #[must_use]
    pub fn write(growths: Vec<Self>) -> wire::Growths {
        let write = |Self { site, certificate, checkpoint, proof, key_changes }| wire::Growth {
            site: String::from(site),
            certificate,
            checkpoint,
            proof: proof.into_iter().map(|hash| Bytes::copy_from_slice(&hash)).collect(),
            key_changes,
        };
        wire::Growths { growths: growths.into_iter().map(write).collect() }
    }
}

fn bounded<T>(field: &'static str, items: Vec<T>, limit: usize) -> Result<Vec<T>, Malformed> {
    if items.len() <= limit {
        Ok(items)
    } else {
        Err(Malformed::new(field, format!("has more than {limit}")))
    }
}

fn note(field: &'static str, text: String) -> Result<String, Malformed> {
    if text.len() <= NOTE_BYTES_MAX { Ok(text) } else { Err(Malformed::new(field, "is too long")) }
}
