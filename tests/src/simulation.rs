//! What simulations of the coordinator's cores share: sites, plans and updates without a network.

use std::fmt::Write as _;

use fedtwin_coordinator::spool::{Spool, Update};
use fedtwin_coordinator::store::SpoolFiles;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::{Digest, Plan, SiteName, text_file};
use fedtwin_proto::domain::{AttemptKey, UpdateHeader};
use tempfile::TempDir;

/// Returns the name of the `i`-th site.
#[must_use]
pub fn site(i: usize) -> SiteName {
    format!("site-{i}").parse().expect("a lower-case name is a site's name")
}

/// What distinguishes one simulated study from another.
#[derive(Debug, Clone)]
pub struct StudyTerms {
    /// The study's identifier.
    pub id: &'static str,
    /// Sites in the plan's audience.
    pub sites: usize,
    /// Updates without which an attempt fails.
    pub sites_min: usize,
    /// Rounds until the study is finished.
    pub rounds: u32,
    /// Attempts at all rounds together.
    pub attempts_max: u32,
}

/// Seconds in which the sites of a simulated study answer and connect.
pub const JOIN_S: u64 = 30;
/// Seconds in which they send their updates.
pub const DEADLINE_S: u64 = 60;
/// The largest cohort that a simulated study takes.
pub const PATIENTS_MAX: u32 = 1000;

/// Makes a plan over one weight. Nobody verifies its signature here.
#[must_use]
pub fn plan(terms: &StudyTerms) -> (Plan, SignedPlan) {
    let mut sites = String::new();
    for i in 0..terms.sites {
        write!(sites, "{:?}, ", site(i).as_str()).expect("writing to a string succeeds");
    }
    let StudyTerms { id, sites_min, rounds, attempts_max, .. } = terms;
    let text = format!(
        r#"
        [study]
        id = "{id}"
        title = "a simulation"
        sites = [{sites}]
        expires = "2099-12-31"
        [cohort]
        name = "patients"
        patients_max = {PATIENTS_MAX}
        [data.table]
        outcome = "outcome"
        features.age.number = {{ unit = "years", low = 0.0, high = 100.0 }}
        [model]
        family.vector.parameters = 1
        seed = 1
        [rounds]
        count = {rounds}
        attempts_max = {attempts_max}
        blocks = 1
        sites_min = {sites_min}
        join_s = {JOIN_S}
        deadline_s = {DEADLINE_S}
        slot_s = 0
        [training]
        sampling = "1"
        loss = "bce"
        site = "gradient"
        server.fedavg.learning_rate = 1.0
        [privacy.none]
        clip = 1.0
        [calibrated]
        m = 10
        c_int = 1024
        modulus_bits = 32
        steps = {attempts_max}
        "#
    );
    let plan = text_file::parse(id, &text).unwrap_or_else(|error| panic!("{error}"));
    (plan, SignedPlan { text: text.into_bytes(), signature: Vec::new(), certificate: Vec::new() })
}

/// Makes complete, verified updates in a folder of its own.
#[derive(Debug)]
pub struct Updates {
    folder: TempDir,
    files: SpoolFiles,
}

impl Default for Updates {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let files = SpoolFiles::new(folder.path().to_path_buf());
        Self { folder, files }
    }
}

impl Updates {
    /// Makes an update whose bytes, and with them its digest, are `content`.
    #[must_use]
    pub fn make(&self, content: u8) -> Update {
        self.of_bytes(&[content])
    }

    /// Makes an update of some bytes, few enough for one chunk.
    #[must_use]
    pub fn of_bytes(&self, bytes: &[u8]) -> Update {
        let (key, length) =
            (AttemptKey { study: "s".parse().expect("a name"), round: 1, attempt: 1 }, bytes.len());
        let header = UpdateHeader { key, length: length as u64, digest: Digest::of(bytes) };
        let mut spool = Spool::create(&self.files, header, length as u64).expect("the folder is there");
        spool.append(0, bytes).expect("the first chunk fits");
        spool.finish().expect("the update is complete")
    }

    /// Counts the spools that are still on disk.
    #[must_use]
    pub fn spooled(&self) -> usize {
        self.folder.path().read_dir().expect("the folder is there").count()
    }
}
