//! Mirrors under repeats, gaps, forks, crashes and other sites' memory.

use std::path::PathBuf;
use std::time::Duration;

use fedtwin_audit_log::key_change::Old;
use fedtwin_audit_log::{LogFile, Signer, succeeds};
use fedtwin_certs::{Authority, CertificateTerms, Role};

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A federation's coordinator and two sites.
struct Bench {
    folder: tempfile::TempDir,
    authority: Authority,
    hub: Arc<Credentials>,
    sites: [Arc<Credentials>; 2],
}

/// A ledger of site `va`, of which the entries mean nothing.
struct Log {
    log: LogFile<u32>,
    path: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let until = NOW + Duration::from_secs(1_000_000);
        let authority = Authority::create(&"fed".parse().unwrap(), NOW, until).unwrap();
        let issue = |role, name: &str, hosts: &[&str]| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            let terms = CertificateTerms { from: NOW, tls_until: until, identity_until: until, hosts };
            Arc::new(authority.issue(role, &name.parse().unwrap(), &terms).unwrap())
        };
        let sites = [issue(Role::Site, "va", &[]), issue(Role::Site, "vb", &[])];
        let hub = issue(Role::Coordinator, "hub", &["localhost"]);
        Self { folder: tempfile::tempdir().unwrap(), authority, hub, sites }
    }

    fn issue(&self, role: Role, name: &str) -> Arc<Credentials> {
        let until = NOW + Duration::from_secs(1_000_000);
        let terms =
            CertificateTerms { from: NOW, tls_until: until, identity_until: until, hosts: Vec::new() };
        Arc::new(self.authority.issue(role, &name.parse().unwrap(), &terms).unwrap())
    }

    /// Starts a coordinator in a folder; nobody has subscribed.
    fn start(&self, folder: &str) -> Mirrors {
        self.start_with(folder, Policy::default())
    }

    fn start_with(&self, folder: &str, policy: Policy) -> Mirrors {
        let store = Store::open(self.folder.path().join(folder)).unwrap();
        Mirrors::new(store, Arc::clone(&self.hub), policy)
    }

    /// Starts the coordinator, and both sites subscribe.
    fn mirrors(&self) -> Mirrors {
        let mirrors = self.start("state");
        (0..2).for_each(|site| self.subscribe(&mirrors, site).unwrap());
        mirrors
    }

    fn subscribe(&self, mirrors: &Mirrors, site: usize) -> Result<(), MirrorError> {
        let site = &self.sites[site];
        let (identity, der) = (site.identity(), site.identity_der().to_vec());
        let (_, key) = site.authority().verify_identity(&der, NOW).unwrap();
        mirrors.open(&identity.site().unwrap(), key, der.into())
    }

    fn mirror_file(&self) -> PathBuf {
        self.folder.path().join("state/ledgers/va.log")
    }

    fn log(&self, name: &str, entries: &[u32]) -> Log {
        let path = self.folder.path().join(name);
        let (log, _) = LogFile::open(&path, Box::new(LogSigner(Arc::clone(&self.sites[0])))).unwrap();
        let mut log = Log { log, path };
        entries.iter().for_each(|entry| log.append(*entry));
        log
    }
}

impl Log {
    fn append(&mut self, entry: u32) {
        self.log.append(&entry, NOW.0).unwrap();
    }

    /// Returns what the site sends from entry `first` on, with its checkpoint.
    fn from(&self, first: usize) -> LedgerEntries {
        let text = std::fs::read_to_string(&self.path).unwrap();
        let entries: String = text.split_inclusive('\n').skip(first).collect();
        LedgerEntries { first: first as u64, entries: entries.into(), checkpoint: Some(self.checkpoint()) }
    }

    fn checkpoint(&self) -> String {
        self.log.checkpoint("fed/va/ledger").unwrap()
    }
}

fn va() -> SiteName {
    "va".parse().unwrap()
}

fn vb() -> SiteName {
    "vb".parse().unwrap()
}

fn public(credentials: &Arc<Credentials>) -> LogKey {
    LogSigner(Arc::clone(credentials)).public_key()
}

#[test]
fn repeated_and_overlapping_entries_are_taken_once() {
    let bench = Bench::new();
    let mirrors = bench.mirrors();
    let mut log = bench.log("ledger", &[1, 2]);
    let early = log.from(0);
    assert_eq!(mirrors.append(&va(), &early, NOW).unwrap().entries, 2);
    log.append(3);
    for first in [0, 1, 3] {
        let state = mirrors.append(&va(), &log.from(first), NOW).unwrap();
        assert_eq!((state.entries, state.checkpoints.len()), (3, 1), "from {first}");
        assert!(state.checkpoints[0].starts_with(&log.checkpoint()), "with the coordinator's line after it");
    }
    // A late message of an earlier state changes nothing.
    let late = mirrors.append(&va(), &early, NOW).unwrap();
    assert!(late.checkpoints[0].starts_with(&log.checkpoint()));
    assert_eq!(std::fs::read(bench.mirror_file()).unwrap(), std::fs::read(&log.path).unwrap());
}

#[test]
fn gaps_forks_and_others_entries_are_refused() {
    let bench = Bench::new();
    let mirrors = bench.mirrors();
    let log = bench.log("ledger", &[1, 2, 3]);
    mirrors.append(&va(), &log.from(0), NOW).unwrap();
    let kept = std::fs::read(bench.mirror_file()).unwrap();
    let refused = |sent: LedgerEntries| mirrors.append(&va(), &sent, NOW).unwrap_err();
    let gap = refused(LedgerEntries { first: 4, ..log.from(0) });
    assert!(matches!(gap, MirrorError::NotContinued(NotContinued::Gap { held: 3, first: 4 })), "{gap}");
    let forked = bench.log("forked", &[1, 2, 9, 4]);
    let fork = refused(forked.from(0));
    assert!(matches!(fork, MirrorError::NotContinued(NotContinued::Forked(2))), "{fork}");
    let other = refused(forked.from(3));
    assert!(matches!(other, MirrorError::NotContinued(NotContinued::Bad(_))), "{other}");
    let torn = LedgerEntries { entries: Bytes::from_static(b"{}"), ..log.from(3) };
    assert!(matches!(refused(torn), MirrorError::NotContinued(NotContinued::Bad(_))));
    let ahead = LedgerEntries { checkpoint: Some(forked.checkpoint()), ..log.from(3) };
    assert!(matches!(refused(ahead), MirrorError::OtherCheckpoint(RolledBack::Shorter { .. })));
    let other = LedgerEntries { checkpoint: Some(bench.log("other", &[7]).checkpoint()), ..log.from(3) };
    assert!(matches!(refused(other), MirrorError::OtherCheckpoint(RolledBack::Forked { .. })));
    let unsigned = LedgerEntries { checkpoint: Some("fed/va/ledger".to_owned()), ..log.from(3) };
    assert!(matches!(refused(unsigned), MirrorError::Checkpoint(_)));
    let stranger = mirrors.append(&"vc".parse().unwrap(), &log.from(0), NOW).unwrap_err();
    assert!(matches!(stranger, MirrorError::NotSubscribed(_)));
    assert_eq!(std::fs::read(bench.mirror_file()).unwrap(), kept);
}

/// A site that subscribes twice at once, and tells each time another story.
#[test]
fn of_two_subscriptions_at_once_one_history_is_kept() {
    for number in 0..20 {
        let bench = Bench::new();
        let log = bench.log("ledger", &[1; 300]);
        bench.mirrors().append(&va(), &log.from(0), NOW).unwrap();
        let stories = [8, 9].map(|last| {
            for of in ["", ".head"] {
                let story = bench.folder.path().join(format!("story-{last}{of}"));
                std::fs::copy(bench.folder.path().join(format!("ledger{of}")), story).unwrap();
            }
            bench.log(&format!("story-{last}"), &[last]).from(300)
        });
        let mirrors = bench.start("state");
        let taken = std::thread::scope(|scope| {
            let threads = stories.map(|story| {
                let (bench, mirrors) = (&bench, mirrors.clone());
                scope.spawn(move || {
                    bench.subscribe(&mirrors, 0).unwrap();
                    mirrors.append(&va(), &story, NOW).is_ok()
                })
            });
            threads.map(|thread| thread.join().unwrap())
        });
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1, "at start {number}");
        drop(mirrors);
        bench.subscribe(&bench.start("state"), 0).expect("the mirror verifies");
    }
}

/// A disk that refuses an entry: neither is it acknowledged later, nor has the site to subscribe again.
#[test]
fn what_the_disk_refused_is_read_again_and_not_acknowledged() {
    let bench = Bench::new();
    let mirrors = bench.mirrors();
    let mut log = bench.log("ledger", &[1, 2]);
    mirrors.append(&va(), &log.from(0), NOW).unwrap();
    log.append(3);
    let (file, aside) = (bench.mirror_file(), bench.folder.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    for _ in 0..2 {
        let refused = mirrors.append(&va(), &log.from(2), NOW).unwrap_err();
        assert!(matches!(refused, MirrorError::Storage { .. }), "{refused}");
    }
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(mirrors.append(&va(), &LedgerEntries::default(), NOW).unwrap().entries, 2);
    assert_eq!(mirrors.append(&va(), &log.from(2), NOW).unwrap().entries, 3);
    assert_eq!(std::fs::read(&file).unwrap(), std::fs::read(&log.path).unwrap());
}

#[test]
fn a_restarted_coordinator_has_its_mirrors_and_checkpoints_but_for_a_torn_record() {
    let bench = Bench::new();
    let log = bench.log("ledger", &[1, 2, 3]);
    let before = bench.mirrors().append(&va(), &log.from(0), NOW).unwrap();
    let whole = std::fs::read(bench.mirror_file()).unwrap();
    std::fs::write(bench.mirror_file(), [&whole[..], b"{\"half"].concat()).unwrap();
    let mirrors = bench.mirrors();
    assert_eq!(mirrors.append(&va(), &LedgerEntries::default(), NOW).unwrap(), before);
    assert_eq!(std::fs::read(bench.mirror_file()).unwrap(), whole);
    drop(mirrors);
    std::fs::write(bench.mirror_file(), &whole[1..]).unwrap();
    let altered = bench.subscribe(&bench.start("state"), 0).unwrap_err();
    assert!(matches!(altered, MirrorError::NotContinued(NotContinued::Bad(_))), "{altered}");
}

#[test]
fn each_ledger_has_as_many_witnesses_however_many_sites_there_are() {
    for count in [1, 3, WITNESSED_MAX + 1, WITNESSED_MAX + 2, 3 * WITNESSED_MAX] {
        let name = |i: usize| format!("site-{i}").parse::<SiteName>().unwrap();
        let sites: BTreeMap<_, _> = (0..count).map(|i| (name(i), ())).collect();
        let mut witnesses = BTreeMap::<_, usize>::new();
        for by in sites.keys() {
            for (site, ()) in witnessed(&sites, by) {
                assert_ne!(site, by);
                *witnesses.entry(site.clone()).or_default() += 1;
            }
        }
        let expected = (count - 1).min(WITNESSED_MAX);
        assert!(sites.keys().all(|site| witnesses.get(site).copied().unwrap_or(0) == expected), "{count}");
    }
}

#[test]
fn a_site_has_its_share_of_entries_and_bytes_and_no_more() {
    let bench = Bench::new();
    let log = bench.log("ledger", &[1, 2, 3]);
    let bytes = log.from(0).entries.len() as u64;
    let plenty = Policy::default();
    for (place, policy, fits) in [
        ("entries", Policy { mirror_entries_max: 2, ..plenty }, false),
        ("bytes", Policy { mirror_bytes_max: bytes - 1, ..plenty }, false),
        ("both", Policy { mirror_entries_max: 3, mirror_bytes_max: bytes, ..plenty }, true),
    ] {
        let mirrors = bench.start_with(place, policy);
        bench.subscribe(&mirrors, 0).unwrap();
        let taken = mirrors.append(&va(), &log.from(0), NOW);
        assert_eq!(taken.is_ok(), fits, "{place}");
        if let Err(refused) = taken {
            assert!(refused.to_string().contains("policy.mirror_entries_max"), "{refused}");
            let told = mirrors.append(&va(), &LedgerEntries::default(), NOW).unwrap();
            assert_eq!(told.entries, 0, "asking is free");
        }
    }
}

#[test]
fn sites_are_told_what_grew_and_their_cosignatures_are_kept() {
    let bench = Bench::new();
    let mirrors = bench.mirrors();
    let mut log = bench.log("ledger", &[1, 2]);
    mirrors.append(&va(), &log.from(0), NOW).unwrap();
    let growth = mirrors.witness(&vb(), Vec::new()).unwrap().remove(0);
    assert_eq!((growth.site.clone(), growth.proof.len()), (va(), 0));
    let signer = LogSigner(Arc::clone(&bench.sites[1]));
    let open = |note: &str| Checkpoint::open(note, "fed/va/ledger", &public(&bench.sites[0])).unwrap();
    let seen = open(&growth.checkpoint);
    let cosignature = cosign(&seen, "fed/site/vb", &signer, 1_800_000_000);
    let sighting = Sighting { site: va(), checkpoint: growth.checkpoint, cosignature };
    assert_eq!(mirrors.witness(&vb(), vec![sighting.clone()]).unwrap(), Vec::new());
    let note = mirrors.checkpoint(&va()).unwrap();
    for (name, key) in [("fed/site/vb", signer.public_key()), ("fed/coordinator/hub", public(&bench.hub))] {
        assert!(cosigned(&seen, &note, name, &key).is_some(), "{name}: {note}");
    }
    // Nobody cosigns in another's name.
    let forged = Sighting { cosignature: cosign(&seen, "fed/site/va", &signer, 1), ..sighting.clone() };
    mirrors.witness(&vb(), vec![forged]).unwrap();
    assert_eq!(mirrors.checkpoint(&va()).unwrap(), note);

    log.append(3);
    mirrors.append(&va(), &log.from(2), NOW).unwrap();
    let growth = mirrors.witness(&vb(), vec![sighting]).unwrap().remove(0);
    assert!(seen.tree().is_prefix_of(&open(&growth.checkpoint).tree(), &growth.proof));
}

/// The coordinator lost its mirror; what another site remembers reaches the site even so, in any order.
#[test]
fn what_only_another_site_remembers_is_told() {
    let bench = Bench::new();
    let log = bench.log("ledger", &[1, 2, 3]);
    let sighting = Sighting { site: va(), checkpoint: log.checkpoint(), cosignature: String::new() };
    let ask = |mirrors: &Mirrors| mirrors.append(&va(), &LedgerEntries::default(), NOW).unwrap().checkpoints;

    let mirrors = bench.mirrors();
    mirrors.witness(&vb(), vec![sighting.clone()]).unwrap();
    assert_eq!(ask(&mirrors), [log.checkpoint()]);

    let mirrors = bench.start("late");
    bench.subscribe(&mirrors, 1).unwrap();
    mirrors.witness(&vb(), vec![sighting.clone()]).unwrap();
    bench.subscribe(&mirrors, 0).unwrap();
    assert_eq!(ask(&mirrors), [log.checkpoint()]);

    let mirrors = bench.start("forged");
    bench.subscribe(&mirrors, 1).unwrap();
    let forged = Sighting { checkpoint: log.checkpoint().replace("\n3\n", "\n9\n"), ..sighting };
    mirrors.witness(&vb(), vec![forged]).unwrap();
    bench.subscribe(&mirrors, 0).unwrap();
    assert_eq!(ask(&mirrors), Vec::<String>::new(), "what the site did not sign is not told");
}

#[test]
fn a_site_with_a_new_key_goes_on_with_its_mirror_and_others_are_shown_why() {
    let mut bench = Bench::new();
    let mirrors = bench.mirrors();
    let log = bench.log("ledger", &[1, 2]);
    mirrors.append(&va(), &log.from(0), NOW).unwrap();
    let (path, old) = (log.path.clone(), Arc::clone(&bench.sites[0]));
    drop(log);
    bench.sites[0] = bench.issue(Role::Site, "va");
    let own = LogSigner(Arc::clone(&bench.sites[0]));
    let disk = Box::new(fedtwin_audit_log::disk::Files::open(&path).unwrap());
    let (mut log, _) = LogFile::<u32>::open_under(disk, &path, Box::new(own), public(&old)).unwrap();
    log.change_key(Old::Signs(&LogSigner(Arc::clone(&old))), &3, NOW.0).unwrap();
    let mut log = Log { log, path };
    // Even a coordinator that was restarted in between knows by which key its mirror is signed.
    drop(mirrors);
    let mirrors = bench.start("state");
    (0..2).for_each(|site| bench.subscribe(&mirrors, site).unwrap());
    let state = mirrors.append(&va(), &log.from(2), NOW).unwrap();
    assert_eq!((state.entries, state.checkpoints.len()), (3, 1));
    let growth = mirrors.witness(&vb(), Vec::new()).unwrap().remove(0);
    let changes: Vec<_> =
        growth.key_changes.iter().map(|change| serde_json::from_str(change).unwrap()).collect();
    assert!(succeeds(&public(&old), &public(&bench.sites[0]), &changes));
    log.append(4);
    drop(mirrors);
    let mirrors = bench.mirrors();
    assert_eq!(mirrors.append(&va(), &log.from(3), NOW).unwrap().entries, 4);
}

#[test]
fn another_key_without_the_old_ones_signature_adds_nothing_to_a_mirror() {
    let mut bench = Bench::new();
    let mirrors = bench.mirrors();
    mirrors.append(&va(), &bench.log("ledger", &[1, 2]).from(0), NOW).unwrap();
    bench.sites[0] = bench.issue(Role::Site, "va");
    bench.subscribe(&mirrors, 0).unwrap();
    let forged = bench.log("forged", &[1, 2, 3]);
    for first in [0, 2] {
        assert!(mirrors.append(&va(), &forged.from(first), NOW).is_err(), "from {first}");
    }
    assert_eq!(mirrors.append(&va(), &LedgerEntries::default(), NOW).unwrap().entries, 2);
}
