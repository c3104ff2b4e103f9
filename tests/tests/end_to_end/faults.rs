//! Sites and coordinators that stop in the middle of a study.

use fedtwin_proto::domain::Event;
use fedtwin_tests::script::{Behaviour, Script};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time};
use fedtwin_tests::vector_study::VectorStudy;

#[tokio::test(flavor = "multi_thread")]
async fn a_round_closes_at_its_deadline_without_a_site_that_never_answers() {
    in_time(async {
        let testbed = Testbed::start_with_a_silent_site(3)?;
        let study = VectorStudy { sites_min: 2, deadline_s: 1, ..VectorStudy::new("silent", &testbed.sites) };
        let mut watch = testbed.open(&study).await?;
        for round in 1..=2 {
            let (included, missing) = watch.round_closed(round).await?;
            assert_eq!((included.as_slice(), missing.as_slice()), testbed.sites.split_at(2));
        }
        assert_eq!(watch.finished().await?, study.model_after(2, &[0, 1]));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_trainer_hung_has_another_one_in_the_next_round() {
    in_time(async {
        let mut testbed = Testbed::start(2)?;
        testbed.start_site(0, &SiteTerms::good(0))?;
        let script = Script { behaviour: Behaviour::HangsOnce, ..Script::good(1) };
        testbed.start_site(1, &SiteTerms { script, ..SiteTerms::good(1) })?;
        let study = VectorStudy { sites_min: 1, deadline_s: 1, ..VectorStudy::new("hung", &testbed.sites) };
        let mut watch = testbed.open(&study).await?;
        let (included, missing) = watch.round_closed(1).await?;
        assert_eq!((included.as_slice(), missing.as_slice()), testbed.sites.split_at(1));
        let (included, missing) = watch.round_closed(2).await?;
        assert_eq!((included, missing), (testbed.sites.clone(), Vec::new()));
        let log = testbed.log(Some(1));
        assert!(log.contains("loaded again, as checked"), "{log}");
        assert_eq!(
            log.matches("loaded, as checked: ").count(),
            1,
            "numbers of the cohort are said once: {log}"
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_killed_in_a_round_is_missing_there_and_in_a_later_one() {
    in_time(async {
        let mut testbed = Testbed::start_with_a_silent_site(3)?;
        let study = VectorStudy { sites_min: 2, deadline_s: 2, ..VectorStudy::new("killed", &testbed.sites) };
        testbed.assert_last_site_comes_back(&study).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_coordinator_continues_its_study() {
    in_time(async {
        let mut testbed = Testbed::start_with_a_silent_site(3)?;
        let study = VectorStudy {
            sites_min: 2,
            deadline_s: 1,
            rounds: 3,
            ..VectorStudy::new("continued", &testbed.sites)
        };
        let mut watch = testbed.open(&study).await?;
        watch.round_closed(1).await?;
        testbed.federation.restart_coordinator()?;
        let mut watch = testbed.watch("continued").await?;
        for round in 2..=3 {
            let (included, _missing) = watch.round_closed(round).await?;
            assert_eq!(included, testbed.sites[..2]);
        }
        assert_eq!(watch.finished().await?, study.model_after(3, &[0, 1]));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_trainer_fails_is_missing_at_once_and_says_nothing_of_why() {
    in_time(async {
        let mut testbed = Testbed::start(2)?;
        testbed.start_site(0, &SiteTerms::good(0))?;
        let script = Script { behaviour: Behaviour::Fails, ..Script::good(1) };
        testbed.start_site(1, &SiteTerms { script, ..SiteTerms::good(1) })?;
        let study = VectorStudy { sites_min: 1, ..VectorStudy::new("failing", &testbed.sites) };
        let mut watch = testbed.open(&study).await?;
        assert_eq!(watch.finished().await?, study.model_after(2, &[0]));
        let reasons = watch.seen.iter().filter_map(|event| match &event.event {
            Event::SiteFailed { reason, .. } => Some(reason.as_str()),
            Event::SiteAnswered { .. }
            | Event::AttemptStarted { .. }
            | Event::UpdateReceived { .. }
            | Event::AttemptFailed { .. }
            | Event::MetricsReleased(_)
            | Event::AttemptClosed { .. }
            | Event::StudyClosed(_) => None,
        });
        let reasons: Vec<_> = reasons.collect();
        assert_eq!(reasons, ["the site could not compute its update; its log says why"; 2]);
        assert!(testbed.log(Some(1)).contains("the script says so"));
        Ok(())
    })
    .await;
}
