//! The sites that this one hides among: identity keys that its own people have put into a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use fedtwin_audit_log::{PublicKey, Signer};
use fedtwin_certs::folder::load_identity;
use fedtwin_certs::{Credentials, LogSigner};
use fedtwin_plan::SiteName;

/// Reads the identity certificates in a folder, each in a file `*.pem`, and adds this site's own.
///
/// That the federation's authority issued them is not what makes them count, since whoever runs it could issue more:
/// that they are in the folder is.
///
/// # Errors
/// Refuses certificates of others than sites of this federation, and two of one site with different keys.
pub(crate) fn pinned(
    folder: &Path,
    credentials: &Arc<Credentials>,
) -> anyhow::Result<BTreeMap<SiteName, PublicKey>> {
    let own = LogSigner(Arc::clone(credentials)).public_key();
    let site = credentials.identity().site().context("these are no credentials of a site")?;
    let mut keys = BTreeMap::from([(site, own)]);
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("{} cannot be read", folder.display()))?.path();
        if path.extension().is_none_or(|extension| extension != "pem") {
            continue;
        }
        let (identity, key) = load_identity(&path, credentials.authority())?;
        let Some(site) = identity.site() else {
            bail!("{} is the certificate of {identity}, expected that of a site", path.display());
        };
        let key = PublicKey(*key.as_bytes());
        if keys.insert(site.clone(), key).is_some_and(|other| other != key) {
            bail!("{} has another key of {site} than another file, or than this site itself", path.display());
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use fedtwin_certs::folder::create_credentials;
    use fedtwin_certs::{Authority, Role, Terms};
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
            let terms =
                Terms { from: Timestamp(0), tls_until: until, identity_until: until, hosts: Vec::new() };
            let issued = self.authority.issue(role, &name.parse().unwrap(), &terms).unwrap();
            let folder = self.folder.path().join(file);
            create_credentials(&folder, &issued).unwrap();
            fs::copy(folder.join("identity.pem"), self.peers().join(file)).unwrap();
            Arc::new(issued)
        }

        fn pinned(&self, own: &Arc<Credentials>) -> Result<BTreeMap<SiteName, PublicKey>, String> {
            pinned(&self.peers(), own).map_err(|error| format!("{error:#}"))
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
        assert_eq!(keys.values().nth(1), Some(&LogSigner(south).public_key()));
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
        let elsewhere = pinned(&bench.folder.path().join("nowhere"), &north).unwrap_err();
        assert!(format!("{elsewhere:#}").contains("nowhere cannot be read"));
    }
}
