//! Keys that this site's own people have compared: identity certificates that they have put into a folder.
//!
//! That the federation's authority issued them is not what makes them count, since whoever runs it could issue more:
//! that they are in the folder is. So nobody else may put them there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use fedtwin_audit_log::PublicKey as LogKey;
use fedtwin_certs::certificate::CertificateError;
use fedtwin_certs::folder::{load_identity_certificate, refuse_writable};
use fedtwin_certs::{Certificate, Credentials, HolderName, PublicKey, Role};
use fedtwin_plan::SiteName;

/// An identity key that people have compared, and the certificate that it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pinned {
    /// The holder.
    pub(crate) name: HolderName,
    /// The key.
    pub(crate) key: PublicKey,
    /// The certificate's serial number, by which the authority would take it back.
    pub(crate) serial: String,
}

impl Pinned {
    fn of(certificate: &Certificate) -> Result<Self, CertificateError> {
        let Certificate { identity, serial, .. } = certificate;
        Ok(Self { name: identity.name.clone(), key: certificate.signing_key()?, serial: serial.clone() })
    }

    /// Returns the key as logs have it.
    pub(crate) fn log_key(&self) -> LogKey {
        LogKey(*self.key.as_bytes())
    }
}

/// Reads one identity certificate.
///
/// # Errors
/// Refuses that of anybody but a holder of this role in this federation, and a file that everybody on this machine may
/// write.
pub(crate) fn certificate(file: &Path, role: Role, credentials: &Credentials) -> anyhow::Result<Pinned> {
    let (certificate, _key) = load_identity_certificate(file, credentials.authority())?;
    let identity = &certificate.identity;
    if identity.role != role {
        bail!("{} is the certificate of {identity}, expected that of a {role}", file.display());
    }
    Ok(Pinned::of(&certificate)?)
}

/// Reads the certificates of the sites that this one hides among, `*.pem` in a folder, and adds its own.
///
/// # Errors
/// Refuses certificates of others than sites of this federation, two of one site with different keys, and a folder or file
/// that everybody on this machine may write.
pub(crate) fn peers(folder: &Path, credentials: &Credentials) -> anyhow::Result<BTreeMap<SiteName, Pinned>> {
    let unreadable = || format!("{} cannot be read", folder.display());
    let own = Pinned::of(&Certificate::parse(credentials.identity_der())?)?;
    let site = credentials.identity().site().context("these are no credentials of a site")?;
    let mut keys = BTreeMap::from([(site, own)]);
    let entries = fs::read_dir(folder).with_context(unreadable)?;
    refuse_writable(folder)?;
    for entry in entries {
        let path = entry.with_context(unreadable)?.path();
        if path.extension().is_none_or(|extension| extension != "pem") {
            continue;
        }
        let pinned = certificate(&path, Role::Site, credentials)?;
        let site: SiteName = pinned.name.as_str().parse()?;
        let key = pinned.key;
        if keys.insert(site.clone(), pinned).is_some_and(|other| other.key != key) {
            bail!("{} has another key of {site} than another file, or than this site itself", path.display());
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    use fedtwin_certs::folder::create_credentials;
    use fedtwin_certs::{Authority, CertificateTerms, Role};
    use fedtwin_plan::Timestamp;

    use super::*;

    /// A federation with two sites and a researcher, whose identity certificates are in one folder.
    struct Bench {
        folder: tempfile::TempDir,
        authority: Authority,
    }

    impl Bench {
        fn new() -> Self {
            let until = Timestamp(0) + Duration::from_secs(1000);
            let authority = Authority::create(&"demo".parse().unwrap(), Timestamp(0), until).unwrap();
            let bench = Self { folder: tempfile::tempdir().unwrap(), authority };
            fs::create_dir(bench.peers()).unwrap();
            bench
        }

        fn peers(&self) -> PathBuf {
            self.folder.path().join("peers")
        }

        /// Issues credentials, and pins them under a file name.
        fn pin(&self, role: Role, name: &str, file: &str) -> Arc<Credentials> {
            let until = Timestamp(0) + Duration::from_secs(1000);
            let terms = CertificateTerms {
                from: Timestamp(0),
                tls_until: until,
                identity_until: until,
                hosts: Vec::new(),
            };
            let issued = self.authority.issue(role, &name.parse().unwrap(), &terms).unwrap();
            let folder = self.folder.path().join(file);
            create_credentials(&folder, &issued).unwrap();
            fs::copy(folder.join("identity.pem"), self.peers().join(file)).unwrap();
            Arc::new(issued)
        }

        fn pinned(&self, own: &Arc<Credentials>) -> Result<BTreeMap<SiteName, Pinned>, String> {
            peers(&self.peers(), own).map_err(|error| format!("{error:#}"))
        }
    }

    #[test]
    fn the_certificates_in_the_folder_are_pinned_and_nobody_else() {
        let bench = Bench::new();
        let north = bench.pin(Role::Site, "north", "north.pem");
        let south = bench.pin(Role::Site, "south", "south.pem");
        bench.pin(Role::Site, "west", "west.txt");
        let keys = bench.pinned(&north).unwrap();
        assert_eq!(keys.keys().map(SiteName::as_str).collect::<Vec<_>>(), ["north", "south"]);
        assert_eq!(keys.values().nth(1).map(|pinned| &pinned.key), Some(south.identity_key().public()));
        fs::remove_file(bench.peers().join("south.pem")).unwrap();
        fs::remove_file(bench.peers().join("north.pem")).unwrap();
        assert_eq!(bench.pinned(&north).unwrap().len(), 1, "a site knows itself");
    }

    #[test]
    fn other_roles_other_keys_and_other_files_are_refused() {
        let bench = Bench::new();
        let north = bench.pin(Role::Site, "north", "north.pem");
        bench.pin(Role::Researcher, "ada", "ada.pem");
        let refused = bench.pinned(&north).unwrap_err();
        assert!(
            refused.contains("ada.pem is the certificate of") && refused.contains("that of a site"),
            "{refused}"
        );
        fs::remove_file(bench.peers().join("ada.pem")).unwrap();
        // The authority certifies another key under this site's own name.
        bench.pin(Role::Site, "north", "again.pem");
        let refused = bench.pinned(&north).unwrap_err();
        assert!(refused.contains("another key of north"), "{refused}");
        fs::write(bench.peers().join("again.pem"), "no certificate").unwrap();
        assert!(bench.pinned(&north).unwrap_err().contains("does not hold exactly one PEM block"));
        let elsewhere = peers(&bench.folder.path().join("nowhere"), &north).unwrap_err();
        assert!(format!("{elsewhere:#}").contains("nowhere cannot be read"));
    }

    #[test]
    fn what_everybody_may_write_is_no_pin() {
        let bench = Bench::new();
        let north = bench.pin(Role::Site, "north", "north.pem");
        for path in [bench.peers().join("north.pem"), bench.peers()] {
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o002)).unwrap();
            let refused = bench.pinned(&north).unwrap_err();
            assert!(refused.contains("everybody on this machine may write"), "{refused}");
            assert!(refused.contains(&format!("chmod o-w {}", path.display())), "{refused}");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        assert!(bench.pinned(&north).is_ok());
    }
}
