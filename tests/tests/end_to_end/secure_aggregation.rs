//! Whole studies under secure aggregation: real programs over mutual TLS, with sites that drop out.

use std::fs;

use fedtwin_plan::WireBits;
use fedtwin_privacy::wire_integers::encode;
use fedtwin_proto::domain::Event;
use fedtwin_tests::script::{Behaviour, Script, sum};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time};
use fedtwin_tests::vector_study::{VectorPrivacy, VectorStudy};

fn sums_only(id: &str, testbed: &Testbed) -> VectorStudy {
    VectorStudy { privacy: VectorPrivacy::SumsOnly, ..VectorStudy::new(id, &testbed.sites) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sum_is_exact_and_what_left_a_site_is_not_its_vector() {
    in_time(async {
        let testbed = Testbed::start_with_sites(4)?;
        let study = sums_only("exact", &testbed);
        let mut watch = testbed.open(&study).await?;
        assert_eq!(watch.finished().await?, study.model_after(2, &[0, 1, 2, 3]));
        for number in 0..4_u32 {
            let plain = encode(&sum(number, study.parameters as usize), WireBits::B32);
            let folder = testbed.site_folder(number as usize).join("state/studies/exact");
            let released = fs::read(folder.join("release"))?;
            assert_eq!(released.len(), plain.len());
            // Of 4,000 bytes about 16 are alike by chance; 60 have a probability below 1e-15.
            let alike = released.iter().zip(&plain).filter(|(released, plain)| released == plain).count();
            assert!(alike < 60, "site {number} sent {alike} bytes of its vector");
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_a_vector_is_left_out_and_its_masks_are_taken_off() {
    in_time(async {
        let testbed = Testbed::start_with_a_silent_site(5)?;
        let study = VectorStudy { sites_min: 4, deadline_s: 2, ..sums_only("silent", &testbed) };
        let mut watch = testbed.open(&study).await?;
        for round in 1..=2 {
            let (included, missing) = watch.round_closed(round).await?;
            assert_eq!((included.as_slice(), missing.as_slice()), testbed.sites.split_at(4));
        }
        assert_eq!(watch.finished().await?, study.model_after(2, &[0, 1, 2, 3]));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_site_is_missing_and_comes_back_in_a_later_round() {
    in_time(async {
        let mut testbed = Testbed::start_with_a_silent_site(5)?;
        let study = VectorStudy { sites_min: 4, deadline_s: 3, ..sums_only("killed", &testbed) };
        testbed.assert_last_site_comes_back(&study).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_survivors_open_nothing_and_the_next_attempt_has_keys_of_its_own() {
    in_time(async {
        let mut testbed = Testbed::start(4)?;
        for number in 0..3 {
            testbed.start_site(number, &SiteTerms::good(number))?;
        }
        let script = Script { behaviour: Behaviour::HangsOnce, ..Script::good(3) };
        testbed.start_site(3, &SiteTerms { script, ..SiteTerms::good(3) })?;
        let study = VectorStudy { deadline_s: 2, ..sums_only("again", &testbed) };
        let mut watch = testbed.open(&study).await?;
        let reason = watch
            .wait_for(|event| match event {
                Event::AttemptFailed { reason } => Some(reason.clone()),
                Event::SiteAnswered { .. }
                | Event::SiteFailed { .. }
                | Event::AttemptStarted { .. }
                | Event::UpdateReceived { .. }
                | Event::AttemptClosed { .. }
                | Event::MetricsReleased(_)
                | Event::StudyClosed(_) => None,
            })
            .await?;
        assert_eq!(reason, "3 sites were left when vectors were collected, and 4 are needed");
        assert_eq!(watch.finished().await?, study.model_after(2, &[0, 1, 2, 3]));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_refuses_to_hide_among_sites_that_it_has_not_pinned() {
    in_time(async {
        let mut testbed = Testbed::start(4)?;
        fs::remove_file(testbed.credentials_folder("peers").join("site-2.pem"))?;
        testbed.start_site(0, &SiteTerms::good(0))?;
        let study = VectorStudy { sites_min: 3, ..sums_only("unpinned", &testbed) };
        let mut watch = testbed.open(&study).await?;
        let reason = watch.refusal("site-0").await?;
        assert!(watch.seen.last().is_some_and(|seen| matches!(seen.event, Event::SiteAnswered { .. })));
        assert!(
            reason.contains("site-2 takes part, whose identity key this site has not pinned"),
            "{reason}"
        );
        assert!(!testbed.trainer_was_loaded(0));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_noise_is_charged_as_the_sums_noise() {
    in_time(async {
        let testbed = Testbed::start_with_sites(4)?;
        // One site's multiplier is 8, that of three sites 13.86: six attempts cost 0.634 at delta 1e-5, and 1.157 alone.
        let privacy = VectorPrivacy::Shared { noise_multiplier: 8, dropouts: 1, epsilon: 0.64 };
        let study = VectorStudy { privacy, sites_min: 3, ..VectorStudy::new("shared", &testbed.sites) };
        let mut watch = testbed.open(&study).await?;
        watch.finished().await?;
        let understated = VectorPrivacy::Shared { noise_multiplier: 8, dropouts: 1, epsilon: 0.63 };
        let understated = VectorStudy {
            privacy: understated,
            sites_min: 3,
            ..VectorStudy::new("understated", &testbed.sites)
        };
        let mut watch = testbed.open(&understated).await?;
        let reason = watch.refusal("site-0").await?;
        assert!(watch.seen.last().is_some_and(|seen| matches!(seen.event, Event::SiteAnswered { .. })));
        assert!(reason.contains("claims epsilon 0.63"), "{reason}");
        Ok(())
    })
    .await;
}
