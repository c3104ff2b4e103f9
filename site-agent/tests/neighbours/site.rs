//! A site of the simulation: its credentials, its policy and budgets, and plans that a researcher signed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use fedtwin_certs::folder::create_credentials;
use fedtwin_certs::{Authority, CertificateTerms, Credentials, PlanSigner, Role, sign_plan, verify_plan};
use fedtwin_cohort::CohortFile;
use fedtwin_plan::plan::Mode;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::text_file::parse;
use fedtwin_plan::{Plan, SiteName, Timestamp};
use fedtwin_privacy::accountant::Order;
use fedtwin_privacy::ledger::{BudgetKind, Delta, Purpose};
use fedtwin_proto::domain::MirrorState;
use fedtwin_site_agent::checked::Checked;
use fedtwin_site_agent::config::SiteConfig;
use fedtwin_site_agent::proposals::{Proposal, Proposals};
use fedtwin_site_agent::session::Session;

/// When every schedule begins, by the calendar.
pub(crate) const BEGINS: Timestamp = Timestamp(1_800_000_000_000);
/// The cohort's declared training patients.
pub(crate) const PATIENTS: u32 = 8;

/// What a generated plan says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PlanTerms {
    /// How patients are protected.
    pub(crate) mode: Mode,
    /// Whether each step draws half of the patients.
    pub(crate) sampled: bool,
    /// Whether the update is a change after two local steps.
    pub(crate) steps: bool,
    /// Whether scores are counted.
    pub(crate) metrics: bool,
    /// Seconds of a slot.
    pub(crate) slot_s: u32,
}

impl PlanTerms {
    /// Says whether updates have noise.
    pub(crate) fn has_noise(self) -> bool {
        matches!(self.mode, Mode::Local | Mode::Shared)
    }

    /// Says whether the site hides among others.
    pub(crate) fn is_secure(self) -> bool {
        matches!(self.mode, Mode::SumsOnly | Mode::Shared)
    }
}

struct People {
    /// The site that is looked at, and those that it hides among.
    sites: [(SiteName, Arc<Credentials>); 4],
    researcher: Credentials,
    /// The identity certificates of all sites, pinned.
    peers: tempfile::TempDir,
}

static PEOPLE: LazyLock<People> = LazyLock::new(|| {
    let until = Timestamp(BEGINS.0 + 1_000_000_000);
    let authority = Authority::create(&"fed".parse().unwrap(), BEGINS, until).unwrap();
    let terms = CertificateTerms { from: BEGINS, tls_until: until, identity_until: until, hosts: Vec::new() };
    let issue = |role, name: &str| authority.issue(role, &name.parse().unwrap(), &terms).unwrap();
    let (researcher, peers) = (issue(Role::Researcher, "ada"), tempfile::tempdir().unwrap());
    let sites = ["va", "vb", "vc", "vd"].map(|name| {
        let (credentials, folder) = (issue(Role::Site, name), tempfile::tempdir().unwrap());
        create_credentials(&folder.path().join(name), &credentials).unwrap();
        let pinned = peers.path().join(format!("{name}.pem"));
        fs::copy(folder.path().join(name).join("identity.pem"), pinned).unwrap();
        (name.parse().unwrap(), Arc::new(credentials))
    });
    People { sites, researcher, peers }
});

/// Returns all sites of a study with secure aggregation.
pub(crate) fn everybody() -> BTreeSet<SiteName> {
    PEOPLE.sites.iter().map(|(name, _)| name.clone()).collect()
}

/// Returns the site that is looked at.
pub(crate) fn own_name() -> SiteName {
    PEOPLE.sites[0].0.clone()
}

/// Returns a site's credentials.
pub(crate) fn credentials_of(site: &SiteName) -> Arc<Credentials> {
    let (_, credentials) = PEOPLE.sites.iter().find(|(name, _)| name == site).unwrap();
    Arc::clone(credentials)
}

/// Makes a site's folder, with a cohort that people checked and budgets that they confirmed.
pub(crate) fn furnish(folder: &Path) {
    let cohort = "name = \"heart\"\npatients = 8\n[source.synthetic-table]\nseed = 1\nsite = 0\npatients = 10\n\
                  [split.modulo]\ndivisor = 5\ntest = 3\n";
    fs::write(folder.join("cohort.toml"), cohort).unwrap();
    let cohort = CohortFile::load(&folder.join("cohort.toml")).unwrap();
    Checked::keep(&folder.join("state"), &cohort, cohort.take_inventory().unwrap(), BEGINS).unwrap();
    let proposals = Proposals::of(&folder.join("state"), &PEOPLE.sites[0].1);
    for purpose in [Purpose::Training, Purpose::Metrics] {
        let proposal = Proposal {
            cohort: "heart".parse().unwrap(),
            purpose,
            patients: PATIENTS,
            kind: BudgetKind::Rdp { order_milli: Order::try_from(8000).unwrap() },
            epsilon: 100.0,
            delta: Delta::try_from(1e-3).unwrap(),
            who: "Ada".parse().unwrap(),
            why: "a test".parse().unwrap(),
            time: BEGINS,
        };
        let code = proposals.propose(&proposal).unwrap();
        proposals.confirm(&code, Some("Bob".parse().unwrap())).unwrap();
    }
}

/// Opens the site's session, as an agent does that starts, and of whose ledger the coordinator has forgotten nothing.
pub(crate) fn open(folder: &Path, now: Timestamp) -> Session {
    let config = "coordinator = \"localhost:1\"\ncredentials = \"c\"\nstate = \"state\"\n\
        policy = { models = [\"linear-risk\"], parameters_max = 10, cohorts = [\"heart\"], \
        modes = [\"none\", \"sums-only\", \"local\", \"shared\"], \
        secure_aggregation = { peers = \"PEERS\", sites_min = 3 }, colluders_min = 1, own_noise_multiplier_min = 0.1, \
        researchers = { ada = \"KEY\" }, noise_multiplier_min = 0.1, delta_max = 0.01, attempts_max = 20, sites_min = 1, \
        metrics = { noise_patients_min = 0.1, releases_max = 9 } }\n[[cohort]]\nfile = \"cohort.toml\"\n";
    let key = PEOPLE.researcher.identity_key().public().fingerprint();
    let peers = PEOPLE.peers.path().to_str().unwrap();
    let config = config.replace("KEY", &key.to_string()).replace("PEERS", peers);
    let config: SiteConfig = parse("site.toml", &config).unwrap();
    let mut session = Session::open(&config, folder, &PEOPLE.sites[0].1, now).unwrap();
    let entries = session.acknowledged();
    session.recollected(&MirrorState { entries, checkpoints: Vec::new() }, entries).unwrap();
    session
}

/// Signs a plan of three rounds and eight attempts.
pub(crate) fn plan(terms: PlanTerms) -> (Plan, PlanSigner, SignedPlan) {
    let PlanTerms { mode, sampled, steps, metrics, slot_s } = terms;
    let sampling = if sampled { "1/2" } else { "1" };
    let (site, all) = if steps {
        ("{ sgd = { steps = 2, learning_rate = 0.1, change_max = 1.0 } }", 16)
    } else {
        ("\"gradient\"", 8)
    };
    let privacy = match mode {
        Mode::None => "none.clip = 1.0",
        Mode::SumsOnly => "none = { clip = 1.0, sums_only = true }",
        Mode::Local => "local = { clip = 1.0, delta = 1e-3, target.noise-multiplier = 8.0 }",
        Mode::Shared => {
            "shared = { clip = 1.0, delta = 1e-3, colluders = 1, dropouts = 1, target.noise-multiplier = 8.0 }"
        }
    };
    let (sites, sites_min) =
        if terms.is_secure() { (r#""va", "vb", "vc", "vd""#, 3) } else { (r#""va""#, 1) };
    let epsilon = if terms.has_noise() { ", epsilon = 1e6" } else { "" };
    let (counted, counts) = if metrics {
        (
            "metrics = { epsilon = 1e6, delta = 1e-5, every_rounds = 1 }",
            ", metrics = { m = 12, c_int = 1024, releases = 3, epsilon = 1e6 }",
        )
    } else {
        ("", "")
    };
    let text = format!(
        r#"
        study = {{ id = "s", title = "t", sites = [{sites}], expires = "2099-01-01" }}
        cohort = {{ name = "heart", patients_max = 100 }}
        data.table = {{ outcome = "disease", features.age.number = {{ unit = "years", low = 20, high = 100 }} }}
        model = {{ family = "linear-risk", seed = 1 }}
        rounds = {{ count = 3, attempts_max = 8, blocks = 3, sites_min = {sites_min}, join_s = 1, deadline_s = {DEADLINE_S}, slot_s = {slot_s} }}
        training = {{ sampling = "{sampling}", loss = "bce", site = {site}, server.fedavg.learning_rate = 1.0 }}
        privacy.{privacy}
        {counted}
        calibrated = {{ m = 13, c_int = 1024, modulus_bits = 32, steps = {all}{epsilon}{counts} }}
        "#
    );
    let signed = sign_plan(&PEOPLE.researcher, text.into_bytes());
    let (plan, signer) = verify_plan(&signed, PEOPLE.sites[0].1.authority(), BEGINS).unwrap();
    (plan, signer, signed)
}

/// The plan's own deadline, in seconds.
pub(crate) const DEADLINE_S: u32 = 16;
