//! What sites and coordinator say to each other, and what sites sign.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fedtwin_audit_log::PublicKey;
use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::{Digest, SiteName};

pub use crate::keys::SEALED_BYTES;
use crate::shamir::Secret;

/// A site's keys for one attempt, signed with its identity key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// The site, by the name in its certificates.
    pub site: SiteName,
    /// The X25519 key that shares are sealed for.
    pub sealing: [u8; 32],
    /// The X25519 key that masks are agreed with.
    pub masking: [u8; 32],
    /// A commitment to the seed of the site's own mask.
    pub seed: Digest,
    /// The identity key's signature over all of it and the attempt's context.
    pub signature: [u8; 64],
}

impl Advert {
    /// Returns what the site signs.
    pub(crate) fn signed(&self, context: &Digest) -> Vec<u8> {
        [ADVERT_DOMAIN, &context.0, &self.sealing, &self.masking, &self.seed.0, self.site.as_str().as_bytes()]
            .concat()
    }

    /// Says whether the holder of the identity key made this advert for the attempt.
    pub(crate) fn is_by(&self, key: &PublicKey, context: &Digest) -> bool {
        key.verifies(&self.signed(context), &self.signature)
    }
}

/// Commits to a seed: nobody can open it as another one, nor read it off.
pub(crate) fn commitment(context: &Digest, site: &SiteName, seed: &Secret) -> Digest {
    Digest::of(&[SEED_DOMAIN, &context.0, seed.as_slice(), site.as_str().as_bytes()].concat())
}

/// Returns the digest of a roster, which every key of the attempt is bound to.
///
/// `adverts` are in ascending order of sites.
pub(crate) fn binding<'a>(context: &Digest, adverts: impl Iterator<Item = &'a Advert>) -> Digest {
    let mut running = RunningDigest::new();
    running.update(ROSTER_DOMAIN);
    running.update(&context.0);
    for advert in adverts {
        running.update(&Digest::of(&advert.signed(context)).0);
    }
    running.finish()
}

/// One site's shares of another's two secrets, sealed for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedShares {
    /// The site whose secrets they are, or on the way to the coordinator the one that they are for.
    pub peer: SiteName,
    /// A sealed share of its masking key, and one of its seed.
    pub bytes: [u8; SEALED_BYTES],
}

/// Whose vectors are in the sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Sites whose masked vectors came.
    pub survivors: BTreeSet<SiteName>,
    /// Sites that sent shares, and no vector.
    pub dropped: BTreeSet<SiteName>,
}

impl Partition {
    /// Returns what sites sign.
    pub(crate) fn signed(&self, binding: &Digest) -> Vec<u8> {
        let mut bytes = [PARTITION_DOMAIN, &binding.0].concat();
        for names in [&self.survivors, &self.dropped] {
            bytes.extend((names.len() as u64).to_le_bytes());
            for name in names {
                bytes.extend(name.as_str().as_bytes());
                bytes.push(0);
            }
        }
        bytes
    }
}

/// A site's signature over the partition that it was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// The site, by the name in its certificates.
    pub site: SiteName,
    /// Its identity key's signature over the roster and the partition.
    pub signature: [u8; 64],
}

/// The shares that a site gives to the coordinator, once and for all.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// Its shares of the survivors' seeds.
    pub seeds: BTreeMap<SiteName, Share>,
    /// Its shares of the masking keys of sites that dropped out.
    pub keys: BTreeMap<SiteName, Share>,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening of {} seeds and {} keys", self.seeds.len(), self.keys.len())
    }
}

/// A share of a secret, wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Share(pub(crate) Secret);

impl Share {
    /// Takes a share from the wire.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Returns the bytes for the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Share")
    }
}

const ADVERT_DOMAIN: &[u8] = b"fedtwin/secagg-advert/v1\0";
const SEED_DOMAIN: &[u8] = b"fedtwin/secagg-seed/v1\0";
const ROSTER_DOMAIN: &[u8] = b"fedtwin/secagg-roster/v1\0";
const PARTITION_DOMAIN: &[u8] = b"fedtwin/secagg-split/v1\0";
