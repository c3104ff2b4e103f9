//! What a site says of a cohort that nobody has checked, or that changed since.

use std::fs;

use fedtwin_tests::script::Script;
use fedtwin_tests::testbed::{Testbed, in_time};
use fedtwin_tests::vector_study::VectorStudy;

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_without_a_record_is_refused_in_one_text_until_it_is_checked() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(1)?;
        let site = testbed.sites[0].clone();
        testbed.federation.kill_site(&site);
        fs::remove_dir_all(testbed.site_folder(0).join("state/checked"))?;
        testbed.federation.restart_site(&site)?;
        let reason =
            testbed.open(&VectorStudy::new("closed", &testbed.sites)).await?.refusal("site-0").await?;
        assert_eq!(reason, "the cohort is not open to studies at this site at the moment");
        assert!(!testbed.trainer_was_loaded(0), "nothing of the data was read");
        let log = testbed.log(Some(0));
        assert!(
            log.contains(
                "cohort scripted was never checked, or its last check failed: `fedtwin-site check` opens it"
            ),
            "{log}"
        );
        testbed.federation.check_site(&site)?;
        testbed.open(&VectorStudy::new("open", &testbed.sites)).await?.finished().await?;
        let log = testbed.log(Some(0));
        assert!(log.contains("loaded, as checked: 1 of"), "people are told what was loaded: {log}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_changed_since_the_check_fail_the_attempt_in_the_text_of_all_failures() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(1)?;
        let site = testbed.sites[0].clone();
        testbed.federation.kill_site(&site);
        // A scripted trainer's data are its number.
        Script::good(7).save(&testbed.site_folder(0))?;
        testbed.federation.restart_site(&site)?;
        let reason =
            testbed.open(&VectorStudy::new("changed", &testbed.sites)).await?.refusal("site-0").await?;
        assert_eq!(reason, "the site could not compute its update; its log says why");
        let log = testbed.log(Some(0));
        assert!(log.contains("the cohort's files are not those that were checked"), "{log}");
        Ok(())
    })
    .await;
}
