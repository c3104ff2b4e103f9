//! What this site remembers of the other sites' ledgers: the largest checkpoint of each, on disk.
//!
//! A site whose ledger is rolled back is told by those who remember more. A remembered checkpoint is only
//! replaced by one that continues it, and the first one of a site is believed. Memory is this site's own:
//! a coordinator that hides a ledger's past from its site has to get every other site to forget it, too.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fedtwin_audit_log::cosignature::cosign;
use fedtwin_audit_log::{Checkpoint, PublicKey, Succession, succeeds};
use fedtwin_certs::certificate::CertificateError;
use fedtwin_certs::{Credentials, Identity, LogSigner};
use fedtwin_plan::{Digest, SiteName, Timestamp};
use fedtwin_privacy::ledger::Owner;
use fedtwin_privacy::ledger::witness::origin;
use fedtwin_proto::domain::{Growth, Sighting};
use fedtwin_proto::limits::WITNESSED_MAX;
use serde::{Deserialize, Serialize};

use crate::whole_file;

/// The memory of other sites' ledgers.
#[derive(Debug)]
pub struct Others {
    folder: PathBuf,
    credentials: Arc<Credentials>,
    seen: BTreeMap<SiteName, Seen>,
}

/// What is remembered of one ledger, as its file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// The site's identity key when it was first seen.
    key: Digest,
    checkpoint: String,
    cosignature: String,
}

/// Something that must not happen to an honest site's ledger.
#[derive(Debug, thiserror::Error)]
pub enum Conflict {
    /// The certificate is not one of the federation.
    #[error("the certificate of site {site} is not accepted")]
    Certificate {
        /// The other site.
        site: SiteName,
        /// Why.
        source: CertificateError,
    },
    /// The certificate is somebody else's.
    #[error("the ledger of site {0} comes with a certificate of somebody else")]
    OtherHolder(SiteName),
    /// The key is not the one that signed before, and that one has not signed that it follows.
    #[error(
        "site {0} signs its ledger with another key than before, and the old key has not signed that; if people there say \
         that they lost the old key, remove what this site remembers: {0}.json in the folder witnessed of its state"
    )]
    OtherKey(SiteName),
    /// The site did not sign it.
    #[error("a checkpoint of site {site} is not its own")]
    Checkpoint {
        /// The other site.
        site: SiteName,
        /// Why.
        source: fedtwin_audit_log::checkpoint::CheckpointError,
    },
    /// It does not continue what was seen.
    #[error(
        "the ledger of site {site} has {now} entries that do not continue the {before} that this site saw"
    )]
    NotContinued {
        /// The other site.
        site: SiteName,
        /// The entries that were seen.
        before: u64,
        /// The entries that it claims now.
        now: u64,
    },
    /// There are more sites than can be remembered.
    #[error("{WITNESSED_MAX} other sites are remembered, site {0} is not")]
    TooMany(SiteName),
    /// This site's disk.
    #[error("what was seen of site {site} cannot be kept")]
    Storage {
        /// The other site.
        site: SiteName,
        /// Why.
        source: io::Error,
    },
}

impl Others {
    /// Reads the memory; what cannot be read is as if it had not been seen, and logged.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn open(folder: PathBuf, credentials: Arc<Credentials>) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut seen = BTreeMap::new();
        for file in fs::read_dir(&folder)? {
            let path = file?.path();
            // What was being written when the agent ended has another ending.
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let name = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
            let memory = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Seen>(&text).ok());
            match name.zip(memory) {
                Some((site, memory)) => drop(seen.insert(site, memory)),
                None => tracing::error!(path = %path.display(), "a remembered checkpoint cannot be read"),
            }
        }
        Ok(Self { folder, credentials, seen })
    }

    /// Returns all that is remembered, for the coordinator and through it for the sites themselves.
    #[must_use]
    pub fn sightings(&self) -> Vec<Sighting> {
        let sighting = |(site, seen): (&SiteName, &Seen)| Sighting {
            site: site.clone(),
            checkpoint: seen.checkpoint.clone(),
            cosignature: seen.cosignature.clone(),
        };
        self.seen.iter().map(sighting).take(WITNESSED_MAX).collect()
    }

    /// Takes in what became of another site's ledger, if it continues what was seen; cosigns it and keeps it
    /// on disk.
    ///
    /// # Errors
    /// Returns what a person should look at; what was seen stays.
    pub fn take(&mut self, growth: &Growth, now: Timestamp) -> Result<(), Conflict> {
        let site = growth.site.clone();
        let before = self.seen.get(&site);
        if before.is_none() && self.seen.len() >= WITNESSED_MAX {
            return Err(Conflict::TooMany(site));
        }
        let key = self.key_of(growth, now)?;
        let changes = growth.key_changes.iter().filter_map(|change| serde_json::from_str(change).ok());
        let changes: Vec<Succession> = changes.collect();
        if before.is_some_and(|seen| !succeeds(&PublicKey(seen.key.0), &key, &changes)) {
            return Err(Conflict::OtherKey(site));
        }
        let (checkpoint, note) = self.open_note(&site, &growth.checkpoint, &key)?;
        if let Some(seen) = before {
            let (old, _) = self.open_note(&site, &seen.checkpoint, &PublicKey(seen.key.0))?;
            if !old.tree().is_prefix_of(&checkpoint.tree(), &growth.proof) {
                return Err(Conflict::NotContinued { site, before: old.size(), now: checkpoint.size() });
            }
        }
        let signer = LogSigner(Arc::clone(&self.credentials));
        let cosignature = cosign(&checkpoint, &self.credentials.identity().cosigner(), &signer, now.0 / 1000);
        let seen = Seen { key: Digest(key.0), checkpoint: note, cosignature };
        self.keep(&site, &seen).map_err(|source| Conflict::Storage { site: site.clone(), source })?;
        self.seen.insert(site, seen);
        Ok(())
    }

    fn key_of(&self, growth: &Growth, now: Timestamp) -> Result<PublicKey, Conflict> {
        let verified = self.credentials.authority().verify_identity(&growth.certificate, now);
        let (identity, key): (Identity, _) =
            verified.map_err(|source| Conflict::Certificate { site: growth.site.clone(), source })?;
        if identity.site().as_ref() == Some(&growth.site) {
            Ok(PublicKey(*key.as_bytes()))
        } else {
            Err(Conflict::OtherHolder(growth.site.clone()))
        }
    }

    fn open_note(
        &self,
        site: &SiteName,
        note: &str,
        key: &PublicKey,
    ) -> Result<(Checkpoint, String), Conflict> {
        let federation = self.credentials.identity().federation.clone();
        let name = origin(&Owner { federation, site: site.clone() });
        let opened = Checkpoint::open_note(note, &name, key);
        opened.map_err(|source| Conflict::Checkpoint { site: site.clone(), source })
    }

    /// It is on disk before the cosignature leaves, which says that this site remembers.
    fn keep(&self, site: &SiteName, seen: &Seen) -> io::Result<()> {
        whole_file::replace(&self.folder.join(format!("{site}.json")), &serde_json::to_vec_pretty(seen)?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fedtwin_audit_log::LogFile;
    use fedtwin_audit_log::cosignature::cosigned;
    use fedtwin_audit_log::disk::Files;
    use fedtwin_audit_log::key_change::Old;
    use fedtwin_audit_log::merkle::Frontier;
    use fedtwin_audit_log::proof::consistency;
    use fedtwin_audit_log::{LeafHash, Signer};
    use fedtwin_certs::{Authority, CertificateTerms, Role};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    /// A federation, this site's memory in it, and another site.
    struct Bench {
        authority: Authority,
        folder: tempfile::TempDir,
        own: Arc<Credentials>,
        other: Arc<Credentials>,
    }

    impl Bench {
        fn new() -> Self {
            let authority = authority();
            let (own, other) = (issue(&authority, "va"), issue(&authority, "vb"));
            Self { authority, folder: tempfile::tempdir().unwrap(), own, other }
        }

        fn open(&self) -> Others {
            Others::open(self.folder.path().join("witnessed"), Arc::clone(&self.own)).unwrap()
        }
    }

    fn authority() -> Authority {
        Authority::create(&"fed".parse().unwrap(), NOW, NOW + Duration::from_secs(1_000_000)).unwrap()
    }

    fn issue(authority: &Authority, name: &str) -> Arc<Credentials> {
        let until = NOW + Duration::from_secs(1_000_000);
        let terms =
            CertificateTerms { from: NOW, tls_until: until, identity_until: until, hosts: Vec::new() };
        Arc::new(authority.issue(Role::Site, &name.parse().unwrap(), &terms).unwrap())
    }

    /// What site `vb` says of a ledger with these leaves to somebody who saw `before` of them.
    fn growth(signer: &Arc<Credentials>, leaves: &[u8], before: usize) -> Growth {
        let leaves: Vec<_> = leaves.iter().map(|leaf| LeafHash::of(&[*leaf])).collect();
        let mut tree = Frontier::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        Growth {
            site: "vb".parse().unwrap(),
            certificate: signer.identity_der().to_vec().into(),
            checkpoint: Checkpoint::new("fed/vb/ledger", &tree).unwrap().sign(&LogSigner(Arc::clone(signer))),
            proof: consistency(&leaves, before).unwrap_or_default(),
            key_changes: Vec::new(),
        }
    }

    fn size(others: &Others) -> u64 {
        others.sightings()[0].checkpoint.lines().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn what_continues_is_remembered_and_cosigned_even_after_a_restart() {
        let bench = Bench::new();
        let mut others = bench.open();
        others.take(&growth(&bench.other, &[1, 2, 3], 0), NOW).unwrap();
        others.take(&growth(&bench.other, &[1, 2, 3, 4, 5], 3), NOW).unwrap();
        let sightings = others.sightings();
        assert_eq!((size(&others), bench.open().sightings()), (5, sightings.clone()));
        let key = LogSigner(Arc::clone(&bench.own)).public_key();
        let checkpoint = Checkpoint::open(
            &sightings[0].checkpoint,
            "fed/vb/ledger",
            &LogSigner(Arc::clone(&bench.other)).public_key(),
        );
        let note = format!("{}{}", sightings[0].checkpoint, sightings[0].cosignature);
        let time = cosigned(&checkpoint.unwrap(), &note, "fed/site/va", &key);
        assert_eq!(time, Some(NOW.0 / 1000));
    }

    #[test]
    fn a_ledger_that_forgets_or_forks_is_a_conflict_and_the_memory_stays() {
        let bench = Bench::new();
        let mut others = bench.open();
        others.take(&growth(&bench.other, &[1, 2, 3, 4], 0), NOW).unwrap();
        for other in [&[1, 2, 3][..], &[1, 2, 9, 4, 5], &[1, 2, 3, 9], &[]] {
            for before in 0..=other.len() {
                let refused = others.take(&growth(&bench.other, other, before), NOW).unwrap_err();
                assert!(matches!(refused, Conflict::NotContinued { before: 4, .. }), "{refused}");
            }
        }
        assert_eq!(size(&others), 4);
    }

    #[test]
    fn only_the_sites_own_key_counts_and_it_stays() {
        let bench = Bench::new();
        let mut others = bench.open();
        let stranger = issue(&authority(), "vb");
        let refused = others.take(&growth(&stranger, &[1], 0), NOW).unwrap_err();
        assert!(matches!(refused, Conflict::Certificate { .. }), "{refused}");
        let refused = others.take(&growth(&issue(&bench.authority, "vc"), &[1], 0), NOW).unwrap_err();
        assert!(matches!(refused, Conflict::OtherHolder(_)), "{refused}");
        let forged = Growth {
            certificate: bench.other.identity_der().to_vec().into(),
            ..growth(&issue(&bench.authority, "vc"), &[1], 0)
        };
        let refused = others.take(&forged, NOW).unwrap_err();
        assert!(matches!(refused, Conflict::Checkpoint { .. }), "{refused}");
        others.take(&growth(&bench.other, &[1], 0), NOW).unwrap();
        let refused = others.take(&growth(&issue(&bench.authority, "vb"), &[1, 2], 1), NOW).unwrap_err();
        assert!(matches!(refused, Conflict::OtherKey(_)), "{refused}");
    }

    #[test]
    fn a_new_key_is_believed_where_the_old_one_signed_it() {
        let bench = Bench::new();
        let mut others = bench.open();
        others.take(&growth(&bench.other, &[1], 0), NOW).unwrap();
        let new = issue(&bench.authority, "vb");
        let path = bench.folder.path().join("ledger");
        let mut log = LogFile::<u32>::open(&path, Box::new(LogSigner(Arc::clone(&bench.other)))).unwrap().0;
        log.append(&1, NOW.0).unwrap();
        drop(log);
        let (old, disk) = (LogSigner(Arc::clone(&bench.other)), Box::new(Files::open(&path).unwrap()));
        let signer = Box::new(LogSigner(Arc::clone(&new)));
        let mut log = LogFile::<u32>::open_under(disk, &path, signer, old.public_key()).unwrap().0;
        log.change_key(Old::Signs(&old), &2, NOW.0).unwrap();
        let key_changes = vec![serde_json::to_string(&log.keys()[0]).unwrap()];
        let grown = growth(&new, &[1, 2], 1);
        assert!(matches!(others.take(&grown, NOW), Err(Conflict::OtherKey(_))), "unless that is shown");
        // What was seen of the old key's ledger has to be continued all the same.
        let forked = Growth { key_changes: key_changes.clone(), ..growth(&new, &[9, 2], 1) };
        assert!(matches!(others.take(&forked, NOW), Err(Conflict::NotContinued { .. })));
        others.take(&Growth { key_changes, ..grown }, NOW).unwrap();
        assert_eq!(size(&others), 2);
        let back = others.take(&growth(&bench.other, &[1, 2, 3], 2), NOW);
        assert!(matches!(back, Err(Conflict::OtherKey(_))), "the old key counts no more");
    }
}
