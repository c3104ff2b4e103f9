//! Messages of an attempt under secure aggregation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use fedtwin_plan::SiteName;
use fedtwin_secagg::message::{Advert, Consent, Opening, Partition, SealedShares, Share};
use fedtwin_secagg::site::ToSite;
use prost::Message as _;

use super::{AttemptKey, Malformed, Notice, digest, name, names};
use crate::wire;

/// What a site says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureMessage {
    /// The attempt.
    pub key: AttemptKey,
    /// The message.
    pub step: SecureStep,
}

/// A site's message; its masked vector is its update, and a refusal has a call of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecureStep {
    /// Its keys.
    Advert(Advert),
    /// Its shares, each with the site that they are for.
    Shares(Vec<SealedShares>),
    /// Its consent.
    Consent(Consent),
    /// Its opening.
    Opening(Opening),
}

/// What the coordinator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureNotice {
    /// The attempt.
    pub key: AttemptKey,
    /// The message.
    pub step: ToSite,
}

impl TryFrom<wire::SecureMessage> for SecureMessage {
    type Error = Malformed;

    fn try_from(wire: wire::SecureMessage) -> Result<Self, Malformed> {
        let step = match wire.step.ok_or_else(|| Malformed::new("step", "is missing"))? {
            wire::secure_message::Step::Advert(advert) => SecureStep::Advert(read_advert(&advert)?),
            wire::secure_message::Step::Shares(shares) => SecureStep::Shares(read_shares(&shares)?),
            wire::secure_message::Step::Consent(consent) => SecureStep::Consent(read_consent(&consent)?),
            wire::secure_message::Step::Opening(opening) => SecureStep::Opening(read_opening(&opening)?),
        };
        Ok(Self { key: AttemptKey::new(&wire.study, wire.round, wire.attempt)?, step })
    }
}

impl From<SecureMessage> for wire::SecureMessage {
    fn from(message: SecureMessage) -> Self {
        let step = match message.step {
            SecureStep::Advert(advert) => wire::secure_message::Step::Advert(write_advert(&advert)),
            SecureStep::Shares(shares) => wire::secure_message::Step::Shares(write_shares(shares)),
            SecureStep::Consent(consent) => wire::secure_message::Step::Consent(write_consent(consent)),
            SecureStep::Opening(opening) => wire::secure_message::Step::Opening(write_opening(opening)),
        };
        let AttemptKey { study, round, attempt } = message.key;
        Self { study: study.into(), round, attempt, step: Some(step) }
    }
}

impl SecureMessage {
    /// Returns the message as it goes over the wire, without its frames.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        wire::SecureMessage::from(self).encode_to_vec()
    }

    /// Reads a message as it goes over the wire.
    ///
    /// # Errors
    /// Says what is malformed.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        wire::SecureMessage::decode(bytes).map_err(no_message)?.try_into()
    }
}

impl SecureNotice {
    /// Returns the notice as it goes over the wire, without its frames.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        wire::Notice::from(Notice::Secure(self)).encode_to_vec()
    }

    /// Reads a notice as it goes over the wire.
    ///
    /// # Errors
    /// Says what is malformed, and refuses other notices.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        match wire::Notice::decode(bytes).map_err(no_message)?.notice {
            Some(wire::notice::Notice::Secure(notice)) => notice.try_into(),
            Some(_) | None => Err(Malformed::new("notice", "is not one of secure aggregation")),
        }
    }
}

impl TryFrom<wire::SecureNotice> for SecureNotice {
    type Error = Malformed;

    fn try_from(wire: wire::SecureNotice) -> Result<Self, Malformed> {
        let step = match wire.step.ok_or_else(|| Malformed::new("step", "is missing"))? {
            wire::secure_notice::Step::Roster(roster) => {
                ToSite::Roster(Arc::new(roster.adverts.iter().map(read_advert).collect::<Result<_, _>>()?))
            }
            wire::secure_notice::Step::Shares(shares) => ToSite::Shares(read_shares(&shares)?),
            wire::secure_notice::Step::Partition(partition) => ToSite::Partition(Partition {
                survivors: site_names("survivors", &partition.survivors)?,
                dropped: site_names("dropped", &partition.dropped)?,
            }),
            wire::secure_notice::Step::Consents(consents) => {
                ToSite::Consents(consents.consents.iter().map(read_consent).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self { key: AttemptKey::new(&wire.study, wire.round, wire.attempt)?, step })
    }
}

impl From<SecureNotice> for wire::SecureNotice {
    fn from(notice: SecureNotice) -> Self {
        let step = match notice.step {
            ToSite::Roster(adverts) => wire::secure_notice::Step::Roster(wire::Roster {
                adverts: adverts.iter().map(write_advert).collect(),
            }),
            ToSite::Shares(shares) => wire::secure_notice::Step::Shares(write_shares(shares)),
            ToSite::Partition(Partition { survivors, dropped }) => {
                wire::secure_notice::Step::Partition(wire::Partition {
                    survivors: survivors.into_iter().map(String::from).collect(),
                    dropped: dropped.into_iter().map(String::from).collect(),
                })
            }
            ToSite::Consents(consents) => wire::secure_notice::Step::Consents(wire::Consents {
                consents: consents.into_iter().map(write_consent).collect(),
            }),
        };
        let AttemptKey { study, round, attempt } = notice.key;
        Self { study: study.into(), round, attempt, step: Some(step) }
    }
}

fn no_message(error: prost::DecodeError) -> Malformed {
    Malformed::new("message", error.to_string())
}

fn read_advert(wire: &wire::Advert) -> Result<Advert, Malformed> {
    let keys: [u8; 96] = fixed("keys", &wire.keys)?;
    let (keys, _none) = keys.as_chunks::<32>();
    Ok(Advert {
        site: name("site", &wire.site)?,
        sealing: keys[0],
        masking: keys[1],
        seed: digest("keys", &keys[2])?,
        signature: fixed("signature", &wire.signature)?,
    })
}

fn write_advert(advert: &Advert) -> wire::Advert {
    let keys = [advert.sealing, advert.masking, advert.seed.0].concat();
    wire::Advert { site: advert.site.clone().into(), keys: keys.into(), signature: copied(&advert.signature) }
}

fn read_shares(wire: &wire::SharesMessage) -> Result<Vec<SealedShares>, Malformed> {
    let read = |shares: &wire::SealedShares| {
        Ok(SealedShares { peer: name("peer", &shares.peer)?, bytes: fixed("sealed", &shares.sealed)? })
    };
    wire.shares.iter().map(read).collect()
}

fn write_shares(shares: Vec<SealedShares>) -> wire::SharesMessage {
    let write =
        |shares: SealedShares| wire::SealedShares { peer: shares.peer.into(), sealed: copied(&shares.bytes) };
    wire::SharesMessage { shares: shares.into_iter().map(write).collect() }
}

fn read_consent(wire: &wire::Consent) -> Result<Consent, Malformed> {
    Ok(Consent { site: name("site", &wire.site)?, signature: fixed("signature", &wire.signature)? })
}

fn write_consent(consent: Consent) -> wire::Consent {
    wire::Consent { site: consent.site.into(), signature: copied(&consent.signature) }
}

fn read_opening(wire: &wire::Opening) -> Result<Opening, Malformed> {
    let read = |field: &'static str, shares: &[wire::OpenedShare]| {
        let mut opened = BTreeMap::new();
        for share in shares {
            let share_bytes = Share::from_bytes(fixed(field, &share.share)?);
            if opened.insert(name::<SiteName>("site", &share.site)?, share_bytes).is_some() {
                return Err(Malformed::new(field, "has a site twice"));
            }
        }
        Ok(opened)
    };
    Ok(Opening { seeds: read("seeds", &wire.seeds)?, keys: read("keys", &wire.keys)? })
}

fn write_opening(opening: Opening) -> wire::Opening {
    let write = |shares: BTreeMap<SiteName, Share>| {
        let share = |(site, share): (SiteName, Share)| wire::OpenedShare {
            site: site.into(),
            share: copied(share.as_bytes()),
        };
        shares.into_iter().map(share).collect()
    };
    wire::Opening { seeds: write(opening.seeds), keys: write(opening.keys) }
}

fn site_names(field: &'static str, texts: &[String]) -> Result<BTreeSet<SiteName>, Malformed> {
    let found: BTreeSet<_> = names(field, texts)?.into_iter().collect();
    if found.len() == texts.len() { Ok(found) } else { Err(Malformed::new(field, "has a site twice")) }
}

fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_other_length| Malformed::new(field, format!("is not {N} bytes long")))
}

fn copied(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::Digest;
    use fedtwin_secagg::message::SEALED_BYTES;

    use super::*;

    fn key() -> AttemptKey {
        AttemptKey::new("study", 1, 2).unwrap()
    }

    fn site(text: &str) -> SiteName {
        text.parse().unwrap()
    }

    fn advert() -> Advert {
        let seed = Digest([3; 32]);
        Advert { site: site("a"), sealing: [1; 32], masking: [2; 32], seed, signature: [4; 64] }
    }

    fn consent() -> Consent {
        Consent { site: site("b"), signature: [5; 64] }
    }

    fn sealed() -> Vec<SealedShares> {
        vec![SealedShares { peer: site("c"), bytes: [6; SEALED_BYTES] }]
    }

    fn opening() -> Opening {
        let shares = |name: &str, byte| BTreeMap::from([(site(name), Share::from_bytes([byte; 32]))]);
        Opening { seeds: shares("a", 7), keys: shares("b", 8) }
    }

    #[test]
    fn messages_come_back_from_the_wire() {
        for step in [
            SecureStep::Advert(advert()),
            SecureStep::Shares(sealed()),
            SecureStep::Consent(consent()),
            SecureStep::Opening(opening()),
        ] {
            let message = SecureMessage { key: key(), step };
            assert_eq!(SecureMessage::decode(&message.clone().encode()), Ok(message));
        }
        let partition = Partition { survivors: [site("a"), site("b")].into(), dropped: [site("c")].into() };
        for step in [
            ToSite::Roster(Arc::new(vec![advert()])),
            ToSite::Shares(sealed()),
            ToSite::Partition(partition),
            ToSite::Consents(vec![consent()]),
        ] {
            let notice = SecureNotice { key: key(), step };
            assert_eq!(SecureNotice::decode(&notice.clone().encode()), Ok(notice));
        }
    }

    #[test]
    fn other_lengths_and_repeated_sites_are_malformed() {
        let refused = |change: &dyn Fn(&mut wire::Opening)| {
            let mut wire = write_opening(opening());
            change(&mut wire);
            read_opening(&wire).unwrap_err().to_string()
        };
        assert!(refused(&|opening| opening.seeds.push(opening.seeds[0].clone())).contains("a site twice"));
        assert!(
            refused(&|opening| opening.keys[0].share = copied(&[1; 31])).contains("is not 32 bytes long")
        );
        assert!(refused(&|opening| opening.keys[0].site = "Not A Name".into()).contains("is not a name"));
        let mut wire = write_advert(&advert());
        wire.keys = copied(&[1; 95]);
        assert!(read_advert(&wire).unwrap_err().to_string().contains("keys is not 96 bytes long"));
        let twice = ["a".to_owned(), "a".to_owned()];
        assert!(site_names("survivors", &twice).unwrap_err().to_string().contains("a site twice"));
        let empty = wire::SecureNotice { study: "s".into(), round: 1, attempt: 1, step: None };
        assert!(SecureNotice::try_from(empty).unwrap_err().to_string().contains("step is missing"));
        assert!(SecureNotice::decode(&[0xff; 9]).unwrap_err().to_string().contains("message"));
        assert!(SecureNotice::decode(&[]).unwrap_err().to_string().contains("not one of secure aggregation"));
    }
}
