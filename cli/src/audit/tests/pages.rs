//! The one-page report: its numbers are the ledger's, and what is missing is said.

use fedtwin_attack::bounds::{LowerBounds, Trials};
use fedtwin_attack::claim::ClaimedCost;
use fedtwin_attack::one_run::Guesses;
use fedtwin_attack::planted::Bug;
use fedtwin_attack::report::{AttackReport, CanaryReport, Control, Finding, RecordsUsed};
use fedtwin_privacy::accountant::gdp;
use fedtwin_research::calibration;
use fedtwin_research::study::plan::sign_draft;
use serde_json::Value;

use super::*;
use crate::testing::HEART;

/// A report's JSON and its page.
async fn report(bench: &Bench, words: &[&str]) -> Result<(Value, String), AuditError> {
    let out = bench.folder.path().join("reports");
    let page = bench.ask("report", &[&["--out", &out.display().to_string()], words].concat()).await?;
    let page = PathBuf::from(page.trim());
    let json = std::fs::read_to_string(page.with_extension("json")).unwrap();
    Ok((serde_json::from_str(&json).unwrap(), std::fs::read_to_string(page).unwrap()))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test]
async fn a_report_states_the_ledgers_numbers() {
    let bench = Bench::with(BudgetKind::Gdp, Ratio::ONE);
    let (json, page) = report(&bench, &["--tuning", "five-fold <b>on training rows</b>"]).await.unwrap();
    let event = GaussianEvent::local(Ratio::ONE, 10, 102, 4).unwrap();
    let mu = 2.0 / event.noise_multiplier();
    assert!((number(&json["trade_off"]["mu"]) / mu - 1.0).abs() < 1e-9, "{json}");
    let planned = number(&json["promise"]["epsilon_planned"]);
    assert!((planned / gdp::epsilon(mu, 1e-3) - 1.0).abs() < 1e-9);
    assert!(number(&json["promise"]["epsilon_spent"]) < planned);
    assert!((number(&json["total"]["cap"]) - 4.0).abs() < 0.1, "{json}");
    assert_eq!(json["mechanisms"][0]["noised"]["c_int"], 102);
    assert_eq!(json["ledger"]["entries"], 5);
    assert_eq!(json["trust"]["model_users"], Value::Null);
    // Nobody is found more often than by the best test, nor less often than by guessing.
    for rates in json["trade_off"]["true_positives"].as_array().unwrap() {
        let (wrong, found) = (number(&rates["false_positives"]), number(&rates["true_positives_max"]));
        assert!(found > wrong && found < 1.0);
    }
    let root = json["ledger"]["root"].as_str().unwrap();
    assert!(page.contains(root) && page.contains("every signature verified") && page.contains("<polyline"));
    assert!(page.contains("five-fold &lt;b&gt;on training rows") && !page.contains("<script"));
    assert!(page.contains("no checkpoint was given"), "{page}");
}

#[tokio::test]
async fn the_curve_passes_through_the_stated_point() {
    let bench = Bench::with(BudgetKind::Gdp, Ratio::ONE);
    let (json, _) = report(&bench, &[]).await.unwrap();
    let points: Vec<_> = json["curve"].as_array().unwrap().iter().collect();
    let epsilon = number(&json["promise"]["epsilon_planned"]);
    let after = points.iter().position(|point| number(&point["epsilon"]) >= epsilon).unwrap();
    assert!(number(&points[after]["delta"]) <= 1e-3 && number(&points[after - 1]["delta"]) > 1e-3);
    assert!(points.windows(2).all(|pair| number(&pair[0]["delta"]) >= number(&pair[1]["delta"])));
}

#[tokio::test]
async fn a_study_without_bound_promises_nothing() {
    let bench = Bench::new();
    let mut ledger = SiteLedger::open(&bench.ledger(), &owner(), Box::new(bench.signer()), NOW).unwrap();
    let attempt = AttemptCost::Unbounded("plain-updates".to_owned());
    let request = StudyRequest {
        study: "plain".parse().unwrap(),
        plan: Digest::of(b"plain"),
        cohort: "heart".parse().unwrap(),
        claims: [(Purpose::Training, ClaimRequest { attempts_max: 2, blocks: 1, attempt })].into(),
    };
    ledger.reserve(&request, NOW).unwrap();
    drop(ledger);
    let (json, page) = report(&bench, &["--study", "plain"]).await.unwrap();
    assert_eq!(json["promise"]["epsilon_planned"], Value::Null);
    assert_eq!(json["promise"]["unbounded_since"], 5);
    assert!(page.contains("unbounded (since entry 5)") && page.contains("no noise: plain-updates"), "{page}");
    assert!(page.contains("nothing bounds what the whole plan reveals"), "{page}");
    // The other study of the cohort has its own numbers, and they promise nothing either.
    let (json, page) = report(&bench, &["--study", "risk"]).await.unwrap();
    assert!(number(&json["promise"]["epsilon_planned"]) > 0.0);
    assert_eq!(json["total"]["spent"], Value::Null);
    assert!(page.contains("No promise holds for this cohort"), "{page}");
}

/// A bench whose ledger also has the study of a real plan, which is in the folder as `plan.toml`.
pub(super) fn planned() -> (Bench, Digest, GaussianEvent) {
    let bench = Bench::new();
    let credentials = folder::load_credentials(&bench.folder.path().join("holders/ada")).unwrap();
    let (signed, plan) = sign_draft("draft", HEART, &credentials, NOW).unwrap();
    std::fs::write(bench.folder.path().join("plan.toml"), &signed.text).unwrap();
    let event = GaussianEvent { steps: 1, ..calibration::event(&plan, 1).unwrap() };
    let (attempts_max, blocks) = (plan.rounds.attempts_max.get(), plan.rounds.blocks.get());
    let attempt = AttemptCost::Noised(event);
    let request = StudyRequest {
        study: plan.study.id.clone(),
        plan: signed.digest(),
        cohort: "heart".parse().unwrap(),
        claims: [(Purpose::Training, ClaimRequest { attempts_max, blocks, attempt })].into(),
    };
    let mut ledger = SiteLedger::open(&bench.ledger(), &owner(), Box::new(bench.signer()), NOW).unwrap();
    ledger.reserve(&request, NOW).unwrap();
    (bench, signed.digest(), event)
}

#[tokio::test]
async fn a_plan_adds_its_clip_and_what_users_of_its_models_learn() {
    let (bench, _, _) = planned();
    let plan = bench.folder.path().join("plan.toml").display().to_string();
    let (json, page) = report(&bench, &["--study", "heart", "--plan", &plan]).await.unwrap();
    assert!((number(&json["mechanisms"][0]["noised"]["clip"]) - 1.0).abs() < 1e-12, "{json}");
    let epsilon = |whom: &str| number(&json["trust"][whom]);
    assert!(epsilon("model_users") < epsilon("alone") && epsilon("alone") <= 1.0, "{json}");
    assert!(page.contains("L2 norm 1, that is"), "{page}");
    std::fs::write(&plan, std::fs::read_to_string(&plan).unwrap() + "# changed\n").unwrap();
    let refused = report(&bench, &["--study", "heart", "--plan", &plan]).await.unwrap_err().to_string();
    assert!(refused.contains("that none of the reported studies ran"), "{refused}");
}

#[tokio::test]
async fn attacks_stand_beside_the_claim_and_missed_controls_stand_out() {
    let (bench, digest, event) = planned();
    let claim = ClaimedCost::of(&event, 1e-3);
    let trials = Trials { inside: 2000, true_positives: 1000, outside: 2000, false_positives: 1000 };
    let bounds = LowerBounds::of(&trials, &Guesses { canaries: 4000, made: 400, right: 230 }, 0.05);
    let canaries = CanaryReport {
        claim,
        bounds,
        epsilon_low: 0.0,
        epsilon_low_gaussian: 0.034,
        epsilon_low_one_run: 0.0,
        holds: true,
        controls: vec![
            Control { bug: Bug::NoNoise, caught: true },
            Control { bug: Bug::HalfNoise, caught: false },
        ],
    };
    let attacks = AttackReport {
        version: 1,
        study: "heart".parse().unwrap(),
        plan: digest,
        records: RecordsUsed::Synthetic,
        event: Some(event),
        claim: Some(claim),
        canaries: Finding::Done(canaries),
        neighbours: Finding::Skipped("a test".to_owned()),
        sampling: Finding::Skipped("a test".to_owned()),
        attempts: Finding::Skipped("a test".to_owned()),
        membership: Finding::Skipped("a test".to_owned()),
        inversion: Finding::Skipped("a test".to_owned()),
        findings: Vec::new(),
    };
    let file = bench.folder.path().join("attack.json");
    std::fs::write(&file, serde_json::to_string(&attacks).unwrap()).unwrap();
    let words = ["--study", "heart", "--attack", &file.display().to_string()];
    let (json, page) = report(&bench, &words).await.unwrap();
    assert_eq!(json["attacks"]["canaries"]["done"]["holds"], true);
    assert!(
        page.contains("epsilon at least <b>0.034</b>") && page.contains("1 of 2 planted bugs caught"),
        "{page}"
    );
    assert!(page.contains("missed: half the noise") && page.contains("within the claim"), "{page}");
    assert!(
        json["publishable"] == true && !page.contains("Not for publication"),
        "invented records are nobody's"
    );
    // Figures that contradict the claim are beyond it, whatever the report says of them.
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("\"epsilon_low_gaussian\":0.034", "\"epsilon_low_gaussian\":9.0");
    std::fs::write(&file, text).unwrap();
    let (_, page) = report(&bench, &words).await.unwrap();
    assert!(page.contains("<b>9.000</b>") && page.contains("beyond the claim"), "{page}");
    let own = AttackReport { records: RecordsUsed::Cohort("heart".parse().unwrap()), ..attacks };
    std::fs::write(&file, serde_json::to_string(&own).unwrap()).unwrap();
    let (json, page) = report(&bench, &words).await.unwrap();
    assert!(json["publishable"] == false && page.contains("Not for publication"), "{page}");
    let words = ["--study", "risk", "--attack", &file.display().to_string()];
    let refused = report(&bench, &words).await.unwrap_err().to_string();
    assert!(refused.contains("that none of the reported studies ran"), "{refused}");
}

#[tokio::test]
async fn a_study_that_no_ledger_has_is_refused() {
    let refused = report(&Bench::new(), &["--study", "other"]).await.unwrap_err().to_string();
    assert!(refused.contains("no ledger has a study other"), "{refused}");
}
