//! A site of the simulation: its credentials, its policy and budgets, and plans that a researcher signed.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use fedtwin_certs::{Authority, Credentials, Role, Signer, Terms, sign_plan, verify_plan};
use fedtwin_cohort::CohortFile;
use fedtwin_plan::signed::SignedPlan;
use fedtwin_plan::text_file::parse;
use fedtwin_plan::{Plan, Timestamp};
use fedtwin_privacy::accountant::Order;
use fedtwin_privacy::ledger::{Delta, Kind, Purpose};
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
    /// Whether updates have noise.
    pub(crate) noise: bool,
    /// Whether each step draws half of the patients.
    pub(crate) sampled: bool,
    /// Whether the update is a change after two local steps.
    pub(crate) steps: bool,
    /// Whether scores are counted.
    pub(crate) metrics: bool,
    /// Seconds of a slot.
    pub(crate) slot_s: u32,
}

struct People {
    site: Arc<Credentials>,
    researcher: Credentials,
}

static PEOPLE: LazyLock<People> = LazyLock::new(|| {
    let until = Timestamp(BEGINS.0 + 1_000_000_000);
    let authority = Authority::create(&"fed".parse().unwrap(), BEGINS, until).unwrap();
    let terms = Terms { from: BEGINS, tls_until: until, identity_until: until, hosts: Vec::new() };
    let issue = |role, name: &str| authority.issue(role, &name.parse().unwrap(), &terms).unwrap();
    let (site, researcher) = (Arc::new(issue(Role::Site, "va")), issue(Role::Researcher, "ada"));
    People { site, researcher }
});

/// Makes a site's folder, with a cohort that people checked and budgets that they confirmed.
pub(crate) fn furnish(folder: &Path) {
    let cohort = "name = \"heart\"\npatients = 8\n[source.synthetic-table]\nseed = 1\nsite = 0\npatients = 10\n\
                  [split.modulo]\ndivisor = 5\ntest = 3\n";
    fs::write(folder.join("cohort.toml"), cohort).unwrap();
    let cohort = CohortFile::load(&folder.join("cohort.toml")).unwrap();
    Checked::keep(&folder.join("state"), &cohort, cohort.take_inventory().unwrap(), BEGINS).unwrap();
    let proposals = Proposals::of(&folder.join("state"), &PEOPLE.site);
    for purpose in [Purpose::Training, Purpose::Metrics] {
        let proposal = Proposal {
            cohort: "heart".parse().unwrap(),
            purpose,
            patients: PATIENTS,
            kind: Kind::Rdp { order_milli: Order::try_from(8000).unwrap() },
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
        policy = { models = [\"linear-risk\"], parameters_max = 10, cohorts = [\"heart\"], modes = [\"none\", \"local\"], \
        researchers = { ada = \"KEY\" }, noise_multiplier_min = 0.1, delta_max = 0.01, attempts_max = 20, sites_min = 1, \
        metrics = { noise_patients_min = 0.1, releases_max = 9 } }\n[[cohort]]\nfile = \"cohort.toml\"\n";
    let key = PEOPLE.researcher.identity_key().public().fingerprint();
    let config: SiteConfig = parse("site.toml", &config.replace("KEY", &key.to_string())).unwrap();
    let mut session = Session::open(&config, folder, &PEOPLE.site, now).unwrap();
    let entries = session.acknowledged();
    session.recollected(&MirrorState { entries, checkpoints: Vec::new() }, entries).unwrap();
    session
}

/// Signs a plan of three rounds and eight attempts.
pub(crate) fn plan(terms: PlanTerms) -> (Plan, Signer, SignedPlan) {
    let PlanTerms { noise, sampled, steps, metrics, slot_s } = terms;
    let sampling = if sampled { "1/2" } else { "1" };
    let (site, all) = if steps {
        ("{ sgd = { steps = 2, learning_rate = 0.1, change_max = 1.0 } }", 16)
    } else {
        ("\"gradient\"", 8)
    };
    let privacy = if noise {
        "privacy.local = { clip = 1.0, delta = 1e-3, target.noise-multiplier = 8.0 }"
    } else {
        "privacy.none.clip = 1.0"
    };
    let epsilon = if noise { ", epsilon = 1e6" } else { "" };
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
        study = {{ id = "s", title = "t", sites = ["va"], expires = "2099-01-01" }}
        cohort = {{ name = "heart", patients_max = 100 }}
        data.table = {{ outcome = "disease", features.age.number = {{ unit = "years", low = 20, high = 100 }} }}
        model = {{ family = "linear-risk", seed = 1 }}
        rounds = {{ count = 3, attempts_max = 8, blocks = 3, sites_min = 1, join_s = 1, deadline_s = {DEADLINE_S}, slot_s = {slot_s} }}
        training = {{ sampling = "{sampling}", loss = "bce", site = {site}, server.fedavg.learning_rate = 1.0 }}
        {privacy}
        {counted}
        calibrated = {{ m = 13, c_int = 1024, modulus_bits = 32, steps = {all}{epsilon}{counts} }}
        "#
    );
    let signed = sign_plan(&PEOPLE.researcher, text.into_bytes());
    let (plan, signer) = verify_plan(&signed, PEOPLE.site.authority(), BEGINS).unwrap();
    (plan, signer, signed)
}

/// The plan's own deadline, in seconds.
pub(crate) const DEADLINE_S: u32 = 16;
