//! `fedtwin ca`: the federation's authority and the credentials it issues.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use fedtwin_certs::authority::IssueError;
use fedtwin_certs::folder::{self, FolderError};
use fedtwin_certs::identity::NotAnIdentity;
use fedtwin_certs::{Authority, CertificateTerms, HolderName, Identity, PublicKey, Role};
use fedtwin_plan::{Digest, FederationName, Timestamp};

/// Somebody who gets credentials, written `role/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// What the holder may do.
    pub role: Role,
    /// The holder's name.
    pub name: HolderName,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.role, self.name)
    }
}

impl FromStr for Holder {
    type Err = NotAHolder;

    fn from_str(text: &str) -> Result<Self, NotAHolder> {
        let (role, name) = text.split_once('/').ok_or_else(|| NotAHolder::Shape(text.to_owned()))?;
        Ok(Self { role: role.parse()?, name: name.parse().map_err(NotAnIdentity::from)? })
    }
}

/// A text that names no holder.
#[derive(Debug, thiserror::Error)]
pub enum NotAHolder {
    /// There is no slash in it.
    #[error("{0:?} is no holder: expected role/name, like site/va")]
    Shape(String),
    /// There is no such role, or the name is none.
    #[error(transparent)]
    Part(#[from] NotAnIdentity),
}

/// What to issue.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who gets credentials.
    pub holders: Vec<Holder>,
    /// For how many days the TLS certificates are good.
    pub days: u32,
    /// DNS names and IP addresses of the coordinators among the holders.
    pub hosts: Vec<String>,
}

/// Credentials that were written.
#[derive(Debug)]
pub struct Issued {
    /// Whom they name.
    pub identity: Identity,
    /// The folder.
    pub folder: PathBuf,
    /// The public half of the identity key, by which auditors verify the holder's log.
    pub key: PublicKey,
}

impl fmt::Display for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, folder, key } = self;
        let folder = folder.display();
        write!(f, "{identity} in {folder}, identity key {key:?}, fingerprint {}", key.fingerprint())
    }
}

/// Why the authority did nothing, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A folder cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The authority itself cannot be made.
    #[error("the authority was not created")]
    Create(#[source] IssueError),
    /// A certificate cannot be made.
    #[error("no credentials for {role} {name}", role = .holder.role, name = .holder.name)]
    Issue {
        /// For whom.
        holder: Holder,
        /// Why.
        source: Box<IssueError>,
    },
    /// Two holders would share a folder.
    #[error("{0} is named twice: each holder's folder has the holder's name, so issue them into two parents")]
    Twice(HolderName),
    /// Hosts, but nobody to be reached at them.
    #[error("--host is for a coordinator's certificate, and no coordinator is among the holders")]
    HostWithoutCoordinator,
    /// The parent folder cannot be made.
    #[error("{folder} cannot be created")]
    Parent {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Creates a federation's authority in a new folder.
///
/// # Errors
/// Refuses a folder that exists.
pub fn init(folder: &Path, federation: &FederationName, years: u32, now: Timestamp) -> Result<(), CaError> {
    let until = now + DAY * 365 * years;
    let authority = Authority::create(federation, earlier(now), until).map_err(CaError::Create)?;
    if let Some(parent) = folder.parent() {
        create_parent(parent)?;
    }
    Ok(folder::create_authority(folder, &authority)?)
}

/// Issues credentials to several holders, each into `parent/name`.
///
/// Identity certificates are as long-lived as the authority: what they sign must stay verifiable.
///
/// # Errors
/// Refuses terms that the authority does not grant, and folders that exist; those written before stay.
pub fn issue(ca: &Path, parent: &Path, order: &Order, now: Timestamp) -> Result<Vec<Issued>, CaError> {
    let mut names = BTreeSet::new();
    if let Some(twice) = order.holders.iter().find(|holder| !names.insert(&holder.name)) {
        return Err(CaError::Twice(twice.name.clone()));
    }
    if !order.hosts.is_empty() && order.holders.iter().all(|holder| holder.role != Role::Coordinator) {
        return Err(CaError::HostWithoutCoordinator);
    }
    let authority = folder::load_authority(ca)?;
    create_parent(parent)?;
    order.holders.iter().map(|holder| issue_one(&authority, (ca, parent), holder, order, now)).collect()
}

fn issue_one(
    authority: &Authority,
    (ca, parent): (&Path, &Path),
    holder: &Holder,
    order: &Order,
    now: Timestamp,
) -> Result<Issued, CaError> {
    let hosts = match holder.role {
        Role::Coordinator if order.hosts.is_empty() => LOCAL_HOSTS.map(str::to_owned).to_vec(),
        Role::Coordinator => order.hosts.clone(),
        Role::Site | Role::Researcher | Role::Auditor | Role::Operator => Vec::new(),
    };
    let (first, last) = authority.certificate().validity();
    let terms = CertificateTerms {
        from: earlier(now).max(first),
        tls_until: now + DAY * order.days,
        identity_until: last,
        hosts,
    };
    let credentials = authority
        .issue(holder.role, &holder.name, &terms)
        .map_err(|source| CaError::Issue { holder: holder.clone(), source: source.into() })?;
    let folder = parent.join(holder.name.as_str());
    folder::create_credentials(&folder, &credentials)?;
    folder::record_issued(ca, &credentials)?;
    Ok(Issued { identity: credentials.identity().clone(), folder, key: *credentials.identity_key().public() })
}

/// Whose identity certificate a file is, and by which fingerprint people compare and pin its key.
#[derive(Debug)]
pub struct Fingerprint {
    /// The holder.
    pub identity: Identity,
    /// The SHA-256 of the identity key.
    pub fingerprint: Digest,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.fingerprint, self.identity)
    }
}

/// Reads an identity certificate, and its fingerprint from it.
///
/// # Errors
/// Refuses a file that is no identity certificate of the authority's.
pub fn fingerprint(file: &Path, ca: &Path) -> Result<Fingerprint, CaError> {
    let authority = folder::load_authority_certificate(ca)?;
    let (identity, key) = folder::load_identity(file, &authority)?;
    Ok(Fingerprint { identity, fingerprint: key.fingerprint() })
}

fn create_parent(folder: &Path) -> Result<(), CaError> {
    std::fs::create_dir_all(folder).map_err(|source| CaError::Parent { folder: folder.to_owned(), source })
}

/// Certificates begin a little early, for peers whose clocks are late.
fn earlier(now: Timestamp) -> Timestamp {
    Timestamp(now.0.saturating_sub(CLOCK_SKEW_MS))
}

const CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Where a coordinator is reached in a federation on one machine.
const LOCAL_HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn order(holders: &[&str], hosts: &[&str]) -> Order {
        Order {
            holders: holders.iter().map(|holder| holder.parse().unwrap()).collect(),
            days: 30,
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        }
    }

    #[test]
    fn a_federation_is_issued_in_two_commands() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, parent) = (folder.path().join("ca"), folder.path().join("holders"));
        init(&ca, &"demo".parse().unwrap(), 10, NOW).unwrap();
        let order = order(&["coordinator/hub", "site/a", "site/b", "researcher/ada"], &[]);
        let issued = issue(&ca, &parent, &order, NOW).unwrap();
        assert_eq!(issued[0].identity.to_string(), "spiffe://demo/coordinator/hub");
        for issued in &issued {
            let credentials = folder::load_credentials(&issued.folder).unwrap();
            assert_eq!(*credentials.identity(), issued.identity);
            let shown = fingerprint(&issued.folder.join("identity.pem"), &ca.join("ca.pem")).unwrap();
            assert_eq!(shown.to_string(), format!("{}  {}", issued.key.fingerprint(), issued.identity));
            assert!(fingerprint(&issued.folder.join("tls.pem"), &ca.join("ca.pem")).is_err());
            assert!(credentials.check_time(NOW + DAY * 29).is_ok());
            assert!(credentials.check_time(NOW + DAY * 31).is_err());
            assert!(
                credentials.authority().verify_identity(credentials.identity_der(), NOW + DAY * 3000).is_ok()
            );
        }
        let again = issue(&ca, &parent, &order, NOW).unwrap_err().to_string();
        assert!(again.contains("hub exists already"), "{again}");
    }

    #[test]
    fn nothing_is_issued_that_cannot_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca");
        init(&ca, &"demo".parse().unwrap(), 1, NOW).unwrap();
        let refused = |order: &Order| issue(&ca, folder.path(), order, NOW).unwrap_err().to_string();
        assert!(refused(&order(&["site/a", "auditor/a"], &[])).starts_with("a is named twice"));
        assert!(refused(&order(&["site/a"], &["example.org"])).starts_with("--host is for a coordinator"));
        assert_eq!(refused(&Order { days: 400, ..order(&["site/a"], &[]) }), "no credentials for site a");
        for bad in ["va", "hospital/va", "site/VA", "site/", "/va"] {
            assert!(bad.parse::<Holder>().is_err(), "{bad}");
        }
    }
}
