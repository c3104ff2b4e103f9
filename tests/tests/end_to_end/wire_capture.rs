//! Every decrypted byte between sites and coordinator over whole studies holds nothing that was not released.

use std::fs;
use std::path::Path;

use fedtwin_simulation::federation::Programs;
use fedtwin_tests::relay::{Capture, Relay};
use fedtwin_tests::script::{Behaviour, Script};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, programs, programs_that_train, until};
use fedtwin_tests::vector_study::{C_INT, VectorModel, VectorPrivacy, VectorStudy};
use fedtwin_trainer::report::Scores;
use fedtwin_trainer::report::{Report, RiskReport};

/// Runs a study of a linear risk model with one site behind a relay, until the site has its report.
async fn captured(
    programs: Programs,
    terms: SiteTerms,
    files: &[(&str, String)],
    study: impl FnOnce(&Testbed) -> VectorStudy,
) -> anyhow::Result<(Capture, RiskReport)> {
    let mut testbed = Testbed::start_programs(1, programs)?;
    let (coordinator, site) = (testbed.credentials("coordinator")?, testbed.credentials("site-0")?);
    let relay = Relay::start(&coordinator, &site, testbed.federation.address()).await?;
    fs::create_dir_all(testbed.site_folder(0))?;
    for (name, text) in files {
        fs::write(testbed.site_folder(0).join(name), text)?;
    }
    testbed.start_site_at(0, &terms, relay.address)?;
    let study = study(&testbed);
    testbed.open(&study).await?.finished().await?;
    let report = testbed.site_folder(0).join("state/studies").join(&study.id).join("report.json");
    until(|| read_report(&report).is_some()).await;
    // The ledger's last entries are mirrored after the report: they are part of the study too.
    let mirror = testbed.folder().join("coordinator/ledgers/site-0.log");
    until(|| fs::read_to_string(&mirror).is_ok_and(|text| text.contains("study-closed"))).await;
    Ok((relay.capture(), read_report(&report).expect("it was just there")))
}

fn read_report(file: &Path) -> Option<RiskReport> {
    let scores: Scores = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    match scores.report {
        Report::Risk(report) => Some(report),
        Report::Count(_) | Report::Survival(_) | Report::Segmentation(_) => None,
    }
}

fn linear_risk(testbed: &Testbed) -> VectorStudy {
    VectorStudy { family: VectorModel::LinearRisk, ..VectorStudy::new("captured", &testbed.sites) }
}

/// A study whose sums have room for a number of 32 bits: an agent refuses longer ones than its patients can make.
fn roomy(testbed: &Testbed) -> VectorStudy {
    let changes =
        [(format!("c_int = {C_INT}"), "c_int = 33554432"), ("modulus_bits = 32".into(), "modulus_bits = 40")];
    let changes = changes.map(|(from, to)| (from, to.to_owned())).to_vec();
    VectorStudy { changes, ..linear_risk(testbed) }
}

/// Says in which forms a number passed: the bytes of both precisions in both orders, and its digits.
fn forms_of(number: f64, capture: &Capture) -> Vec<&'static str> {
    #[expect(clippy::cast_possible_truncation, reason = "single precision is one of the forms")]
    let single = number as f32;
    let digits = format!("{number:?}");
    let forms: [(&'static str, &[u8]); 5] = [
        ("f64 little-endian", &number.to_le_bytes()),
        ("f64 big-endian", &number.to_be_bytes()),
        ("f32 little-endian", &single.to_le_bytes()),
        ("f32 big-endian", &single.to_be_bytes()),
        ("decimal digits", &digits.as_bytes()[..digits.len().min(SIGNIFICANT)]),
    ];
    forms.into_iter().filter(|(_, bytes)| capture.holds(bytes)).map(|(form, _)| form).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_would_show_an_intercept_that_a_site_sends() {
    in_time(async {
        for (behaviour, expected) in
            [(Behaviour::Good, Vec::new()), (Behaviour::Leaks, vec!["f32 little-endian"])]
        {
            let script = Script { behaviour, intercept: INTERCEPT, ..Script::good(0) };
            let terms = SiteTerms { script, ..SiteTerms::good(0) };
            let (capture, report) = captured(programs()?, terms, &[], roomy).await?;
            assert!((report.intercept - INTERCEPT).abs() < f64::EPSILON, "the site itself keeps it");
            assert_eq!(forms_of(INTERCEPT, &capture), expected, "{behaviour:?}");
            // What is public does pass: the relay sees inside of the TLS.
            assert!(capture.holds(b"captured") && capture.holds(b"study-reserved"));
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_intercept_no_prediction_and_no_identifier_leaves_a_site_that_trains() {
    in_time(async {
        let programs = programs_that_train()?;
        let mut table = String::from("record,name,age,outcome\n");
        for patient in 0..80 {
            let (age, outcome) = (20 + patient * 37 % 80, u8::from(patient * 7 % 10 < 4));
            table.push_str(&format!("mrn-{:05},{PLANTED_NAME},{age},{outcome}\n", 48_151 + patient));
        }
        let terms = SiteTerms {
            cohort: SiteTerms::good(0).cohort.replace(
                "[source.synthetic-table]\nseed = 1\nsite = 0\npatients = 80",
                "[source.table]\nfile = \"planted-file-name.csv\"\nschema = \"schema.toml\"",
            ),
            ..SiteTerms::good(0)
        };
        let files = [("planted-file-name.csv", table), ("schema.toml", SCHEMA.to_owned())];
        let local = VectorPrivacy::Local { noise_multiplier: 8, epsilon: 2.0 };
        let study = |testbed: &Testbed| VectorStudy { privacy: local, ..linear_risk(testbed) };
        let (capture, report) = captured(programs, terms, &files, study).await?;

        assert!(report.rows.len() == 16 && report.intercept != 0.0, "{report:?}");
        let numbers = report.rows.iter().flat_map(|row| [row.global.unwrap(), row.local.unwrap()]);
        for number in numbers.chain([report.intercept]) {
            assert_eq!(forms_of(number, &capture), Vec::<&str>::new(), "{number}");
        }
        for planted in ["mrn-", "-48151", PLANTED_NAME, "planted-file-name"] {
            assert!(!capture.holds(planted.as_bytes()), "{planted} passed");
        }
        let (up, down) = capture.lengths();
        assert!(up > 2000 && down > 2000, "a study is more than {up} and {down} bytes");
        Ok(())
    })
    .await;
}

const INTERCEPT: f64 = -1.372_190_856_437_021;
const PLANTED_NAME: &str = "Zebulon Quux";
/// So many characters of a decimal number do not come about by chance.
const SIGNIFICANT: usize = 8;

const SCHEMA: &str = r#"
patient_id = "record"
[outcome]
name = "disease"
column = "outcome"
rule = { above = 0 }
[features]
age.number = { unit = "years", low = 20, high = 100 }
"#;
