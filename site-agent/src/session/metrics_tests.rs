//! Metrics at the door: paid for from their own budget, or refused before anything is read.

use fedtwin_plan::WireBits;
use fedtwin_privacy::accountant::Order;
use fedtwin_privacy::ledger::{Approval, BudgetKind, BudgetRequest, Delta};

use super::tests::{NOW, Site, grant, key, noisy_sums, release_of, resent};
use super::*;

const POLICY: &str = ", metrics = { noise_patients_min = 1.0, releases_max = 2 }";

/// Offers a study of four rounds with metrics after the second and the last, which claims this epsilon for them.
fn offer(site: &Site, session: &mut Session, epsilon: f64) -> Result<Accepted, OfferError> {
    let text = format!(
        r#"
        study = {{ id = "s", title = "t", sites = ["va"], expires = "2099-01-01" }}
        cohort = {{ name = "heart", patients_max = 100 }}
        data.table = {{ outcome = "disease", features.age.number = {{ unit = "years", low = 20, high = 100 }} }}
        model = {{ family = "linear-risk", seed = 1 }}
        rounds = {{ count = 4, attempts_max = 5, blocks = 1, sites_min = 1, join_s = 1, deadline_s = 1, slot_s = 0 }}
        training = {{ sampling = "1", loss = "bce", site = "gradient", server.fedavg.learning_rate = 1.0 }}
        privacy.local = {{ clip = 1.0, delta = 1e-3, target.noise-multiplier = 8.0 }}
        metrics = {{ epsilon = 1.0, delta = 1e-3, every_rounds = 2 }}
        [calibrated]
        m = 13
        c_int = 1024
        modulus_bits = 32
        steps = 5
        epsilon = 1e6
        metrics = {{ m = 12, c_int = 1024, releases = 2, epsilon = {epsilon:?} }}
        "#
    );
    site.offer_text(session, text)
}

/// Opens a budget for metrics; four patients' noise in two releases cost an epsilon of about 1.
fn open_budget(session: &mut Session, epsilon: f64) {
    let person = |name: &str| name.parse().unwrap();
    let request = BudgetRequest {
        cohort: "heart".parse().unwrap(),
        purpose: Purpose::Metrics,
        patients: 80,
        kind: BudgetKind::Rdp { order_milli: Order::try_from(8000).unwrap() },
        epsilon,
        delta: Delta::try_from(1e-3).unwrap(),
        approval: Approval { proposed_by: person("it"), confirmed_by: person("dpo"), why: person("test") },
    };
    session.ledger.set_budget(&request, NOW).unwrap();
}

/// Forty noised counts, as a trainer of nobody would have them.
fn counts(paid: &BlockGrant, m: i64) -> Result<Release, ReleaseError> {
    release_of(paid, &noisy_sums(m, 1, 40), WireBits::B64)
}

fn entries(site: &Site, entry: &str) -> usize {
    site.ledger().matches(&format!("\"entry\":\"{entry}\"")).count()
}

#[test]
fn metrics_are_refused_before_data_is_read_where_policy_or_budget_does_not_allow_them() {
    let site = Site::new();
    let mut session = site.open_with("");
    let refused = offer(&site, &mut session, 2.0).unwrap_err().to_string();
    assert!(refused.contains("has no line `metrics`"), "{refused}");
    drop(session);

    let mut session = site.open_with(POLICY);
    let refused = offer(&site, &mut session, 2.0).unwrap_err().to_string();
    assert!(
        refused.contains("heart") && refused.contains("metrics") && refused.contains("budget"),
        "{refused}"
    );
    drop(session);

    let mut session = site.open_with(POLICY);
    open_budget(&mut session, 0.6);
    let refused = offer(&site, &mut session, 2.0).unwrap_err().to_string();
    assert!(refused.contains("does not fit"), "{refused}");
    assert_eq!((entries(&site, "study-refused"), entries(&site, "study-reserved")), (3, 0));
    assert!(matches!(
        session.invited(Purpose::Metrics, &key(2, 2), NOW),
        Err(SessionError::NotTakingPart(_))
    ));
    drop(session);

    let mut session = site.open_with(POLICY);
    let refused = offer(&site, &mut session, 0.01).unwrap_err();
    assert!(matches!(refused, OfferError::Claim { .. }), "{refused}");
}

#[test]
fn metrics_and_updates_of_one_attempt_are_two_releases_and_each_is_resent_as_it_was() {
    let site = Site::new();
    let mut session = site.open_with(POLICY);
    open_budget(&mut session, 2.0);
    offer(&site, &mut session, 2.0).unwrap();
    let paid = grant(session.invited(Purpose::Training, &key(2, 2), NOW).unwrap());
    let update = release_of(&paid, &noisy_sums(13, 1, 2), WireBits::B32).unwrap();
    let update = session.release(&paid, update, NOW).unwrap();

    let paid = grant(session.invited(Purpose::Metrics, &key(2, 2), NOW).unwrap());
    let weaker = counts(&paid, 11).unwrap_err();
    assert!(matches!(weaker, ReleaseError::OtherNoise { .. }), "{weaker}");
    let metrics = session.release(&paid, counts(&paid, 12).unwrap(), NOW).unwrap();
    assert_eq!((update.bytes().len(), metrics.bytes().len()), (2 * 4, 40 * 8));
    assert_eq!((update.purpose(), metrics.purpose()), (Purpose::Training, Purpose::Metrics));

    drop(session);
    let mut session = site.open_with(POLICY);
    offer(&site, &mut session, 2.0).unwrap();
    for (purpose, first) in [(Purpose::Training, update), (Purpose::Metrics, metrics)] {
        let again = resent(session.invited(purpose, &key(2, 2), NOW).unwrap());
        assert_eq!((again.bytes(), again.purpose()), (first.bytes(), purpose));
    }
    assert_eq!((entries(&site, "released"), entries(&site, "block-opened")), (2, 2));
}

#[test]
fn metrics_that_the_plan_does_not_name_are_refused_and_logged() {
    let site = Site::new();
    let mut session = site.open_with(POLICY);
    open_budget(&mut session, 2.0);
    offer(&site, &mut session, 2.0).unwrap();
    let refused = session.invited(Purpose::Metrics, &key(1, 1), NOW).unwrap_err().to_string();
    assert_eq!(refused, "the plan asks for no metrics after round 1");
    assert_eq!(entries(&site, "attempt-refused"), 1);
    for (round, attempt) in [(2, 2), (4, 4)] {
        let paid = grant(session.invited(Purpose::Metrics, &key(round, attempt), NOW).unwrap());
        session.release(&paid, counts(&paid, 12).unwrap(), NOW).unwrap();
    }
    // A coordinator that repeats the last round gets no third release.
    let refused = session.invited(Purpose::Metrics, &key(4, 5), NOW).unwrap_err();
    assert!(matches!(refused, SessionError::Ledger(_)), "{refused}");
    assert_eq!(entries(&site, "released"), 2);
}

#[test]
fn releases_that_never_happened_are_given_back() {
    let site = Site::new();
    let mut session = site.open_with(POLICY);
    open_budget(&mut session, 2.0);
    offer(&site, &mut session, 2.0).unwrap();
    let paid = grant(session.invited(Purpose::Metrics, &key(2, 2), NOW).unwrap());
    session.release(&paid, counts(&paid, 12).unwrap(), NOW).unwrap();
    session.closed(&"s".parse().unwrap(), false, NOW).unwrap();
    let report = session.ledger.state().report();
    let metrics = report[0].budgets.iter().find(|budget| budget.purpose == Purpose::Metrics).unwrap();
    assert!(metrics.spent.nano > 0 && metrics.reserved.nano == 0, "{metrics:?}");
}
