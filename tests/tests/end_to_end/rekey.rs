//! A site that goes on with its ledger under a new identity key, which the old one signed.

use std::fs;

use clap::Parser;
use fedtwin_certs::{CertificateTerms, Role, folder};
use fedtwin_cli::cli::{Arguments, run};
use fedtwin_daemon::clock;
use fedtwin_plan::Timestamp;
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, until};
use fedtwin_tests::vector_study::{VectorPrivacy, VectorStudy};

fn private(id: &str, testbed: &Testbed) -> VectorStudy {
    let privacy = VectorPrivacy::Local { noise_multiplier: 8, epsilon: 2.0 };
    VectorStudy { privacy, sites_min: 1, ..VectorStudy::new(id, &testbed.sites) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_its_mirror_and_its_second_place_go_on_under_a_new_key() {
    in_time(async {
        let mut testbed = Testbed::start(1)?;
        let good = SiteTerms::good(0);
        let config = good.config.clone() + "[ledger]\ncheckpoint_copy = \"../site-0.checkpoint\"\n";
        testbed.start_site(0, &SiteTerms { config, ..good })?;
        testbed.open(&private("before", &testbed)).await?.finished().await?;
        let site = testbed.sites[0].clone();
        testbed.federation.kill_site(&site);

        let (own, old) = (testbed.credentials_folder("site-0"), testbed.credentials_folder("old-site-0"));
        fs::rename(&own, &old)?;
        let now = clock::now();
        let until_then = Timestamp(now.0 + 3_600_000);
        let terms = CertificateTerms {
            from: now,
            tls_until: until_then,
            identity_until: until_then,
            hosts: Vec::new(),
        };
        let issued = testbed.authority()?.issue(Role::Site, &"site-0".parse()?, &terms)?;
        folder::create_credentials(&own, &issued)?;
        // Whoever pins this site has to be given its new key, itself included.
        let pinned = testbed.credentials_folder("peers").join("site-0.pem");
        fs::copy(own.join("identity.pem"), pinned)?;
        let folder = old.display().to_string();
        let words = ["ledger", "rekey", "--old", &folder, "--who", "Ada", "--why", "a new machine"];
        testbed.federation.site_command(&site, &words)?;
        testbed.federation.restart_site(&site)?;
        testbed.open(&private("after", &testbed)).await?.finished().await?;

        let (ledger, mirror) = (
            testbed.site_folder(0).join("state/ledger.log"),
            testbed.folder().join("coordinator/ledgers/site-0.log"),
        );
        let closed =
            || fs::read_to_string(&mirror).is_ok_and(|text| text.matches("study-closed").count() == 2);
        until(closed).await;
        assert_eq!(fs::read_to_string(&mirror)?, fs::read_to_string(&ledger)?);
        let path = |path: &std::path::Path| path.display().to_string();
        let (ca, identity) = (path(&own.join("ca.pem")), path(&own.join("identity.pem")));
        let second_place = path(&testbed.site_folder(0).with_extension("checkpoint"));
        let words = ["fedtwin", "audit", "verify", &path(&ledger), "--ca", &ca, "--identity", &identity];
        let words = words.into_iter().chain(["--checkpoint", &second_place]);
        let mut out = Vec::new();
        Box::pin(run(Arguments::try_parse_from(words)?, &mut out)).await?;
        let said = String::from_utf8(out)?;
        assert!(said.contains(": verified"), "{said}");
        Ok(())
    })
    .await;
}
