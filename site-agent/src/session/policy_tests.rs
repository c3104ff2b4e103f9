//! What a session makes of what people wrote: whose plans count, how many studies run at one time, budgets that are refused.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use fedtwin_certs::certificate::CertificateError;
use fedtwin_certs::folder::create_credentials;
use fedtwin_certs::{Authority, CertificateTerms, Revocation, Role, sign_plan, verify_plan};
use fedtwin_plan::Digest;
use fedtwin_plan::text_file::parse;

use super::tests::{NOW, Site, recollect};
use super::*;
use crate::closings::{Closing, Closings};
use crate::config::SiteConfig;

fn public(refused: &OfferError) -> String {
    PublicReason::from(refused).to_string()
}

#[test]
fn a_plan_under_a_key_that_nobody_pinned_is_refused_and_the_pins_stay_at_home() {
    let site = Site::new();
    let pinned = Digest::of(b"another key of ada");
    let mut session = site.open_with(&format!(", researchers = {{ ada = \"{pinned}\" }}"));
    let refused = site.offer(&mut session, "s", 1024).unwrap_err();
    assert!(refused.to_string().contains(&pinned.to_string()), "the site's own log says it all: {refused}");
    assert!(public(&refused).ends_with("its signer"), "{}", public(&refused));
    for beyond in [public(&refused), site.ledger()] {
        assert!(!beyond.contains(&pinned.to_string()), "{beyond}");
    }
    assert!(site.ledger().contains("study-refused"));
    drop(session);
    site.offer(&mut site.open_with(""), "s", 1024).unwrap();
}

#[test]
fn a_study_too_many_is_refused_until_another_has_ended() {
    let site = Site::new();
    let mut session = site.open_with(", studies_max = 1");
    site.offer(&mut session, "one", 1024).unwrap();
    site.offer(&mut session, "one", 1024).expect("the same study again is none more");
    let refused = site.offer(&mut session, "two", 1000).unwrap_err();
    assert!(public(&refused).ends_with("a study more at this time"), "{}", public(&refused));
    assert_eq!(public(&site.offer(&mut session, "two", 1000).unwrap_err()), public(&refused));
    assert_eq!(site.ledger().matches("study-refused").count(), 1, "asking again writes nothing");
    session.closed(&"one".parse().unwrap(), true, NOW).unwrap();
    site.offer(&mut session, "two", 1000).unwrap();
    // Whoever ends a study makes room for another.
    public(&site.offer(&mut session, "three", 1001).unwrap_err());
    let closing = Closing {
        study: "two".parse().unwrap(),
        who: "Ada".parse().unwrap(),
        why: "forgotten".parse().unwrap(),
    };
    Closings::of(&site.state()).ask(&closing).unwrap();
    site.offer(&mut session, "three", 1001).unwrap();
    public(&site.offer(&mut session, "four", 1002).unwrap_err());
    session.gave_up(&"three".parse().unwrap(), NOW).unwrap();
    site.offer(&mut session, "four", 1002).unwrap();
}

/// What the authority has taken back, without a file.
#[derive(Debug, Default)]
struct TakenBack(Mutex<BTreeSet<String>>);

impl Revocation for TakenBack {
    fn check(&self, serial: &str, _now: Timestamp) -> Result<(), CertificateError> {
        match self.0.lock().unwrap().contains(serial) {
            true => Err(CertificateError::Revoked { since: "today".to_owned() }),
            false => Ok(()),
        }
    }
}

#[test]
fn a_site_does_not_hide_behind_a_certificate_that_was_taken_back() {
    let until = NOW + Duration::from_secs(1_000_000);
    let authority = Authority::create(&"fed".parse().unwrap(), NOW, until).unwrap();
    let terms = CertificateTerms { from: NOW, tls_until: until, identity_until: until, hosts: Vec::new() };
    let issue = |role, name: &str| authority.issue(role, &name.parse().unwrap(), &terms).unwrap();
    let (folder, taken_back) = (tempfile::tempdir().unwrap(), Arc::new(TakenBack::default()));
    let own = Arc::new(issue(Role::Site, "va").with_revocation(taken_back.clone()));
    let peers = folder.path().join("peers");
    fs::create_dir(&peers).unwrap();
    let serials = ["vb", "vc"].map(|name| {
        let peer = issue(Role::Site, name);
        create_credentials(&folder.path().join(name), &peer).unwrap();
        fs::copy(folder.path().join(name).join("identity.pem"), peers.join(format!("{name}.pem"))).unwrap();
        authority.certificate().verify(peer.identity_der()).unwrap().serial
    });
    fs::write(folder.path().join("cohort.toml"), COHORT).unwrap();
    let config: SiteConfig = parse("site.toml", CONFIG).unwrap();
    let cohort = CohortFile::load(&folder.path().join("cohort.toml")).unwrap();
    Checked::keep(&folder.path().join("state"), &cohort, cohort.take_inventory().unwrap(), NOW).unwrap();
    let mut session = Session::open(&config, folder.path(), &own, NOW).unwrap();
    recollect(&mut session, 0, &[]).unwrap();
    let researcher = issue(Role::Researcher, "ada");
    let mut offer = |id: &str| {
        let signed = sign_plan(&researcher, SHARED.replace("ID", id).into_bytes());
        let (plan, signer) = verify_plan(&signed, own.authority(), NOW).unwrap();
        session.offered(plan, &signer, &signed, NOW).unwrap_err()
    };
    let asked_the_ledger = |refused: &OfferError| matches!(refused, OfferError::Ledger(_));
    assert!(asked_the_ledger(&offer("one")), "all are believed, and there is no budget");
    taken_back.0.lock().unwrap().insert(serials[1].clone());
    let refused = offer("two");
    assert!(matches!(&refused, OfferError::PeerRevoked { site, .. } if site.as_str() == "vc"), "{refused}");
}

const COHORT: &str = "name = \"heart\"\npatients = 80\n[source.synthetic-table]\nseed = 1\nsite = 0\n\
                      patients = 100\n[split.modulo]\ndivisor = 5\ntest = 3\n";

const CONFIG: &str = r#"
    coordinator = "localhost:1"
    credentials = "c"
    state = "state"
    [policy]
    models = ["linear-risk"]
    parameters_max = 10
    cohorts = ["heart"]
    researchers = "everybody"
    modes = ["shared"]
    noise_multiplier_min = 0.1
    own_noise_multiplier_min = 0.1
    colluders_min = 0
    delta_max = 0.01
    attempts_max = 10
    sites_min = 1
    secure_aggregation = { peers = "peers", sites_min = 3 }
    [[cohort]]
    file = "cohort.toml"
"#;

const SHARED: &str = r#"
    study = { id = "ID", title = "t", sites = ["va", "vb", "vc"], expires = "2099-01-01" }
    cohort = { name = "heart", patients_max = 100 }
    data.table = { outcome = "disease", features.age.number = { unit = "years", low = 20, high = 100 } }
    model = { family = "linear-risk", seed = 1 }
    rounds = { count = 4, attempts_max = 4, blocks = 2, sites_min = 3, join_s = 1, deadline_s = 1, slot_s = 0 }
    training = { sampling = "1", loss = "bce", site = "gradient", server.fedavg.learning_rate = 1.0 }
    privacy.shared = { clip = 1.0, delta = 1e-3, colluders = 0, dropouts = 0, target.noise-multiplier = 8.0 }
    calibrated = { m = 13, c_int = 1024, modulus_bits = 32, steps = 4, epsilon = 1e6 }
"#;
