//! Costs computed anew from a ledger's integers, what else would fit, and what others can recompute.

use fedtwin_audit_log::LogFile;
use fedtwin_privacy::accountant::NoiseShares;
use fedtwin_privacy::ledger::body::{BlockOpened, StudyReserved};
use fedtwin_privacy::ledger::{Body, Claim, Cost, Spend};
use serde_json::Value;

use super::*;

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn honest_charges_are_found_again_to_the_last_unit() {
    for (kind, sampling) in [
        (BudgetKind::Gdp, "1"),
        (BudgetKind::Gdp, "1/5"),
        (BudgetKind::Rdp { order_milli: Order::try_from(8000).unwrap() }, "1"),
        (BudgetKind::Rdp { order_milli: Order::try_from(8000).unwrap() }, "1/5"),
    ] {
        let bench = Bench::with(kind, sampling.parse().unwrap());
        let json = bench.json("recompute", &["--json"]).await;
        let cohort = &json["ledgers"][0]["cohorts"][0];
        let adaptive = &cohort["adaptive"];
        assert_eq!(adaptive["charged"], adaptive["found"], "{json}");
        assert_eq!(cohort["studies"][0]["claims"][0]["verdict"], "right");
        assert_eq!(json["findings"], serde_json::json!([]));
        // Half of the plan is spent; the exact curve is there where everybody is in every step, and nothing
        // is below it.
        let (spent, planned) = (&cohort["studies"][0]["spent"], &cohort["studies"][0]["planned"]);
        assert!(number(&spent["rdp"]) < number(&planned["rdp"]));
        assert_eq!(spent["gdp"].is_null(), sampling != "1");
        assert!(
            number(&adaptive["epsilon_found"])
                >= number(&spent["rdp"]).min(spent["gdp"].as_f64().unwrap_or(0.0))
        );
        assert_eq!(json["ledgers"][0]["everything"]["epsilon"], adaptive["epsilon_found"]);
        let text = bench.ask("recompute", &[]).await.unwrap();
        assert!(text.contains("study risk (running)") && !text.contains("TOO LOW"), "{text}");
    }
}

/// Writes what no honest agent writes: signed entries that keep the rules, with amounts of its own choice.
fn dishonest(bench: &Bench, change: impl Fn(&mut Body)) {
    let (honest, _) = fedtwin_audit_log::entries::<Body>(
        std::fs::read(bench.ledger()).unwrap().as_slice(),
        &fedtwin_audit_log::Signer::public_key(&bench.signer()),
    )
    .unwrap();
    let forged = bench.folder.path().join("forged");
    let (mut log, _) = LogFile::<Body>::open(&forged, Box::new(bench.signer())).unwrap();
    for entry in honest {
        let mut body = entry.body;
        change(&mut body);
        log.append(&body, entry.time_ms).unwrap();
    }
    std::fs::rename(forged, bench.ledger()).unwrap();
}

fn halved(cost: Cost) -> Cost {
    Cost { nano: cost.nano / 2, ..cost }
}

#[tokio::test]
async fn a_signed_charge_below_the_events_cost_is_named_and_fails() {
    let bench = Bench::new();
    dishonest(&bench, |body| {
        if let Body::BlockOpened(BlockOpened { cost, .. }) = body {
            *cost = halved(*cost);
        }
        if let Body::StudyReserved(StudyReserved { claims, .. }) = body {
            for claim in claims.values_mut() {
                if let Spend::Priced { block, .. } = &mut claim.spend {
                    *block = halved(*block);
                }
            }
        }
    });
    assert!(bench.ask("verify", &[]).await.is_ok(), "the rules alone do not see it");
    let path = bench.ledger().display().to_string();
    let (text, result) = outcome(&["recompute", &path]).await;
    let refusal = result.unwrap_err().to_string();
    assert!(text.contains("TOO LOW"), "{text}");
    assert!(refusal.starts_with("a ledger is not right: va: study risk on heart"), "{refusal}");
}

#[tokio::test]
async fn a_claim_for_other_noise_than_the_plans_is_named_where_the_plan_is_given() {
    let (bench, _, _) = pages::planned();
    let plan = bench.folder.path().join("plan.toml").display().to_string();
    bench.ask("recompute", &["--plan", &plan]).await.unwrap();
    dishonest(&bench, |body| {
        if let Body::StudyReserved(StudyReserved { study, claims, .. }) = body
            && study.as_str() == "heart"
        {
            for claim in claims.values_mut() {
                let Spend::Priced { event, .. } = claim.spend else { panic!("the plan has noise") };
                let event = GaussianEvent { noise_shares: NoiseShares::try_from(2).unwrap(), ..event };
                let kind = BudgetKind::Rdp { order_milli: Order::try_from(8000).unwrap() };
                let delta = budget(kind, Purpose::Training).delta;
                *claim = Claim::priced(event, claim.attempts_max, claim.blocks, (kind, delta));
            }
        }
    });
    bench.ask("recompute", &[]).await.unwrap();
    let refusal = bench.ask("recompute", &["--plan", &plan]).await.unwrap_err().to_string();
    assert!(refusal.contains("va: study heart: the training claim is for"), "{refusal}");
    assert!(refusal.contains("noise of 2 sites") && refusal.contains("noise of 1 site and"), "{refusal}");
    std::fs::write(&plan, std::fs::read_to_string(&plan).unwrap() + "# changed\n").unwrap();
    let refusal = bench.ask("recompute", &["--plan", &plan]).await.unwrap_err().to_string();
    assert!(refusal.contains("that no study in the ledgers ran"), "{refusal}");
}

#[tokio::test]
async fn a_cap_above_what_a_person_asked_for_is_named() {
    let bench = Bench::new();
    dishonest(&bench, |body| {
        if let Body::BudgetOpened(budget) = body {
            budget.amount_nano += 1_000_000;
        }
    });
    let refusal = bench.ask("recompute", &[]).await.unwrap_err().to_string();
    assert!(refusal.contains("the training budget of heart allows more than the epsilon of 4 "), "{refusal}");
}

#[tokio::test]
async fn what_fits_is_what_the_ledger_would_reserve() {
    for kind in [BudgetKind::Gdp, BudgetKind::Rdp { order_milli: Order::try_from(8000).unwrap() }] {
        let bench = Bench::with(kind, Ratio::ONE);
        let json = bench.json("what-if", &["--like", "risk", "--rounds", "12", "--json"]).await;
        let budget = &json["budgets"][0];
        let most = u32::try_from(budget["rounds_max"].as_u64().unwrap()).unwrap();
        assert!(most > 0, "{json}");
        let mut ledger = SiteLedger::open(&bench.ledger(), &owner(), Box::new(bench.signer()), NOW).unwrap();
        let request = |name: &str, attempts_max| StudyRequest {
            study: name.parse().unwrap(),
            plan: Digest::of(name.as_bytes()),
            cohort: "heart".parse().unwrap(),
            claims: [(
                Purpose::Training,
                ClaimRequest {
                    attempts_max,
                    blocks: 1,
                    attempt: AttemptCost::Noised(GaussianEvent::local(Ratio::ONE, 10, 102, 1).unwrap()),
                },
            )]
            .into(),
        };
        assert!(ledger.reserve(&request("more", most + 1), NOW).is_err());
        ledger.reserve(&request("most", most), NOW).unwrap();
        assert_eq!(budget["fits"].as_bool(), Some(most >= 12));
        let after = bench.json("what-if", &["--like", "risk", "--rounds", "1", "--json"]).await;
        assert_eq!(
            (&after["budgets"][0]["fits"], &after["budgets"][0]["rounds_max"]),
            (&false.into(), &0.into())
        );
    }
}

#[tokio::test]
async fn rounds_are_priced_without_any_ledger() {
    let words = [
        "what-if",
        "--rounds",
        "10",
        "--noise-multiplier",
        "1",
        "--delta",
        "1e-5",
        "--epsilon",
        "18",
        "--json",
    ];
    let json: Value = serde_json::from_str(&answer(&words).await.unwrap()).unwrap();
    // Balle and Wang 2018, theorem 8, at sigma 1 and ten steps.
    let exact = number(&json["alone"]["epsilons"]["gdp"]);
    assert!((exact - 17.856_586_830_1).abs() < 1e-4, "{json}");
    assert_eq!(json["alone"]["rounds_max"], 10);
    let sampled = [
        "what-if",
        "--rounds",
        "10",
        "--noise-multiplier",
        "1",
        "--sampling",
        "1/20",
        "--delta",
        "1e-5",
        "--local-steps",
        "3",
    ];
    let text = answer(&sampled).await.unwrap();
    assert!(text.contains("10 rounds of 3 noisy sums") && !text.contains("gdp, exactly"), "{text}");
}

#[tokio::test]
async fn a_study_that_no_ledger_has_is_named() {
    let bench = Bench::new();
    let refused = bench.ask("what-if", &["--like", "other", "--rounds", "1"]).await.unwrap_err().to_string();
    assert!(refused.contains("no ledger has a study other"), "{refused}");
    let refused = bench.ask("export", &["--study", "other"]).await.unwrap_err().to_string();
    assert!(refused.contains("no ledger has a cohort"), "{refused}");
}

#[tokio::test]
async fn exported_events_are_those_of_opened_blocks() {
    let bench = Bench::with(BudgetKind::Gdp, "1/5".parse().unwrap());
    let json = bench.json("export", &["--study", "risk"]).await;
    let event = &json["events"][0];
    assert_eq!((&event["sampling"], &event["steps"]), (&"1/5".into(), &2.into()), "{json}");
    let multiplier = GaussianEvent::local(Ratio::ONE, 10, 102, 1).unwrap().noise_multiplier();
    assert!((number(&event["noise_multiplier"]) - multiplier).abs() < 1e-12);
    assert!(number(&json["epsilon"]) > 0.0 && (number(&json["delta"]) - 1e-3).abs() < 1e-18);
}

#[tokio::test]
async fn whatever_is_computed_from_unverified_ledgers_says_so() {
    let bench = Bench::with(BudgetKind::Gdp, Ratio::ONE);
    let path = bench.ledger().display().to_string();
    for asked in [&["recompute"][..], &["what-if", "--like", "risk", "--rounds", "1"]] {
        let caution = "signatures of va are not verified";
        let unverified = answer(&[asked, &[&path]].concat()).await.unwrap();
        assert!(unverified.contains(caution), "{unverified}");
        let verified = bench.ask(asked[0], &asked[1..]).await.unwrap();
        assert!(!verified.contains(caution), "{verified}");
    }
    let exported: Value = serde_json::from_str(&answer(&["export", &path]).await.unwrap()).unwrap();
    assert_eq!(exported["verified"], false);
    assert_eq!(bench.json("export", &[]).await["verified"], true);
}

/// Asks Google's dp-accounting about an exported claim; nothing where there is no Python that has it.
#[expect(clippy::print_stdout, reason = "what `cargo xtask test` counts")]
fn dp_accounting(claim: &Value) -> Option<std::process::ExitStatus> {
    let python = std::env::var("FEDTWIN_PYTHON").ok().filter(|path| !path.is_empty());
    let python = python.unwrap_or_else(|| "python3".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/dp_accounting_check.py");
    assert!(script.exists(), "{} is missing", script.display());
    let has = std::process::Command::new(&python)
        .args(["-c", "import dp_accounting"])
        .stderr(std::process::Stdio::null())
        .status();
    if !has.is_ok_and(|status| status.success()) {
        println!("skipped: {python} has no dp-accounting; FEDTWIN_PYTHON names one that has");
        return None;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, claim).unwrap();
    Some(std::process::Command::new(python).arg(script).arg(file.path()).status().unwrap())
}

#[tokio::test]
async fn googles_accounting_agrees_to_half_a_percent() {
    for sampling in ["1", "1/5"] {
        let bench = Bench::with(BudgetKind::Gdp, sampling.parse().unwrap());
        let mut claim = bench.json("export", &["--study", "risk"]).await;
        let Some(status) = dp_accounting(&claim) else { return };
        assert_eq!(status.code(), Some(0), "{claim}");
        claim["epsilon"] = (number(&claim["epsilon"]) * 0.99).into();
        assert_eq!(dp_accounting(&claim).unwrap().code(), Some(1), "one percent less is noticed");
    }
}
