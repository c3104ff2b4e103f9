//! What an auditor finds in the ledgers of a whole study, with the command line alone.

use std::fs;

use clap::Parser;
use fedtwin_cli::cli::{Arguments, run};
use fedtwin_tests::testbed::{Testbed, in_time, until};
use fedtwin_tests::vector_study::{VectorPrivacy, VectorStudy};
use serde_json::Value;

/// Says what `fedtwin audit` says.
async fn audit(words: &[&str]) -> anyhow::Result<String> {
    let mut out = Vec::new();
    let words = ["fedtwin", "audit"].iter().chain(words);
    Box::pin(run(Arguments::try_parse_from(words)?, &mut out)).await?;
    Ok(String::from_utf8(out)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_studys_charges_are_found_again_and_reported() {
    in_time(async {
        let testbed = Testbed::start_with_sites(2)?;
        let local = VectorPrivacy::Local { noise_multiplier: 8, epsilon: 2.0 };
        let study = VectorStudy { privacy: local, ..VectorStudy::new("private", &testbed.sites) };
        testbed.open(&study).await?.finished().await?;
        let path = |number: usize, name: &str| testbed.site_folder(number).join(name).display().to_string();
        let ledgers = [0, 1].map(|number| path(number, "state/ledger.log"));
        let closed = || {
            ledgers
                .iter()
                .all(|file| fs::read_to_string(file).is_ok_and(|text| text.contains("study-closed")))
        };
        until(closed).await;
        let identity = |number| {
            testbed.credentials_folder(&format!("site-{number}")).join("identity.pem").display().to_string()
        };
        let ca = testbed.credentials_folder("site-0").join("ca.pem").display().to_string();
        let identities = [identity(0), identity(1)];
        let trust = ["--ca", &ca, "--identity", &identities[0], "--identity", &identities[1]];
        let ask = async |words: &[&str]| audit(&[words, &trust].concat()).await;

        let verified = ask(&["verify", &ledgers[0], &ledgers[1]]).await?;
        assert_eq!(verified.matches(": verified").count(), 2, "{verified}");
        let found: Value =
            serde_json::from_str(&ask(&["recompute", &ledgers[0], &ledgers[1], "--json"]).await?)?;
        assert_eq!(found["findings"], serde_json::json!([]));
        for ledger in found["ledgers"].as_array().into_iter().flatten() {
            let cohort = &ledger["cohorts"][0];
            assert_eq!(cohort["adaptive"]["charged"], cohort["adaptive"]["found"], "{found}");
            let study = &cohort["studies"][0];
            let epsilon = |part: &str| study[part]["pld"].as_f64();
            assert!(epsilon("spent") > Some(0.0) && epsilon("spent") <= epsilon("planned"), "{study}");
        }
        let folder = testbed.folder().join("reports");
        let pages =
            ask(&["report", &ledgers[0], &ledgers[1], "--out", &folder.display().to_string()]).await?;
        assert_eq!(pages.lines().count(), 2);
        for page in pages.lines() {
            let page = fs::read_to_string(page)?;
            assert!(page.contains("every signature verified") && page.contains("committed"), "{page}");
        }
        Ok(())
    })
    .await;
}
