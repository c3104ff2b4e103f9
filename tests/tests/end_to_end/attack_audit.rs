//! `fedtwin-site audit attack` with the programs that a hospital runs: trainer, pipe, sandbox, libtorch.

use std::fs;
use std::path::Path;
use std::process::Command;

use fedtwin_attack::report::{AttackReport, RecordsUsed};
use fedtwin_tests::testbed::{SiteTerms, Testbed, programs_that_train};
use fedtwin_tests::vector_study::COHORT;

/// 30 patients in half of the steps; the schema is a part of the synthetic cohorts'.
fn plan() -> String {
    format!(
        r#"
        study = {{ id = "audited", title = "t", sites = ["site-0"], expires = "2099-01-01" }}
        cohort = {{ name = "{COHORT}", patients_max = 64 }}
        model = {{ family = "linear-risk", seed = 1 }}
        rounds = {{ count = 10, attempts_max = 10, blocks = 1, sites_min = 1, join_s = 1, deadline_s = 1, slot_s = 1 }}
        training = {{ sampling = "1/2", loss = "bce", site = {{ sgd = {{ steps = 2, learning_rate = 0.5, change_max = 10.0 }} }}, server.fedavg.learning_rate = 1.0 }}
        privacy.local = {{ clip = 1.0, delta = 1e-5, target.noise-multiplier = 4.0 }}
        calibrated = {{ m = 16, c_int = 16384, modulus_bits = 40, steps = 20, epsilon = 100.0 }}
        [data.table]
        outcome = "disease"
        [data.table.features]
        age.number = {{ unit = "years", low = 20, high = 100 }}
        thalach.number = {{ unit = "/min", low = 60, high = 220 }}
        sex.category = ["female", "male"]
        "#
    )
}

fn audit(folder: &Path, arguments: &[&str]) -> AttackReport {
    let json = folder.join("report.json");
    let output = Command::new(programs_that_train().expect("the programs are built").site)
        .arg("--config")
        .arg(folder.join("site.toml"))
        .args(["audit", "attack", "--plan"])
        .arg(folder.join("plan.toml"))
        .args(arguments)
        .arg("--json")
        .arg(&json)
        .output()
        .expect("the program starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("control, no noise: caught"), "{out}");
    let report = fs::read(json).expect("the report is written");
    serde_json::from_slice(&report).expect("the report is of its type")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_attacks_a_plan_with_its_own_programs_and_charges_nothing() {
    let mut testbed = Testbed::start_programs(1, programs_that_train().unwrap()).unwrap();
    testbed.start_site(0, &SiteTerms::good(0)).unwrap();
    let folder = testbed.site_folder(0);
    fs::write(folder.join("plan.toml"), plan()).unwrap();
    let cohort = RecordsUsed::Cohort(COHORT.parse().unwrap());
    for (arguments, records) in
        [(&["--synthetic"][..], RecordsUsed::Synthetic), (&["--cohort", COHORT], cohort)]
    {
        let report = audit(&folder, arguments);
        assert_eq!((report.records, report.findings.as_slice()), (records, &[][..]));
        let neighbours = report.neighbours.done().unwrap();
        assert!(neighbours.cohorts.none_beyond_the_claim() && neighbours.cohorts.largest > 0.1);
        assert!(neighbours.controls.iter().all(|control| control.caught));
        assert!(report.inversion.done().unwrap().without_noise.low > 0.99);
        assert!(report.inversion.done().unwrap().with_noise.unwrap().high < 0.9);
        assert!(folder.join("state/audits/audited.json").exists());
        assert!(!folder.join("state/audits/invented").exists());
    }
    let ledger = fs::read_to_string(folder.join("state/ledger.log")).unwrap();
    assert!(!ledger.contains("audited"), "an audit is no study");
}
