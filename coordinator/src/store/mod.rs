//! The coordinator's folder: each study's plan, models and optimiser state, spools, logs.
//!
//! ```text
//! lock                                     held while a coordinator uses the folder
//! studies/<id>/plan.json                   the signed plan as it came
//! studies/<id>/<sha-256>.safetensors       the study's models that are still needed, named by their bytes
//! studies/<id>/<sha-256>.moments           what the optimiser and the average remember along with that model
//! given/<researcher>/<sha-256>.safetensors initial models that wait for their study
//! spool/                                   updates on their way in, and files for the next ones; emptied at start
//! ledgers/<site>.log                       mirrors of the sites' ledgers
//! ledgers/<site>.key               the key that signed the last entry of each
//! ledgers/<site>.checkpoint                the last checkpoint of each, with its cosignatures
//! audit.log                                what this coordinator did
//! ```
//!
//! A study has its models to itself, so that removing one's never takes another's.

mod new_file;
mod spool_files;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirEntry, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, ResearcherName, SiteName, StudyId, Timestamp};

pub use self::new_file::{NewFile, NewModel};
pub(crate) use self::spool_files::SpoolFile;
pub use self::spool_files::SpoolFiles;

/// The coordinator's folder, which no other coordinator uses meanwhile.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    spools: SpoolFiles,
    _lock: Arc<File>,
}

/// Why a folder cannot be a coordinator's.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another coordinator has it.
    #[error("another coordinator is running on {0}: stop it first, or name another folder as `state`")]
    InUse(PathBuf),
    /// The disk says no.
    #[error("the folder {path} cannot be used")]
    Storage {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Store {
    /// Opens or makes the folder, takes its lock, and then removes what an earlier run left half done.
    ///
    /// # Errors
    /// Refuses a folder that another coordinator uses; returns the file system's errors.
    pub fn open(root: PathBuf) -> Result<Self, StoreError> {
        let storage = |source| StoreError::Storage { path: root.clone(), source };
        fs::create_dir_all(&root).map_err(storage)?;
        let lock = File::options().create(true).truncate(false).write(true).open(root.join("lock"));
        let lock = lock.map_err(storage)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(root)),
            Err(TryLockError::Error(source)) => return Err(storage(source)),
        }
        let spools = SpoolFiles::new(root.join(SPOOL));
        let store = Self { root: root.clone(), spools, _lock: Arc::new(lock) };
        store.prepare().map_err(storage)?;
        Ok(store)
    }

    fn prepare(&self) -> io::Result<()> {
        for folder in ["studies", "given", SPOOL, "ledgers"] {
            fs::create_dir_all(self.root.join(folder))?;
        }
        for spool in fs::read_dir(self.root.join(SPOOL))? {
            fs::remove_file(spool?.path())?;
        }
        Ok(())
    }

    /// Returns the file of a study's model, which may not exist.
    #[must_use]
    pub fn model(&self, study: &StudyId, digest: &Digest) -> PathBuf {
        self.study(study).join(format!("{digest}.{MODEL}"))
    }

    /// Starts a model file of a study, which gets its name when all bytes are written.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn new_model(&self, study: &StudyId) -> io::Result<NewModel> {
        NewModel::create_in(self.study(study))
    }

    /// Returns what a study's optimiser remembers along with a model.
    #[must_use]
    pub fn moments(&self, study: &StudyId, model: &Digest) -> PathBuf {
        self.study(study).join(format!("{model}.{MOMENTS}"))
    }

    /// Starts a file of moments.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn new_moments(&self, study: &StudyId) -> io::Result<NewFile> {
        NewFile::create_in(&self.study(study))
    }

    /// Removes a model that later rounds have replaced, and its moments; failing to costs only space.
    pub fn remove_model(&self, study: &StudyId, model: &Digest) {
        for path in [self.model(study, model), self.moments(study, model)] {
            removed(&path, fs::remove_file(&path));
        }
    }

    /// Removes a study's models but those that are needed, with their moments, and whatever was being written;
    /// failing to costs only space.
    pub fn keep_models(&self, study: &StudyId, needed: &[Digest]) {
        let needed: BTreeSet<_> = needed.iter().map(ToString::to_string).collect();
        let is_needed = |file: &DirEntry| {
            let path = PathBuf::from(file.file_name());
            let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
            path == Path::new(PLAN) || needed.contains(stem)
        };
        for file in entries(&self.study(study)).filter(|file| !is_needed(file)) {
            removed(&file.path(), fs::remove_file(file.path()));
        }
    }

    /// Removes all of a study; failing to costs only space.
    pub fn remove_study(&self, study: &StudyId) {
        let folder = self.study(study);
        removed(&folder, fs::remove_dir_all(&folder));
    }

    /// Returns the studies that have a folder.
    #[must_use]
    pub fn studies(&self) -> Vec<StudyId> {
        let names = entries(&self.root.join("studies")).map(|folder| folder.file_name());
        names.filter_map(|name| name.to_str()?.parse().ok()).collect()
    }

    /// Stores a study's signed plan.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn save_plan(&self, study: &StudyId, plan: &SignedPlan) -> io::Result<()> {
        fs::create_dir_all(self.study(study))?;
        File::open(self.root.join("studies"))?.sync_all()?;
        let mut file = NewFile::create_in(&self.study(study))?;
        file.write_all(&serde_json::to_vec(plan)?)?;
        file.commit(&self.study(study).join(PLAN))
    }

    /// Loads a study's signed plan.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn load_plan(&self, study: &StudyId) -> io::Result<SignedPlan> {
        Ok(serde_json::from_slice(&fs::read(self.study(study).join(PLAN))?)?)
    }

    /// Returns the file of an initial model that a researcher gave, which may not exist.
    #[must_use]
    pub fn given(&self, by: &ResearcherName, digest: &Digest) -> PathBuf {
        self.given_by(by).join(format!("{digest}.{MODEL}"))
    }

    /// Starts the file of an initial model.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn new_given(&self, by: &ResearcherName) -> io::Result<NewModel> {
        NewModel::create_in(self.given_by(by))
    }

    /// Removes a researcher's oldest given models until `most` are left; failing to costs only space.
    pub fn keep_given(&self, by: &ResearcherName, most: usize) {
        let mut files: Vec<_> = entries(&self.given_by(by)).filter(is_model).collect();
        files.sort_by_key(age_mark);
        for file in files.iter().rev().skip(most) {
            removed(&file.path(), fs::remove_file(file.path()));
        }
    }

    /// Removes a given model that has become its study's, or is not wanted any more.
    pub fn remove_given(&self, by: &ResearcherName, digest: &Digest) {
        let path = self.given(by, digest);
        removed(&path, fs::remove_file(&path));
    }

    /// Removes given models that came before a time; failing to costs only space.
    pub fn expire_given(&self, before: Timestamp) {
        for folder in entries(&self.root.join("given")) {
            for file in entries(&folder.path()).filter(|file| age_mark(file) < before) {
                removed(&file.path(), fs::remove_file(file.path()));
            }
        }
    }

    /// Returns the files for spools.
    #[must_use]
    pub fn spools(&self) -> &SpoolFiles {
        &self.spools
    }

    /// Returns the mirror of a site's ledger.
    #[must_use]
    pub fn ledger(&self, site: &SiteName) -> PathBuf {
        self.root.join("ledgers").join(format!("{site}.log"))
    }

    /// Returns the identity key that signed the last entry of a site's mirror, if there is one.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn ledger_key(&self, site: &SiteName) -> io::Result<Option<[u8; 32]>> {
        let text = match fs::read_to_string(self.root.join("ledgers").join(format!("{site}.key"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let digits: Digest = text.trim_end().parse().map_err(io::Error::other)?;
        Ok(Some(digits.0))
    }

    /// Keeps that key.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn save_ledger_key(&self, site: &SiteName, key: fedtwin_audit_log::PublicKey) -> io::Result<()> {
        let mut file = NewFile::create_in(&self.root.join("ledgers"))?;
        writeln!(file, "{key}")?;
        file.replace(&self.root.join("ledgers").join(format!("{site}.key")))
    }

    /// Returns the last checkpoint of a site's ledger, which may not exist.
    #[must_use]
    pub fn checkpoint(&self, site: &SiteName) -> PathBuf {
        self.root.join("ledgers").join(format!("{site}.checkpoint"))
    }

    /// Replaces the last checkpoint of a site's ledger.
    ///
    /// Not fsynced: the mirror is, whose entries the site signed one by one; a lost checkpoint comes again.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn save_checkpoint(&self, site: &SiteName, note: &str) -> io::Result<()> {
        let mut file = NewFile::create_in(&self.root.join("ledgers"))?;
        file.write_all(note.as_bytes())?;
        file.replace(&self.checkpoint(site))
    }

    /// Returns the sites that have a mirror.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn ledgers(&self) -> io::Result<Vec<SiteName>> {
        let mut sites = Vec::new();
        for file in fs::read_dir(self.root.join("ledgers"))? {
            let name = file?.file_name();
            let site =
                name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|name| name.parse().ok());
            sites.extend(site);
        }
        sites.sort();
        Ok(sites)
    }

    /// Returns the coordinator's own log.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.root.join("audit.log")
    }

    fn study(&self, study: &StudyId) -> PathBuf {
        self.root.join("studies").join(study.as_str())
    }

    fn given_by(&self, researcher: &ResearcherName) -> PathBuf {
        self.root.join("given").join(researcher.as_str())
    }
}

/// Returns what is in a folder, which may not exist; what cannot be read stays for the next time.
fn entries(folder: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok)
}

fn is_model(file: &DirEntry) -> bool {
    Path::new(&file.file_name()).extension() == Some(OsStr::new(MODEL))
}

/// Returns when a file was written last, as far as that is known.
fn age_mark(file: &DirEntry) -> Timestamp {
    let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
    let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Timestamp(0) + since.unwrap_or(Duration::ZERO)
}

fn removed(path: &Path, result: io::Result<()>) {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "what is not needed any more could not be removed");
        }
        Ok(()) | Err(_) => {}
    }
}

const MODEL: &str = "safetensors";
const MOMENTS: &str = "moments";
const PLAN: &str = "plan.json";
const SPOOL: &str = "spool";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_coordinator_is_refused_before_it_removes_anything() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path().to_path_buf()).unwrap();
        let spool = folder.path().join("spool/7");
        fs::write(&spool, b"an update on its way in").unwrap();
        let refused = Store::open(folder.path().to_path_buf()).unwrap_err();
        assert!(refused.to_string().contains("another coordinator is running"), "{refused}");
        assert!(spool.exists());
        drop(first);
        Store::open(folder.path().to_path_buf()).unwrap();
        assert!(!spool.exists(), "what an earlier run left is removed");
    }

    #[test]
    fn given_models_are_few_and_not_old() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_path_buf()).unwrap();
        let ada: ResearcherName = "ada".parse().unwrap();
        let give = |content: &[u8], seconds: u64| {
            let mut file = store.new_given(&ada).unwrap();
            file.write_all(content).unwrap();
            let digest = file.commit().unwrap();
            let path = store.given(&ada, &digest);
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
            path
        };
        let given = [give(b"first", 100), give(b"second", 200), give(b"third", 300)];
        let there = || given.iter().map(|path| path.exists()).collect::<Vec<_>>();
        store.keep_given(&ada, 2);
        assert_eq!(there(), [false, true, true]);
        store.expire_given(Timestamp(250_000));
        assert_eq!(there(), [false, false, true]);
    }

    #[test]
    fn a_study_keeps_the_models_that_are_needed_and_its_plan() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().to_path_buf()).unwrap();
        let study: StudyId = "s".parse().unwrap();
        let plan = SignedPlan { text: Vec::new(), signature: Vec::new(), certificate: Vec::new() };
        store.save_plan(&study, &plan).unwrap();
        let made = [b"old", b"new"].map(|content| {
            let mut file = store.new_model(&study).unwrap();
            file.write_all(content).unwrap();
            let digest = file.commit().unwrap();
            fs::write(store.moments(&study, &digest), content).unwrap();
            digest
        });
        fs::write(store.study(&study).join("new-half"), b"cut off").unwrap();
        store.keep_models(&study, &made[1..]);
        assert_eq!(entries(&store.study(&study)).count(), 3, "a plan, a model and its moments");
        assert!(store.model(&study, &made[1]).exists() && store.moments(&study, &made[1]).exists());
        store.remove_study(&study);
        assert!(store.studies().is_empty());
    }
}
