//! Whose plans count here: researchers by their identity keys, which people at this site have compared.
//!
//! A name alone is what the federation's authority says, and whoever has its key can give a name to anybody.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use fedtwin_certs::{Credentials, HolderName, PlanSigner, Role};
use fedtwin_plan::Digest;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{PlanLine, PolicyError};
use crate::pins::{self, Pinned};

/// The line `researchers` of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Researchers {
    /// `"everybody"`: whomever the federation's authority calls a researcher.
    Everybody,
    /// By name, each with an identity key.
    Pinned(BTreeMap<HolderName, Pin>),
}

/// How a policy names an identity key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// By its SHA-256, as `fedtwin ca fingerprint` shows it.
    Fingerprint(Digest),
    /// By the file of its certificate, `identity.pem`.
    Certificate(PathBuf),
}

/// Nobody.
impl Default for Researchers {
    fn default() -> Self {
        Self::Pinned(BTreeMap::new())
    }
}

/// Whose plans count, with the files read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResearcherKeys {
    /// Whomever the federation's authority calls a researcher.
    Everybody,
    /// The SHA-256 of each one's identity key.
    Pinned(BTreeMap<HolderName, Digest>),
}

impl Researchers {
    /// Reads the certificates that the line names; their paths start at `base`.
    ///
    /// # Errors
    /// Refuses files that are not the identity certificate of this researcher in this federation, or that everybody on
    /// this machine may write.
    pub fn read(&self, base: &Path, credentials: &Credentials) -> anyhow::Result<ResearcherKeys> {
        let Self::Pinned(pins) = self else { return Ok(ResearcherKeys::Everybody) };
        let key = |(name, pin): (&HolderName, &Pin)| match pin {
            Pin::Fingerprint(fingerprint) => Ok((name.clone(), *fingerprint)),
            Pin::Certificate(file) => {
                let file = base.join(file);
                let Pinned { name: found, key, .. } =
                    pins::certificate(&file, Role::Researcher, credentials)?;
                anyhow::ensure!(
                    found == *name,
                    "{} is the certificate of {found}, not of {name}",
                    file.display()
                );
                Ok((found, key.fingerprint()))
            }
        };
        Ok(ResearcherKeys::Pinned(pins.iter().map(key).collect::<anyhow::Result<_>>()?))
    }
}

impl ResearcherKeys {
    /// Checks who signed a plan.
    ///
    /// # Errors
    /// Refuses everybody whose key is not pinned under the name in the certificate.
    pub fn check(&self, signer: &PlanSigner) -> Result<(), PolicyError> {
        let Self::Pinned(keys) = self else { return Ok(()) };
        let PlanSigner { identity, key } = signer;
        let rule = match keys.get(&identity.name) {
            Some(pinned) if *pinned == key.fingerprint() => return Ok(()),
            Some(pinned) => {
                format!("knows {} by the identity key {pinned} and not by this one", identity.name)
            }
            None if keys.is_empty() => "allows no researcher: its line `researchers` pins no key".to_owned(),
            None => format!(
                "allows the researchers {}",
                keys.keys().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            ),
        };
        let asked = format!("researcher {} with the identity key {}", identity.name, key.fingerprint());
        Err(PolicyError { line: PlanLine::Signer, rule, asked })
    }
}

impl<'de> Deserialize<'de> for Researchers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Line)
    }
}

struct Line;

impl<'de> Visitor<'de> for Line {
    type Value = Researchers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Researchers, E> {
        if text == "everybody" {
            Ok(Researchers::Everybody)
        } else {
            Err(E::custom(format!("expected {EXPECTED}")))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Researchers, A::Error> {
        let mut pins = BTreeMap::new();
        while let Some((name, pin)) = map.next_entry::<String, String>()? {
            let name = name.parse::<HolderName>().map_err(Error::custom)?;
            // A file name has an ending, and a fingerprint has none.
            let pin = match pin.parse() {
                Ok(fingerprint) => Pin::Fingerprint(fingerprint),
                Err(_) if pin.ends_with(".pem") => Pin::Certificate(pin.into()),
                Err(_) => return Err(Error::custom(format!("{name} is {pin:?}: expected {EXPECTED}"))),
            };
            pins.insert(name, pin);
        }
        Ok(Researchers::Pinned(pins))
    }

    /// An empty list says nobody; names alone say nothing.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Researchers, A::Error> {
        match list.next_element::<String>()? {
            None => Ok(Researchers::default()),
            Some(name) => Err(Error::custom(format!("{name:?} is a name alone: expected {EXPECTED}"))),
        }
    }
}

const EXPECTED: &str = "a table of names, each with the SHA-256 of the researcher's identity key (`fedtwin ca fingerprint` \
                        shows it) or the file of the identity certificate (.pem), or \"everybody\"";
