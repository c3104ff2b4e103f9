//! Whole studies: a coordinator and sites as processes, over mutual TLS, with known sums.

use std::fs::{self, File};
use std::io::BufReader;

use fedtwin_audit_log::{Checkpoint, PublicKey, entries, verify};
use fedtwin_certs::Role;
use fedtwin_certs::folder;
use fedtwin_coordinator::record::Record;
use fedtwin_privacy::ledger::{Body, LedgerState};
use fedtwin_tests::script::Script;
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, until};
use fedtwin_tests::vector_study::{VectorPrivacy, VectorStudy};

#[tokio::test(flavor = "multi_thread")]
async fn the_model_is_the_exact_mean_of_the_sites_sums() {
    in_time(async {
        let testbed = Testbed::start_with_sites(4)?;
        let study = VectorStudy { parameters: 300_001, ..VectorStudy::new("exact", &testbed.sites) };
        let model = testbed.open(&study).await?.finished().await?;
        assert_eq!(model, study.model_after(2, &[0, 1, 2, 3]));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_does_not_depend_on_which_site_sends_which_sum() {
    in_time(async {
        let mut models = Vec::new();
        for numbers in [[0, 1, 2], [2, 0, 1]] {
            let mut testbed = Testbed::start(3)?;
            for (place, number) in numbers.into_iter().enumerate() {
                let terms = SiteTerms { script: Script::good(number), ..SiteTerms::good(place) };
                testbed.start_site(place, &terms)?;
            }
            let study = VectorStudy::new("order", &testbed.sites);
            models.push(testbed.open(&study).await?.finished().await?);
        }
        assert_eq!(models[0], models[1]);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_mirror_and_audit_log_agree_and_verify() {
    in_time(async {
        let testbed = Testbed::start_with_sites(2)?;
        let local = VectorPrivacy::Local { noise_multiplier: 8, epsilon: 2.0 };
        let study = VectorStudy { privacy: local, ..VectorStudy::new("private", &testbed.sites) };
        testbed.open(&study).await?.finished().await?;

        let coordinator = testbed.folder().join("coordinator");
        for number in 0..2 {
            let (own, mirror) = (
                testbed.site_folder(number).join("state/ledger.log"),
                coordinator.join(format!("ledgers/site-{number}.log")),
            );
            let closed = || fs::read_to_string(&mirror).is_ok_and(|text| text.contains("study-closed"));
            until(closed).await;
            assert_eq!(fs::read(&own)?, fs::read(&mirror)?);
            let credentials = testbed.credentials(&format!("site-{number}"))?;
            let key = PublicKey(*credentials.identity_key().public().as_bytes());
            let (entries, _summary) = entries::<Body>(BufReader::new(File::open(&own)?), &key)?;
            let report =
                LedgerState::replay(entries.iter().map(|entry| (&entry.body, entry.stamp))).unwrap().report();
            assert!(report[0].spent.nano > 0 && report[0].reserved.nano == 0, "{report:?}");
            assert_eq!(report[0].unbounded_since, None);
        }

        let key = PublicKey(*testbed.credentials("coordinator")?.identity_key().public().as_bytes());
        let log = coordinator.join("audit.log");
        let (records, _summary) = entries::<Record>(BufReader::new(File::open(&log)?), &key)?;
        let rounds = records.iter().filter(|entry| {
            matches!(&entry.body, Record::AttemptClosed { model: Some(_), updates, .. } if updates.len() == 2)
        });
        assert_eq!(rounds.count(), 2);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_fetches_the_ledger_that_the_site_signed() {
    in_time(async {
        let testbed = Testbed::start_with_sites(1)?;
        let study = VectorStudy::new("audited", &testbed.sites);
        testbed.open(&study).await?.finished().await?;
        let site = testbed.credentials("site-0")?;
        let terms = fedtwin_certs::CertificateTerms {
            from: site.tls().from,
            tls_until: site.tls().until,
            identity_until: site.tls().until,
            hosts: Vec::new(),
        };
        let auditor = testbed.authority()?.issue(Role::Auditor, &"eve".parse()?, &terms)?;
        folder::create_credentials(&testbed.credentials_folder("eve"), &auditor)?;
        let auditor = testbed.connect("eve").await?;
        assert_eq!(auditor.ledgers().await?, testbed.sites);
        let ledger = auditor.fetch_ledger(&testbed.sites[0]).await?;
        let key = PublicKey(*site.identity_key().public().as_bytes());
        let summary = verify(BufReader::new(ledger.as_slice()), &key)?;
        assert!(summary.entries >= 4, "opened, budget, reserved, block: {summary:?}");
        let note = auditor.fetch_checkpoint(&testbed.sites[0]).await?;
        let checkpoint = Checkpoint::open(&note, "testbed/site-0/ledger", &key)?;
        assert!(checkpoint.size() >= 4 && checkpoint.size() <= summary.entries, "{note}");
        Ok(())
    })
    .await;
}
