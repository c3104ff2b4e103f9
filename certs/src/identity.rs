//! Who somebody is: a federation, a role in it, and a name; written as the URI in a certificate.

use std::fmt;
use std::str::FromStr;

use fedtwin_plan::names::NotAName;
use fedtwin_plan::{FederationName, ResearcherName, SiteName};

/// What somebody may do in a federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A hospital's agent: takes part in studies.
    Site,
    /// A person who signs plans and launches studies.
    Researcher,
    /// A person who reads ledgers and verifies them.
    Auditor,
    /// A person who runs the coordinator.
    Operator,
    /// The program that brings sites together.
    Coordinator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] =
        [Self::Site, Self::Researcher, Self::Auditor, Self::Operator, Self::Coordinator];

    /// Returns the role as it stands in a certificate.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Researcher => "researcher",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Coordinator => "coordinator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| NotAnIdentity::Role(excerpt(text)))
    }
}

/// The name of a certificate's holder within its role, of the same strict alphabet as a [`SiteName`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HolderName(String);

impl HolderName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HolderName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        text.parse::<SiteName>().map(Self::from)
    }
}

impl From<SiteName> for HolderName {
    fn from(name: SiteName) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for HolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who somebody is, written `spiffe://<federation>/<role>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The federation whose authority vouches for the rest.
    pub federation: FederationName,
    /// What the holder may do.
    pub role: Role,
    /// The holder's name, unique within the role.
    pub name: HolderName,
}

impl Identity {
    /// Returns the site's name, if this is a site.
    #[must_use]
    pub fn site(&self) -> Option<SiteName> {
        let name = || self.name.0.parse().expect("a holder's name has a site name's alphabet");
        (self.role == Role::Site).then(name)
    }

    /// Returns the researcher's name, if this is one.
    #[must_use]
    pub fn researcher(&self) -> Option<ResearcherName> {
        let name = || self.name.0.parse().expect("a holder's name has a researcher name's alphabet");
        (self.role == Role::Researcher).then(name)
    }

    /// Returns the name under which this holder cosigns others' checkpoints: `<federation>/<role>/<name>`.
    #[must_use]
    pub fn cosigner(&self) -> String {
        format!("{}/{}/{}", self.federation, self.role, self.name)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}/{}", self.federation, self.role, self.name)
    }
}

impl FromStr for Identity {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        let shape = || NotAnIdentity::Shape(excerpt(text));
        let mut parts = text.strip_prefix(SCHEME).ok_or_else(shape)?.split('/');
        let (Some(federation), Some(role), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(shape());
        };
        Ok(Self { federation: federation.parse()?, role: role.parse()?, name: name.parse()? })
    }
}

/// A text that names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIdentity {
    /// Not a URI of the expected parts.
    #[error("{0:?} is not an identity: expected spiffe://<federation>/<role>/<name>")]
    Shape(String),
    /// A role that does not exist.
    #[error("{0:?} is not a role: expected site, researcher, auditor, operator or coordinator")]
    Role(String),
    /// A federation or a holder that cannot have this name.
    #[error(transparent)]
    Name(#[from] NotAName),
}

/// Keeps error messages short whatever a peer's certificate says.
fn excerpt(text: &str) -> String {
    const EXCERPT_LENGTH_MAX: usize = 120;
    text.chars().take(EXCERPT_LENGTH_MAX).collect()
}

/// The URI scheme of the SPIFFE ID standard, section 2.
const SCHEME: &str = "spiffe://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_read_back_as_written() {
        for role in Role::ALL {
            let text = format!("spiffe://heart/{role}/va");
            let identity: Identity = text.parse().unwrap();
            assert_eq!(identity.role, role);
            assert_eq!(identity.to_string(), text);
            assert_eq!(identity.site().is_some(), role == Role::Site);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "spiffe://",
            "spiffe://heart",
            "spiffe://heart/site",
            "spiffe://heart/site/",
            "spiffe://heart/site/va/",
            "spiffe://heart/site/va/x",
            "spiffe://heart//va",
            "spiffe:///site/va",
            "spiffe://heart/Site/va",
            "spiffe://heart/admin/va",
            "spiffe://Heart/site/va",
            "SPIFFE://heart/site/va",
            "https://heart/site/va",
            "spiffe://heart/site/va?x",
            "spiffe://heart/site/../va",
            "spiffe://heart:443/site/va",
            " spiffe://heart/site/va",
        ] {
            assert!(bad.parse::<Identity>().is_err(), "{bad}");
        }
    }
}
