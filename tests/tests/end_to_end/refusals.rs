//! What a federation refuses, and the words in which it says so.

use std::sync::Arc;
use std::time::Duration;

use fedtwin_certs::{Authority, CertificateTerms, Credentials, Role, folder, tls};
use fedtwin_daemon::{clock, transport};
use fedtwin_proto::domain::{Event, StudyOutcome};
use fedtwin_simulation::federation::RESEARCHER;
use fedtwin_tests::testbed::{Testbed, in_time};
use fedtwin_tests::vector_study::{VectorPrivacy, VectorStudy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Dials the coordinator with a configuration that no program of ours makes, and returns its refusal.
async fn dial(testbed: &Testbed, config: ClientConfig) -> String {
    let address = testbed.federation.address().to_string();
    let refusal = transport::connect(&address, "localhost", Arc::new(config)).await;
    refusal.expect_err("the coordinator refuses").to_string()
}

/// Trusts the testbed's authority and shows these credentials, whoever issued them.
fn config(testbed: &Testbed, shown: Option<&Credentials>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(testbed.credentials_folder(RESEARCHER).join("ca.pem"))?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let folder = testbed.folder().join("shown");
            folder::create_credentials(&folder, shown)?;
            let key = PrivateKeyDer::from_pem_file(folder.join("tls.key"))?;
            builder.with_client_auth_cert(vec![shown.tls_der().to_vec().into()], key)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_is_told_so() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let refusal = dial(&testbed, config(&testbed, None)?).await;
        assert!(refusal.contains("it requires a client certificate and was shown none"), "{refusal}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_foreign_certificate_is_told_so() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let (from, until) = (clock::now(), clock::now() + Duration::from_secs(3600));
        let foreign = Authority::create(&"testbed".parse()?, from, until)?;
        let terms = CertificateTerms { from, tls_until: until, identity_until: until, hosts: Vec::new() };
        let site = foreign.issue(Role::Site, &"site-0".parse()?, &terms)?;
        let refusal = dial(&testbed, config(&testbed, Some(&site))?).await;
        assert!(refusal.contains("another federation"), "{refusal}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_an_expired_certificate_is_told_so() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let (from, tls_until) = testbed.authority()?.certificate().validity();
        let now = clock::now();
        let terms = CertificateTerms { from, tls_until: now, identity_until: tls_until, hosts: Vec::new() };
        let site = testbed.authority()?.issue(Role::Site, &"site-0".parse()?, &terms)?;
        // Certificates count whole seconds: this one ends with the current one.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let refusal = dial(&testbed, tls::client_config(&site, clock::for_tls())?).await;
        assert!(refusal.contains("expired"), "{refusal}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_may_not_call_what_researchers_call() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let plan = VectorStudy::new("mine", &testbed.sites).sign(testbed.federation.researcher());
        let refusal = testbed.connect("site-0").await?.open_study(plan).await.unwrap_err().to_string();
        let expected = "spiffe://testbed/site/site-0 may not call this: it takes a researcher";
        assert!(refusal.contains(expected), "{refusal}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_a_changed_byte_is_not_opened() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let researcher = testbed.connect(RESEARCHER).await?;
        let good = VectorStudy::new("changed", &testbed.sites).sign(testbed.federation.researcher());
        for place in [0, good.text.len() / 2, good.text.len() - 1] {
            let mut plan = good.clone();
            plan.text[place] ^= 1;
            let refusal = researcher.open_study(plan).await.unwrap_err().to_string();
            assert!(refusal.contains("it was changed after signing"), "{refusal}");
        }
        researcher.open_study(good).await?;
        Ok(())
    })
    .await;
}

/// Opens a study that its one site has to refuse, and returns the site's reason.
async fn refused(testbed: &Testbed, study: &VectorStudy) -> anyhow::Result<String> {
    let mut watch = testbed.open(study).await?;
    let StudyOutcome::Failed { reason } = watch.outcome().await? else {
        anyhow::bail!("the study finished: {:?}", watch.seen);
    };
    assert_eq!(reason, "0 sites accepted the plan, it needs 1");
    assert!(!testbed.trainer_was_loaded(0), "the trainer read data before the site decided");
    let refused = watch.seen.into_iter().find_map(|event| match event.event {
        Event::SiteAnswered { refused, .. } => refused,
        Event::AttemptStarted { .. }
        | Event::UpdateReceived { .. }
        | Event::MetricsReleased(_)
        | Event::SiteFailed { .. }
        | Event::AttemptFailed { .. }
        | Event::AttemptClosed { .. }
        | Event::StudyClosed(_) => None,
    });
    Ok(refused.expect("the site answered"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_over_budget_is_refused_with_the_numbers_before_data_is_read() {
    in_time(async {
        let testbed = Testbed::start_with_sites(1)?;
        let privacy = VectorPrivacy::Local { noise_multiplier: 1, epsilon: 1000.0 };
        let study = VectorStudy { privacy, ..VectorStudy::new("greedy", &testbed.sites) };
        let reason = refused(&testbed, &study).await?;
        // Noise 1, six steps on all patients: mu squared is 6. The budget's mu has epsilon 4 at 0.99 of delta 1e-5
        // (Balle and Wang 2018, theorem 8).
        let expected = ["the budget of cohort scripted", "asks for 6.0", "left is 0.854690 (epsilon 4.0000)"];
        for number in expected {
            assert!(reason.contains(number), "{number}: {reason}");
        }
        let ledger = std::fs::read_to_string(testbed.site_folder(0).join("state/ledger.log"))?;
        assert!(ledger.contains("study-refused") && ledger.contains("asks for 6.0"), "{ledger}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_without_a_column_of_the_plan_is_refused_by_the_columns_name() {
    in_time(async {
        let testbed = Testbed::start_with_sites(1)?;
        let features = r#"bmi.number = { unit = "kg/m2", low = 10, high = 60 }"#.to_owned();
        let study = VectorStudy { features, ..VectorStudy::new("column", &testbed.sites) };
        let reason = refused(&testbed, &study).await?;
        assert!(reason.contains(r#"it expects a column "bmi""#), "{reason}");
        Ok(())
    })
    .await;
}
