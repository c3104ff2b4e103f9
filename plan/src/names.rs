//! Names of federations, sites, studies and cohorts.
//!
//! A name becomes part of file names, certificates and log entries, so all kinds share one strict alphabet.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes: fits a DNS label and keeps log lines readable.
pub const NAME_LENGTH_MAX: usize = 40;

/// A text that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name: expected 1 to 40 of a-z, 0-9 and -, beginning with a letter")]
pub struct NotAName(String);

fn check(text: &str) -> Result<(), NotAName> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let begins_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if begins_well && text.len() <= NAME_LENGTH_MAX && text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(NotAName(text.chars().take(NAME_LENGTH_MAX + 1).collect()))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAName;
            fn from_str(text: &str) -> Result<Self, NotAName> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAName;
            fn try_from(text: String) -> Result<Self, NotAName> {
                check(&text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a federation: one certificate authority and its sites.
    FederationName
);
name!(
    /// The name of a site within its federation.
    SiteName
);
name!(
    /// The name of a researcher within their federation.
    ResearcherName
);
name!(
    /// The identifier of a study: one model, one plan, many rounds.
    StudyId
);
name!(
    /// The name of a cohort: a data set at one site, with its declared size.
    CohortName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_strict() {
        for good in ["a", "va", "scanner-a", "h2", &"a".repeat(40)] {
            assert!(good.parse::<SiteName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "2h", "A", "a b", "a/b", "../a", "é", &"a".repeat(41)] {
            assert!(bad.parse::<SiteName>().is_err(), "{bad}");
        }
    }
}
