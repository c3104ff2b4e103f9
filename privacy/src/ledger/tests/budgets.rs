//! Budgets: opened by a person, never changed, only raised, and added up over purposes.

use super::*;
use crate::accountant::epsilon;

fn gdp(cohort: &str, epsilon: f64) -> BudgetRequest {
    BudgetRequest { kind: BudgetKind::Gdp, ..budget(cohort, epsilon) }
}

fn metrics(request: BudgetRequest) -> BudgetRequest {
    BudgetRequest { purpose: Purpose::Metrics, ..request }
}

#[test]
fn a_budget_is_raised_by_a_new_entry_and_never_lowered() {
    let Site { mut ledger, path, _folder } = site(2.0);
    let before = ledger.state().report()[0].total;
    for not_more in [2.0, 1.9] {
        let refused = refusal(ledger.set_budget(&budget("heart", not_more), NOW));
        assert!(matches!(refused, Violation::NotARaise { .. }), "{refused}");
    }
    ledger.set_budget(&budget("heart", 2.5), NOW).unwrap();
    let report = ledger.state().report().remove(0);
    assert!(report.total.nano > before.nano && (report.total.epsilon - 2.5).abs() < 1e-6);
    assert_eq!(report.budgets[0].opened.epsilon_micro, 2_000_000, "what was opened stays as it was");
    assert_eq!(report.budgets[0].raises[0].approval, approval());
    assert!(text(&path).contains(r#""entry":"budget-raised""#));
    let state = ledger.state().clone();
    drop(ledger);
    assert_eq!(open(&path).unwrap().state(), &state);
}

#[test]
fn a_budgets_terms_are_fixed_for_ever() {
    let Site { mut ledger, _folder, .. } = site(2.0);
    let good = budget("heart", 3.0);
    for other in [
        BudgetRequest { patients: 101, ..good.clone() },
        BudgetRequest { delta: Delta::try_from(1e-2).unwrap(), ..good.clone() },
        BudgetRequest { kind: BudgetKind::Rdp { order_milli: Order::TWO }, epsilon: 9.0, ..good.clone() },
        gdp("heart", 3.0),
        metrics(gdp("heart", 3.0)),
    ] {
        let refused = refusal(ledger.set_budget(&other, NOW));
        assert!(matches!(refused, Violation::OtherTerms(_)), "{refused}");
    }
    ledger.set_budget(&metrics(good), NOW).unwrap();
}

#[test]
fn budgets_that_leave_nothing_or_cannot_be_added_are_refused() {
    let Site { mut ledger, _folder, .. } = site(2.0);
    let requests = [budget("lungs", 0.1), budget("lungs", 1e9), gdp("lungs", 1e9)];
    for request in requests {
        let refused = refusal(ledger.set_budget(&request, NOW));
        assert!(matches!(refused, Violation::Amount(_)), "{refused}");
    }
}

#[test]
fn a_budget_filled_to_the_brim_keeps_its_epsilon() {
    for (kind, epsilon_max, delta) in [
        (rdp(), 2.0, 1e-3),
        (BudgetKind::Gdp, 2.0, 1e-3),
        (BudgetKind::Gdp, 0.5, 1e-5),
        (BudgetKind::Gdp, 8.0, 1e-6),
    ] {
        let delta = Delta::try_from(delta).unwrap();
        let request = BudgetRequest { kind, delta, ..budget("heart", epsilon_max) };
        let Site { mut ledger, _folder, .. } = site_with(&[request]);
        let total = ledger.state().report()[0].total;
        assert!(total.epsilon <= epsilon_max && total.epsilon > 0.999 * epsilon_max, "{kind}: {total:?}");
        let costs = |&n: &u32| Claim::priced(event(), n, 1, (kind, delta)).total().nano <= total.nano;
        let attempts = (1..20_000).rev().find(costs).unwrap();
        ledger.reserve(&request_of(attempts), NOW).unwrap();
        let all = GaussianEvent { steps: attempts.into(), ..event() };
        let (exact, charged) = (epsilon(&[all], delta.value()).value, ledger.state().report()[0].reserved);
        assert!(exact <= charged.epsilon * (1.0 + 1e-9) && charged.epsilon <= epsilon_max, "{kind}");
        let one_more = StudyRequest { plan: Digest::of(b"more"), ..training("b", "heart", one(1)) };
        let more = (1..100).find(|&n| {
            let claims = [(Purpose::Training, one(n))].into();
            ledger.reserve(&StudyRequest { claims, ..one_more.clone() }, NOW).is_err()
        });
        assert!(more.is_some(), "{kind}: the budget has an end");
    }
}

fn one(attempts_max: u32) -> ClaimRequest {
    claim(AttemptCost::Noised(event()), attempts_max, 1)
}

fn request_of(attempts: u32) -> StudyRequest {
    request("a", "heart", attempts, 1)
}

/// The Gaussian bounds' part of delta is set aside in the cap, so that blocks of sampled steps fit later.
#[test]
fn a_gaussian_cap_leaves_room_for_gaussian_bounds() {
    let delta = Delta::try_from(1e-5).unwrap();
    let amount = BudgetKind::Gdp.amount(1.0, delta);
    let full = Cost { nano: amount, delta_ppm: budget::SLACK_PPM_MAX };
    let bare = Cost { nano: amount, delta_ppm: 0 };
    let (full, bare) = (BudgetKind::Gdp.epsilon(full, delta), BudgetKind::Gdp.epsilon(bare, delta));
    assert!(full <= 1.0 && full > 1.0 - 1e-6, "{full}");
    assert!(bare < full && bare > 0.998 * full, "{bare}");
}

/// Sampled steps take a Gaussian bound, and with it a part of delta, for each block; other steps none.
#[test]
fn blocks_of_sampled_steps_take_a_share_of_delta() {
    let Site { mut ledger, _folder, .. } = site_with(&[gdp("heart", 2.0)]);
    let sampled = training("a", "heart", claim(AttemptCost::Noised(sampled()), 5, 3));
    let reserved = ledger.reserve(&sampled, NOW).unwrap().terms().total();
    assert_eq!(reserved.delta_ppm, 3 * budget::BLOCK_PPM);
    let all = ledger.reserve(&request("b", "heart", 5, 3), NOW).unwrap().terms().total();
    assert_eq!(all.delta_ppm, 0);
    assert!(reserved.nano <= all.nano, "sampling never costs more");
    ledger.close(&"a".parse().unwrap(), StudyEnd::Aborted, ClosedBy::Coordinator, NOW).unwrap();
    assert_eq!(ledger.state().report()[0].reserved.delta_ppm, 0, "blocks that never started give it back");
}

#[test]
fn what_nothing_bounds_fits_no_budget() {
    let Site { mut ledger, _folder, .. } = site_with(&[gdp("heart", 1000.0)]);
    let endless = GaussianEvent { steps: u64::MAX, ..event() };
    let refused =
        refusal(ledger.reserve(&training("a", "heart", claim(AttemptCost::Noised(endless), 9, 4)), NOW));
    assert!(matches!(refused, Violation::OverBudget(_)), "{refused}");
}

#[test]
fn purposes_are_reserved_together_or_not_at_all() {
    let Site { mut ledger, _folder, .. } = site_with(&[budget("heart", 2.0), metrics(budget("heart", 1.4))]);
    let before = ledger.state().clone();
    let refused = refusal(ledger.reserve(&with_metrics(request("a", "heart", 2, 1), 50), NOW));
    assert!(
        matches!(&refused, Violation::OverBudget(shortfall) if shortfall.budget.purpose == Purpose::Metrics)
    );
    assert_eq!(ledger.state().report(), before.report(), "nothing is set aside of what does not fit whole");
    let reservation = ledger.reserve(&with_metrics(request("a", "heart", 2, 1), 1), NOW).unwrap();
    let report = ledger.state().report().remove(0);
    assert_eq!(report.reserved.nano, reservation.terms().total().nano);
    let budgets: Vec<_> = report.budgets.iter().map(|budget| budget.reserved.nano).collect();
    assert_eq!(budgets.iter().sum::<u64>(), report.reserved.nano, "the cohort's report has all purposes");
    assert!(budgets[0] > budgets[1] && budgets[1] > 0);
    let amounts: u64 = report.budgets.iter().map(|budget| budget.total.nano).sum();
    assert_eq!(report.total.nano, amounts);
    assert!(report.total.epsilon > 2.0, "the total is of both budgets: {:?}", report.total);
}

#[test]
fn a_purpose_without_a_budget_is_refused() {
    let Site { mut ledger, _folder, .. } = site(2.0);
    let refused = refusal(ledger.reserve(&with_metrics(request("a", "heart", 2, 1), 1), NOW));
    assert!(matches!(refused, Violation::NoBudget { purpose: Purpose::Metrics, .. }), "{refused}");
}

/// Gaussian bounds of different studies and purposes draw on one part of the cohort's delta.
#[test]
fn the_part_of_delta_that_gaussian_bounds_take_is_bounded() {
    let mut state = LedgerState::default();
    let requests = [gdp("heart", 4.0), metrics(gdp("heart", 4.0))];
    state.apply(&Body::Opened(owner("va")), None).unwrap();
    for request in &requests {
        let entry = state.budget_entry(request).unwrap();
        state.apply(&entry, None).unwrap();
    }
    let certified = |name: &str, purpose, blocks| {
        let block = Cost { nano: 10, delta_ppm: budget::BLOCK_PPM };
        let spend = Spend::Priced { event: sampled(), block, rest: Cost::NONE };
        let claims = [(purpose, Claim { attempts_max: blocks, blocks, spend })].into();
        let (study, plan) = (name.parse().unwrap(), Digest::of(name.as_bytes()));
        Body::StudyReserved(body::StudyReserved { study, plan, cohort: "heart".parse().unwrap(), claims })
    };
    let all = budget::SLACK_PPM_MAX / budget::BLOCK_PPM;
    state.apply(&certified("a", Purpose::Training, all - 5), None).unwrap();
    state.apply(&certified("b", Purpose::Metrics, 5), None).unwrap();
    let refused = state.apply(&certified("c", Purpose::Metrics, 1), None).unwrap_err();
    assert!(matches!(refused, Violation::SlackUsed { left_ppm: 0, .. }), "{refused}");
    assert!(state.report()[0].reserved.epsilon < 4.0);
}

#[test]
fn remarks_are_one_line() {
    for bad in ["", " ", "a\nb", "\u{7}", &"a".repeat(501)] {
        assert!(bad.parse::<Remark>().is_err(), "{bad:?}");
    }
    assert_eq!(String::from(" Ada ".parse::<Remark>().unwrap()), "Ada");
}
