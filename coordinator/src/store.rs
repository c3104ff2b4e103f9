//! The coordinator's folder: models by content, each study's plan and optimiser state, spools, logs.
//!
//! ```text
//! models/<sha-256>.safetensors     every global model and every given one, named by its bytes
//! studies/<id>/plan.json           the signed plan as it came
//! studies/<id>/<sha-256>.moments   what the optimiser and the average remember along with that model
//! spool/                           updates on their way in; emptied at start
//! ledgers/<site>.log               mirrors of the sites' ledgers
//! ledgers/<site>.checkpoint        the last checkpoint of each, with its cosignatures
//! audit.log                        what this coordinator did
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, SiteName, StudyId};

/// The coordinator's folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens or makes the folder, and removes spools of an earlier run.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn open(root: PathBuf) -> io::Result<Self> {
        let store = Self { root };
        for folder in ["models", "studies", "spool", "ledgers"] {
            fs::create_dir_all(store.root.join(folder))?;
        }
        for spool in fs::read_dir(store.root.join("spool"))? {
            fs::remove_file(spool?.path())?;
        }
        Ok(store)
    }

    /// Returns the file of a model, which may not exist.
    #[must_use]
    pub fn model(&self, digest: &Digest) -> PathBuf {
        self.root.join("models").join(format!("{digest}.safetensors"))
    }

    /// Returns the file for the `number`-th spool of this run.
    #[must_use]
    pub fn spool(&self, number: u64) -> PathBuf {
        self.root.join("spool").join(number.to_string())
    }

    /// Returns the mirror of a site's ledger.
    #[must_use]
    pub fn ledger(&self, site: &SiteName) -> PathBuf {
        self.root.join("ledgers").join(format!("{site}.log"))
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
        file.0.persist(self.checkpoint(site))?;
        Ok(())
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

    /// Returns what a study's optimiser remembers along with a model.
    #[must_use]
    pub fn moments(&self, study: &StudyId, model: &Digest) -> PathBuf {
        self.study(study).join(format!("{model}.moments"))
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
        for path in [self.model(model), self.moments(study, model)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "an old model could not be removed");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Stores a study's signed plan.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn save_plan(&self, study: &StudyId, plan: &SignedPlan) -> io::Result<()> {
        fs::create_dir_all(self.study(study))?;
        let mut file = NewFile::create_in(&self.study(study))?;
        file.write_all(&serde_json::to_vec(plan)?)?;
        file.commit(&self.study(study).join("plan.json"))
    }

    /// Loads a study's signed plan.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn load_plan(&self, study: &StudyId) -> io::Result<SignedPlan> {
        Ok(serde_json::from_slice(&fs::read(self.study(study).join("plan.json"))?)?)
    }

    /// Starts a model file, which gets its name when all bytes are written.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn new_model(&self) -> io::Result<NewModel> {
        let file = NewFile::create_in(&self.root.join("models"))?;
        Ok(NewModel { store: self.clone(), file, digest: RunningDigest::new() })
    }

    fn study(&self, study: &StudyId) -> PathBuf {
        self.root.join("studies").join(study.as_str())
    }
}

/// A file that appears under its name with all its bytes, on disk, or not at all.
#[derive(Debug)]
pub struct NewFile(tempfile::NamedTempFile);

impl NewFile {
    /// Starts the file in the folder where it will stay.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn create_in(folder: &Path) -> io::Result<Self> {
        tempfile::Builder::new().prefix("new-").tempfile_in(folder).map(Self)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn commit(self, path: &Path) -> io::Result<()> {
        self.0.as_file().sync_all()?;
        self.0.persist(path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A model on its way to disk.
#[derive(Debug)]
pub struct NewModel {
    store: Store,
    file: NewFile,
    digest: RunningDigest,
}

impl NewModel {
    /// Returns the digest of what was written so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest.clone().finish()
    }

    /// Names the file by its content and puts it in place.
    ///
    /// # Errors
    /// Returns the file system's errors.
    pub fn commit(self) -> io::Result<Digest> {
        let digest = self.digest.finish();
        self.file.commit(&self.store.model(&digest))?;
        Ok(digest)
    }
}

impl Write for NewModel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
