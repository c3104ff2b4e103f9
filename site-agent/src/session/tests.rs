//! What a site lets out, and what it does not, over a session's life and after restarts.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use fedtwin_certs::{Authority, CertificateTerms, Credentials, Role, sign_plan, verify_plan};
use fedtwin_plan::WireBits;
use fedtwin_plan::text_file::parse;
use fedtwin_privacy::accountant::Order;
use fedtwin_privacy::ledger::{BudgetKind, Delta};
use fedtwin_privacy::noise::{NoiseError, OpendpNoise};
use fedtwin_privacy::patient_sum::IntegerSum;
use fedtwin_privacy::permit::Permit;
use fedtwin_privacy::protected::Noised;
use fedtwin_privacy::steps::{NoisySteps, Steps as _};
use fedtwin_proto::domain::MirrorState;

use super::*;
use crate::config::SiteConfig;
use crate::proposals::{Proposal, Proposals};

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);
const WEIGHTS: usize = 5;

pub(super) struct Site {
    pub(super) folder: tempfile::TempDir,
    pub(super) credentials: Arc<Credentials>,
    authority: Authority,
    researcher: Credentials,
}

impl Site {
    pub(super) fn new() -> Self {
        let until = Timestamp(NOW.0 + 1_000_000_000);
        let authority = Authority::create(&"fed".parse().unwrap(), NOW, until).unwrap();
        let terms =
            CertificateTerms { from: NOW, tls_until: until, identity_until: until, hosts: Vec::new() };
        let issue = |role, name: &str| authority.issue(role, &name.parse().unwrap(), &terms).unwrap();
        let (own, researcher) = (issue(Role::Site, "va"), issue(Role::Researcher, "ada"));
        let folder = tempfile::tempdir().unwrap();
        let cohort = "name = \"heart\"\npatients = 80\n[source.synthetic-table]\nseed = 1\nsite = 0\n\
                      patients = 100\n[split.modulo]\ndivisor = 5\ntest = 3\n";
        fs::write(folder.path().join("cohort.toml"), cohort).unwrap();
        let site = Self { folder, credentials: Arc::new(own), authority, researcher };
        site.confirm_budget(10.0);
        site.check();
        site
    }

    /// Opens the cohort to studies, as a person's check does.
    pub(super) fn check(&self) {
        let cohort = CohortFile::load(&self.folder.path().join("cohort.toml")).unwrap();
        Checked::keep(&self.folder.path().join("state"), &cohort, cohort.take_inventory().unwrap(), NOW)
            .unwrap();
    }

    /// Proposes and confirms a training budget, as a person at the site does.
    pub(super) fn confirm_budget(&self, epsilon: f64) {
        let code = self.propose_budget(epsilon);
        let proposals = Proposals::of(&self.state(), &self.credentials);
        proposals.confirm(&code, Some("Bob".parse().unwrap())).unwrap();
    }

    /// Proposes a training budget, and returns its code.
    pub(super) fn propose_budget(&self, epsilon: f64) -> String {
        let proposal = Proposal {
            cohort: "heart".parse().unwrap(),
            purpose: Purpose::Training,
            patients: 80,
            kind: BudgetKind::Rdp { order_milli: Order::try_from(8000).unwrap() },
            epsilon,
            delta: Delta::try_from(1e-3).unwrap(),
            who: "Ada".parse().unwrap(),
            why: "a test".parse().unwrap(),
            time: NOW,
        };
        Proposals::of(&self.state(), &self.credentials).propose(&proposal).unwrap()
    }

    fn config(&self) -> String {
        "coordinator = \"localhost:1\"\ncredentials = \"c\"\nstate = \"state\"\n\
            policy = { models = [\"vector\", \"linear-risk\"], parameters_max = 10, cohorts = [\"heart\"], modes = [\"local\"], \
            noise_multiplier_min = 0.1, delta_max = 0.01, attempts_max = 10, sites_min = 1 LINE }\n\
            [[cohort]]\nfile = \"cohort.toml\"\n"
        .to_owned()
    }

    pub(super) fn try_open(&self, line: &str) -> anyhow::Result<Session> {
        self.try_open_text(&self.text(line))
    }

    pub(super) fn try_open_text(&self, text: &str) -> anyhow::Result<Session> {
        let config: SiteConfig = parse("site.toml", text).unwrap();
        Session::open(&config, self.folder.path(), &self.credentials, NOW)
    }

    /// The configuration, with another line of policy.
    pub(super) fn text(&self, line: &str) -> String {
        let key = self.researcher.identity_key().public().fingerprint();
        let pin = if line.contains("researchers") {
            String::new()
        } else {
            format!(", researchers = {{ ada = \"{key}\" }}")
        };
        self.config().replace("LINE", &(pin + line))
    }

    /// Opens a session whose configuration begins with other lines.
    pub(super) fn try_open_config(&self, lines: &str) -> anyhow::Result<Session> {
        self.try_open_text(&(lines.to_owned() + &self.text("")))
    }

    pub(super) fn open_config(&self, lines: &str) -> Session {
        self.try_open_config(lines).unwrap()
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Opens a session to which nobody remembers anything more.
    pub(super) fn open(&self) -> Session {
        self.open_with("")
    }

    /// Opens such a session with another line of policy.
    pub(super) fn open_with(&self, line: &str) -> Session {
        let mut session = self.try_open(line).unwrap();
        let entries = session.ledger.leaves().len() as u64;
        recollect(&mut session, entries, &[]).unwrap();
        session
    }

    /// Returns new credentials of this site.
    pub(super) fn renewed(&self) -> Credentials {
        let until = Timestamp(NOW.0 + 1_000_000_000);
        let terms =
            CertificateTerms { from: NOW, tls_until: until, identity_until: until, hosts: Vec::new() };
        self.authority.issue(Role::Site, &"va".parse().unwrap(), &terms).unwrap()
    }

    /// Somebody else of the federation.
    pub(super) fn other(&self) -> Credentials {
        let until = Timestamp(NOW.0 + 1_000_000_000);
        let authority = Authority::create(&"fed".parse().unwrap(), NOW, until).unwrap();
        let terms =
            CertificateTerms { from: NOW, tls_until: until, identity_until: until, hosts: Vec::new() };
        authority.issue(Role::Site, &"vb".parse().unwrap(), &terms).unwrap()
    }

    pub(super) fn offer(&self, session: &mut Session, id: &str, c_int: u32) -> Result<Accepted, OfferError> {
        self.offer_text(session, Self::plan(id, c_int))
    }

    pub(super) fn plan(id: &str, c_int: u32) -> String {
        format!(
            r#"
            study = {{ id = "{id}", title = "t", sites = ["va"], expires = "2099-01-01" }}
            cohort = {{ name = "heart", patients_max = 100 }}
            data.table = {{ outcome = "disease", features.age.number = {{ unit = "years", low = 20, high = 100 }} }}
            model = {{ family.vector.parameters = {WEIGHTS}, seed = 1 }}
            rounds = {{ count = 4, attempts_max = 4, blocks = 2, sites_min = 1, join_s = 1, deadline_s = 1, slot_s = 0 }}
            training = {{ sampling = "1", loss = "bce", site = "gradient", server.fedavg.learning_rate = 1.0 }}
            privacy.local = {{ clip = 1.0, delta = 1e-3, target.noise-multiplier = 8.0 }}
            calibrated = {{ m = 13, c_int = {c_int}, modulus_bits = 32, steps = 4, epsilon = 1e6 }}
            "#
        )
    }

    pub(super) fn signed(&self, text: String) -> (Plan, PlanSigner, SignedPlan) {
        let signed = sign_plan(&self.researcher, text.into_bytes());
        let (plan, signer) = verify_plan(&signed, self.credentials.authority(), NOW).unwrap();
        (plan, signer, signed)
    }

    pub(super) fn offer_text(&self, session: &mut Session, text: String) -> Result<Accepted, OfferError> {
        let (plan, signer, signed) = self.signed(text);
        session.offered(plan, &signer, &signed, NOW)
    }

    pub(super) fn ledger(&self) -> String {
        fs::read_to_string(ledger_path(&self.folder.path().join("state"))).unwrap()
    }

    fn stored_release(&self, study: &str) -> PathBuf {
        Path::new(self.folder.path()).join("state/studies").join(study).join("release")
    }
}

/// Has a coordinator say how many entries it has of the ledger, and which checkpoints are remembered.
pub(super) fn recollect(session: &mut Session, entries: u64, notes: &[&str]) -> Result<(), NotWhole> {
    let checkpoints = notes.iter().map(|&note| note.to_owned()).collect();
    let acknowledged = session.acknowledged();
    session.recollected(&MirrorState { entries, checkpoints }, acknowledged)
}

pub(super) fn key(round: u32, attempt: u32) -> AttemptKey {
    AttemptKey { study: "s".parse().unwrap(), round, attempt }
}

/// The release of an update of noise, mostly.
pub(super) fn noised(paid: &BlockGrant) -> Release {
    release_of(paid, &noisy_sums(13, 1, WEIGHTS), WireBits::B32).unwrap()
}

/// What so many sums with noise of 2^m come to, of patients who add nothing.
pub(super) fn noisy_sums(m: i64, steps: usize, length: usize) -> Noised {
    let mut sums = NoisySteps::new(m.try_into().unwrap());
    let mut values = vec![0; length];
    for _step in 0..steps {
        let sum = || Ok::<_, NoiseError>(IntegerSum(vec![0; length]));
        values = sums.take(&OpendpNoise, length, sum).unwrap();
    }
    sums.finish(values)
}

pub(super) fn release_of(
    paid: &BlockGrant,
    values: &Noised,
    bits: WireBits,
) -> Result<Release, ReleaseError> {
    release_under(Permit::of(paid, None)?, values, bits)
}

pub(super) fn release_under(
    permit: Permit,
    values: &Noised,
    bits: WireBits,
) -> Result<Release, ReleaseError> {
    let Permit::Noised(permit) = permit else { panic!("own noise pays for it") };
    Release::of(permit, values, bits)
}

pub(super) fn grant(work: Work) -> BlockGrant {
    match work {
        Work::Train(grant) => grant,
        Work::Resend(_) => panic!("expected a new attempt"),
    }
}

pub(super) fn resent(work: Work) -> Outgoing {
    match work {
        Work::Resend(outgoing) => outgoing,
        Work::Train(_) => panic!("expected the stored release"),
    }
}

#[test]
fn an_attempt_that_was_released_sends_the_same_bytes_again_even_after_a_restart() {
    let site = Site::new();
    let mut session = site.open();
    site.offer(&mut session, "s", 1024).unwrap();
    let paid = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    let first = session.release(&paid, noised(&paid), NOW).unwrap();
    let again = resent(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    assert_eq!((again.bytes(), again.header()), (first.bytes(), first.header()));

    drop(session);
    let mut session = site.open();
    site.offer(&mut session, "s", 1024).unwrap();
    let after_restart = resent(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    assert_eq!(after_restart.bytes(), first.bytes());
}

#[test]
fn stored_bytes_that_changed_do_not_leave() {
    let site = Site::new();
    let mut session = site.open();
    site.offer(&mut session, "s", 1024).unwrap();
    let paid = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    session.release(&paid, noised(&paid), NOW).unwrap();
    let path = site.stored_release("s");
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] ^= 1;
    fs::write(&path, bytes).unwrap();
    let refused = session.invited(Purpose::Training, &key(1, 1), NOW).unwrap_err();
    assert!(matches!(refused, SessionError::Release(ReleaseError::OtherBytes)), "{refused}");
}

#[test]
fn an_update_without_the_noise_that_was_paid_for_does_not_leave() {
    let site = Site::new();
    let mut session = site.open();
    site.offer(&mut session, "s", 1024).unwrap();
    let paid = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    for (m, steps) in [(12, 1), (14, 1), (13, 0), (13, 2)] {
        let refused = release_of(&paid, &noisy_sums(m, steps, WEIGHTS), WireBits::B32).unwrap_err();
        assert!(matches!(refused, ReleaseError::OtherNoise { .. }), "{refused}");
    }
    assert!(!site.ledger().contains("\"entry\":\"released\""));
}

#[test]
fn an_earlier_attempt_is_not_released_after_a_later_one() {
    let site = Site::new();
    let mut session = site.open();
    site.offer(&mut session, "s", 1024).unwrap();
    let earlier = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    let later = grant(session.invited(Purpose::Training, &key(1, 2), NOW).unwrap());
    for _before_and_after in 0..2 {
        let refused = session.release(&earlier, noised(&earlier), NOW).unwrap_err();
        assert!(matches!(refused, SessionError::Ledger(_)), "{refused}");
        if session.ledger.failed(&"s".parse().unwrap()) == 2 {
            session.release(&later, noised(&later), NOW).unwrap();
        }
    }
    let refused = session.release(&later, noised(&later), NOW).unwrap_err();
    assert!(matches!(refused, SessionError::Ledger(_)), "{refused}");
}

#[test]
fn attempts_beyond_what_was_paid_for_are_refused() {
    let site = Site::new();
    let mut session = site.open();
    site.offer(&mut session, "s", 1024).unwrap();
    for attempt in 1..=4 {
        let paid = grant(session.invited(Purpose::Training, &key(attempt, attempt), NOW).unwrap());
        session.release(&paid, noised(&paid), NOW).unwrap();
    }
    let refused = session.invited(Purpose::Training, &key(5, 5), NOW).unwrap_err();
    assert!(refused.to_string().contains("all attempts that study s paid for are used"), "{refused}");
    assert_eq!(site.ledger().matches("\"entry\":\"attempt-refused\"").count(), 1);
    assert_eq!(site.ledger().matches("\"entry\":\"block-opened\"").count(), 2);
}

#[test]
fn a_study_over_budget_is_refused_with_the_numbers_and_logged_once() {
    let site = Site::new();
    let mut session = site.open();
    // Noise of 8192 for a sensitivity of 60000: far beyond epsilon 10 in four steps.
    let refused = site.offer(&mut session, "s", 60_000).unwrap_err().to_string();
    assert!(refused.contains("does not fit the budget of cohort heart"), "{refused}");
    assert!(refused.contains("it asks for") && refused.contains("left is"), "{refused}");
    let again = site.offer(&mut session, "s", 60_000).unwrap_err().to_string();
    assert_eq!(again, refused);
    assert_eq!(site.ledger().matches("\"entry\":\"study-refused\"").count(), 1);
    assert!(matches!(
        session.invited(Purpose::Training, &key(1, 1), NOW),
        Err(SessionError::NotTakingPart(_))
    ));
}

#[test]
fn a_cohort_that_changed_its_size_is_refused() {
    let site = Site::new();
    drop(site.open());
    let file = site.folder.path().join("cohort.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("patients = 80", "patients = 79")).unwrap();
    let refused = site.try_open("").err().unwrap().to_string();
    assert!(refused.contains("declares 79 patients, its budget was opened for 80"), "{refused}");
}

#[test]
fn a_budget_in_the_configuration_is_refused_with_the_command_instead() {
    let site = Site::new();
    let config =
        site.config().replace("LINE", "").replace("[[cohort]]", "[[cohort]]\nbudget = { epsilon = 1.0 }");
    let refused = parse::<SiteConfig>("site.toml", &config).unwrap_err().to_string();
    assert!(refused.contains("fedtwin-site budget propose"), "{refused}");
}

#[test]
fn a_changed_plan_and_a_replayed_round_are_refused_and_logged() {
    let site = Site::new();
    let mut session = site.open();
    site.offer(&mut session, "s", 1024).unwrap();
    let paid = grant(session.invited(Purpose::Training, &key(2, 2), NOW).unwrap());
    session.release(&paid, noised(&paid), NOW).unwrap();
    // The same study with other numbers is another plan.
    let refused = site.offer(&mut session, "s", 1000).unwrap_err().to_string();
    assert!(refused.contains("study s was reserved before"), "{refused}");
    assert!(site.ledger().contains("study s was reserved before"), "the refusal is in the ledger");
    let blocks = site.ledger().matches("\"entry\":\"block-opened\"").count();
    for replayed in [key(2, 1), key(1, 1), key(1, 9)] {
        let refused = session.invited(Purpose::Training, &replayed, NOW).unwrap_err().to_string();
        assert!(refused.contains("is not after the last one that began"), "{refused}");
    }
    assert_eq!(site.ledger().matches("\"entry\":\"attempt-refused\"").count(), 3);
    assert_eq!(site.ledger().matches("\"entry\":\"block-opened\"").count(), blocks);
}
