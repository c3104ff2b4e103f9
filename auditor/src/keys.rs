//! By which keys logs are verified: those of known writers, or bare ones.

use fedtwin_audit_log::PublicKey;
use fedtwin_certs::Identity;

/// Keys of known or unknown writers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownKeys(Vec<(Option<Identity>, PublicKey)>);

impl FromIterator<(Option<Identity>, PublicKey)> for KnownKeys {
    fn from_iter<I: IntoIterator<Item = (Option<Identity>, PublicKey)>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl KnownKeys {
    /// Returns all keys of the writer `identity`, old ones included, and those whose holder is not stated.
    pub fn all_of<'a>(&'a self, identity: &'a Identity) -> impl Iterator<Item = PublicKey> + 'a {
        let matching =
            move |holder: &Option<Identity>| holder.as_ref().is_none_or(|holder| holder == identity);
        self.0.iter().filter(move |(holder, _)| matching(holder)).map(|&(_, key)| key)
    }

    /// Returns the keys of known holders by the names under which they cosign: `<federation>/<role>/<name>`.
    pub fn cosigners(&self) -> impl Iterator<Item = (String, PublicKey)> {
        self.0.iter().filter_map(|(holder, key)| Some((holder.as_ref()?.cosigner(), *key)))
    }

    /// Returns the only key, for logs that do not say whose they are.
    #[must_use]
    pub fn only(&self) -> Option<PublicKey> {
        match self.0.as_slice() {
            [(_, key)] => Some(*key),
            [] | [_, _, ..] => None,
        }
    }
}
