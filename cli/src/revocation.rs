//! `fedtwin ca revoke`: the list of certificates that the authority takes back.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fedtwin_certs::RevocationList;
use fedtwin_certs::authority::IssueError;
use fedtwin_certs::folder::{self, FolderError};
use fedtwin_plan::{FederationName, Timestamp};

use crate::ca::Holder;

/// What to take back; nothing renews the list alone.
#[derive(Debug, Clone, Default)]
pub struct Revoke {
    /// Whose certificates, all of them.
    pub holders: Vec<Holder>,
    /// Files of single certificates.
    pub certificates: Vec<PathBuf>,
    /// After how many days the next list is due; without it when the authority's own certificate ends.
    pub days: Option<u32>,
}

/// A list that was written.
#[derive(Debug)]
pub struct Revoked {
    /// The federation, by the name in its authority's certificate.
    pub federation: FederationName,
    /// The list.
    pub list: RevocationList,
    /// Its file.
    pub file: PathBuf,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { federation, list: RevocationList { number, revoked, .. }, file } = self;
        write!(
            f,
            "revocation list {number} of {federation} with {} certificates in {}: the coordinator and every site need a copy \
             where `revoked` of their configuration says",
            revoked.len(),
            file.display()
        )
    }
}

/// Why nothing is revoked.
#[derive(Debug, thiserror::Error)]
pub enum NotRevoked {
    /// A folder or file cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The list cannot be made.
    #[error("the list cannot be signed")]
    Issue(#[from] IssueError),
    /// The authority has no note of the holder.
    #[error(
        "{ca} has no note of certificates of {holder}: name their files by --certificate, or check the name",
        ca = .ca.display(),
        holder = .holder
    )]
    Unknown {
        /// The authority's folder.
        ca: PathBuf,
        /// Who was named.
        holder: Holder,
    },
}

/// Takes certificates back: signs the list that follows the one in the authority's folder, and puts it in its place.
///
/// # Errors
/// Refuses holders of whom nothing is known, and files that are no certificates of the authority.
pub fn revoke(ca: &Path, order: &Revoke, now: Timestamp) -> Result<Revoked, NotRevoked> {
    let authority = folder::load_authority(ca)?;
    let certificate = authority.certificate();
    let file = ca.join(REVOKED_PEM);
    let before = folder::load_revocation_list(&file, certificate)?;
    let (number, mut revoked) =
        before.map_or((1, Default::default()), |list| (list.number + 1, list.revoked));
    for holder in &order.holders {
        let serials = folder::issued_to(ca, holder.role, &holder.name)?;
        if serials.is_empty() {
            return Err(NotRevoked::Unknown { ca: ca.to_owned(), holder: holder.clone() });
        }
        for serial in serials {
            revoked.entry(serial).or_insert(now);
        }
    }
    for certificate in &order.certificates {
        revoked.entry(folder::serial_of(certificate, ca)?).or_insert(now);
    }
    let (_, last) = certificate.validity();
    let until = order.days.map_or(last, |days| now + DAY * days);
    let list = RevocationList { number, issued: now, until, revoked };
    folder::write_revocation_list(&file, &authority.revoke(&list)?)?;
    Ok(Revoked { federation: certificate.federation().clone(), list, file })
}

/// The list's name in the authority's folder.
pub const REVOKED_PEM: &str = "revoked.pem";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use fedtwin_certs::folder::load_credentials;

    use super::*;
    use crate::ca::{self, Order};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn holders(names: &[&str]) -> Vec<Holder> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn lists_are_numbered_and_hold_all_certificates_of_a_holder() {
        let folder = tempfile::tempdir().unwrap();
        let (ca, parent) = (folder.path().join("ca"), folder.path().join("holders"));
        ca::init(&ca, &"demo".parse().unwrap(), 5, NOW).unwrap();
        let order = Order { holders: holders(&["site/a", "site/b", "site/ab"]), days: 30, hosts: Vec::new() };
        ca::issue(&ca, &parent, &order, NOW).unwrap();
        let first = revoke(&ca, &Revoke::default(), NOW).unwrap();
        assert_eq!((first.list.number, first.list.revoked.len()), (1, 0), "a list may be empty");
        let second =
            revoke(&ca, &Revoke { holders: holders(&["site/b"]), ..Revoke::default() }, NOW).unwrap();
        let serials = |name: &str| {
            let credentials = load_credentials(&parent.join(name)).unwrap();
            let authority = credentials.authority();
            let signing = authority.verify(credentials.identity_der()).unwrap().serial;
            [credentials.tls().serial.clone(), signing]
        };
        assert_eq!((second.list.number, second.list.revoked.len()), (2, 2));
        assert!(serials("b").iter().all(|serial| second.list.check(serial).is_err()));
        assert!(serials("ab").iter().all(|serial| second.list.check(serial).is_ok()), "only the whole name");
        let one = Revoke { certificates: vec![parent.join("a/tls.pem")], days: Some(7), ..Revoke::default() };
        let third = revoke(&ca, &one, NOW + DAY).unwrap().list;
        assert_eq!((third.number, third.revoked.len(), third.until), (3, 3, NOW + DAY * 8));
        assert_eq!(third.revoked[&serials("b")[0]], NOW, "what was revoked stays so");
        let authority = folder::load_authority_certificate(&ca.join("ca.pem")).unwrap();
        assert_eq!(folder::load_revocation_list(&ca.join(REVOKED_PEM), &authority).unwrap(), Some(third));
        let refused = revoke(&ca, &Revoke { holders: holders(&["site/c"]), ..Revoke::default() }, NOW);
        assert!(refused.unwrap_err().to_string().contains("no note of certificates of site/c"));
    }
}
