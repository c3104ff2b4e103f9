//! What tells a site's message from another one once the message itself is gone.

use fedtwin_plan::Digest;
use fedtwin_plan::digest::RunningDigest;

use super::FromSite;
use crate::message::Share;

impl FromSite {
    /// Returns a digest of all that the site says, so that the same message is known when it comes again.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut parts = Parts(RunningDigest::new());
        match self {
            Self::Advert(advert, key) => {
                parts.add(b"advert").add(advert.site.as_str().as_bytes()).add(&advert.sealing);
                parts.add(&advert.masking).add(&advert.seed.0).add(&advert.signature).add(&key.0);
            }
            Self::Shares(shares) => {
                parts.add(b"shares");
                for sealed in shares {
                    parts.add(sealed.peer.as_str().as_bytes()).add(&sealed.bytes);
                }
            }
            Self::Vector => drop(parts.add(b"vector")),
            Self::Consent(consent) => {
                parts.add(b"consent").add(consent.site.as_str().as_bytes()).add(&consent.signature);
            }
            Self::Opening(opening) => {
                parts.add(b"opening").add(&(opening.seeds.len() as u64).to_le_bytes());
                for (site, share) in opening.seeds.iter().chain(&opening.keys) {
                    parts.add(site.as_str().as_bytes()).add(Share::as_bytes(share));
                }
            }
            Self::Gone => drop(parts.add(b"gone")),
        }
        parts.0.finish()
    }
}

/// Hashes parts with their lengths, so that no two lists of parts look the same.
struct Parts(RunningDigest);

impl Parts {
    fn add(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use fedtwin_audit_log::PublicKey;

    use super::*;
    use crate::message::{Advert, Consent, Opening, SEALED_BYTES, SealedShares};

    #[test]
    fn messages_that_differ_anywhere_have_other_digests() {
        let site = |name: &str| name.parse().unwrap();
        let advert = Advert {
            site: site("va"),
            sealing: [1; 32],
            masking: [2; 32],
            seed: Digest([3; 32]),
            signature: [4; 64],
        };
        let sealed = |peer, byte| SealedShares { peer: site(peer), bytes: [byte; SEALED_BYTES] };
        let held = |name, byte| BTreeMap::from([(site(name), Share::from_bytes([byte; 32]))]);
        let opening = |seeds, keys| FromSite::Opening(Opening { seeds, keys });
        let consent = |name, byte| FromSite::Consent(Consent { site: site(name), signature: [byte; 64] });
        let messages = [
            FromSite::Advert(advert.clone(), PublicKey([5; 32])),
            FromSite::Advert(advert.clone(), PublicKey([6; 32])),
            FromSite::Advert(Advert { masking: [7; 32], ..advert.clone() }, PublicKey([5; 32])),
            FromSite::Advert(Advert { seed: Digest([7; 32]), ..advert }, PublicKey([5; 32])),
            FromSite::Shares(Vec::new()),
            FromSite::Shares(vec![sealed("va", 1)]),
            FromSite::Shares(vec![sealed("va", 2)]),
            FromSite::Shares(vec![sealed("vb", 1)]),
            FromSite::Shares(vec![sealed("va", 1), sealed("vb", 1)]),
            FromSite::Vector,
            consent("va", 1),
            consent("va", 2),
            consent("vb", 1),
            opening(held("va", 1), BTreeMap::new()),
            opening(BTreeMap::new(), held("va", 1)),
            opening(held("va", 2), BTreeMap::new()),
            opening(held("va", 1), held("vb", 1)),
            FromSite::Gone,
        ];
        let digests: BTreeSet<_> = messages.iter().map(|message| message.digest().0).collect();
        assert_eq!(digests.len(), messages.len());
        assert!(messages.iter().all(|message| message.clone().digest() == message.digest()));
    }
}
