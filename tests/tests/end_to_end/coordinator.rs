//! What a federation can rely on when its coordinator is used badly, stopped, or started twice.

use std::process::{Command, Stdio};
use std::time::Duration;

use fedtwin_proto::domain::{Event, StudyOutcome};
use fedtwin_simulation::federation::RESEARCHER;
use fedtwin_tests::script::Script;
use fedtwin_tests::testbed::{Testbed, in_time, programs, until};
use fedtwin_tests::vector_study::VectorStudy;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_study_ends_at_all_sites_and_its_place_is_free() {
    in_time(async {
        let testbed = Testbed::start_with_a_silent_site(2)?;
        let researcher = testbed.connect(RESEARCHER).await?;
        let study = VectorStudy { deadline_s: 5, ..VectorStudy::new("cancelled", &testbed.sites) };
        let mut watch = testbed.open(&study).await?;
        // One update is in, the other never comes.
        watch.updates(1).await?;
        researcher.cancel_study(&study.id.parse()?).await?;
        let StudyOutcome::Failed { reason } = watch.outcome().await? else {
            anyhow::bail!("the study finished: {:?}", watch.seen)
        };
        assert_eq!(reason, "cancelled by the researcher researcher");
        for number in 0..2 {
            let ended = || {
                let ledger = testbed.site_folder(number).join("state/ledger.log");
                std::fs::read_to_string(ledger).is_ok_and(|ledger| ledger.contains("study-closed"))
            };
            until(ended).await;
        }
        let again = researcher.cancel_study(&study.id.parse()?).await.unwrap_err().to_string();
        assert!(again.contains("the study cancelled is over"), "{again}");
        assert_eq!(std::fs::read_dir(testbed.folder().join("coordinator/spool"))?.count(), 0);
        let kept = std::fs::read_dir(testbed.folder().join("coordinator/studies/cancelled"))?;
        assert_eq!(kept.count(), 1, "its plan; nobody wants its model");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_studys_model_is_there_after_a_restart_and_its_end_is_told() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(2)?;
        let study = VectorStudy { rounds: 3, ..VectorStudy::new("kept", &testbed.sites) };
        let model = testbed.open(&study).await?.finished().await?;
        testbed.federation.restart_coordinator()?;
        let mut watch = testbed.watch("kept").await?;
        assert_eq!(watch.finished().await?, model);
        assert_eq!(watch.seen.len(), 1, "its end alone");
        assert!(!testbed.model(&model).await?.is_empty());
        let files = std::fs::read_dir(testbed.folder().join("coordinator/studies/kept"))?;
        let files: Vec<_> = files.filter_map(|file| file.ok()?.file_name().into_string().ok()).collect();
        let models = files.iter().filter(|name| name.ends_with(".safetensors"));
        assert_eq!(models.count(), 1, "those of earlier rounds and the first are gone: {files:?}");
        let again = testbed.open(&study).await.unwrap_err().to_string();
        assert!(again.contains("a study kept exists already"), "{again}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_asks_about_what_it_believes_to_be_running_however_long_it_was_away() {
    in_time(async {
        let mut testbed = Testbed::start_with_a_silent_site(2)?;
        let away = testbed.sites[1].clone();
        let study = VectorStudy {
            sites_min: 1,
            rounds: 1,
            deadline_s: 3,
            ..VectorStudy::new("missed", &testbed.sites)
        };
        let mut watch = testbed.open(&study).await?;
        watch.updates(1).await?;
        testbed.federation.kill_site(&away);
        watch.finished().await?;
        // Nothing of the study is kept, and no coordinator remembers whom it did not tell.
        testbed.federation.kill_coordinator();
        std::fs::remove_dir_all(testbed.folder().join("coordinator/studies/missed"))?;
        testbed.federation.restart_coordinator()?;
        let ledger = testbed.site_folder(1).join("state/ledger.log");
        let closed = || std::fs::read_to_string(&ledger).is_ok_and(|text| text.contains("study-closed"));
        assert!(!closed(), "it was away");
        testbed.federation.restart_site(&away)?;
        until(closed).await;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_beyond_the_coordinators_bound_is_refused_at_once_and_writes_nothing() {
    in_time(async {
        let testbed = Testbed::start(1)?;
        let study = VectorStudy { parameters: 1_000_000_000, ..VectorStudy::new("huge", &testbed.sites) };
        let refused = testbed.open(&study).await.unwrap_err().to_string();
        assert!(refused.contains("has 1000000000 weights, this coordinator takes 100000000"), "{refused}");
        assert_eq!(std::fs::read_dir(testbed.folder().join("coordinator/studies"))?.count(), 0);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_studies_go_on_while_a_large_first_model_is_made() {
    in_time(Box::pin(async {
        let testbed = Testbed::start_with_sites(2)?;
        let large = VectorStudy { parameters: 40_000_000, ..VectorStudy::new("large", &testbed.sites) };
        let folder = testbed.folder().join("coordinator/studies/large");
        let cancelled = Box::pin(async {
            // The large one is on its way when its folder is there.
            until(|| folder.exists()).await;
            let researcher = testbed.connect(RESEARCHER).await?;
            Ok::<_, anyhow::Error>(researcher.cancel_study(&large.id.parse()?).await?)
        });
        let (cancelled, opened) = tokio::join!(cancelled, Box::pin(testbed.open(&large)));
        cancelled?;
        match opened {
            // It was still in preparation.
            Err(refused) => assert!(refused.to_string().contains("cancelled by"), "{refused}"),
            Ok(mut watch) => assert!(matches!(watch.outcome().await?, StudyOutcome::Failed { .. })),
        }
        let small = VectorStudy::new("small", &testbed.sites);
        testbed.open(&small).await?.finished().await?;
        until(|| std::fs::read_dir(&folder).map_or(0, Iterator::count) <= 1).await;
        Ok(())
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_with_a_sites_certificate_is_told_so_and_the_first_one_works_on() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(2)?;
        let study = VectorStudy::new("before", &testbed.sites);
        testbed.open(&study).await?.finished().await?;
        // The same certificate from another folder, as of a copied machine.
        let (from, copy) = (testbed.site_folder(0), testbed.folder().join("sites/copy"));
        std::fs::create_dir_all(&copy)?;
        for file in ["site.toml", "cohort.toml"] {
            std::fs::copy(from.join(file), copy.join(file))?;
        }
        Script::good(0).save(&copy)?;
        let log = std::fs::File::create(copy.join("site.log"))?;
        let mut second = Command::new(programs()?.site)
            .args(["--config".as_ref(), copy.join("site.toml").as_os_str(), "run".as_ref()])
            .arg("--stop-with-parent")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let told = || std::fs::read_to_string(copy.join("site.log")).unwrap_or_default();
        until(|| told().contains("is connected with the same certificate")).await;
        let study = VectorStudy::new("after", &testbed.sites);
        testbed.open(&study).await?.finished().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        second.kill()?;
        second.wait()?;
        let dials = told().matches("is connected with the same certificate").count();
        assert!(dials <= 12, "{dials} times in some seconds");
        assert!(!testbed.log(Some(0)).contains("dialling again"), "{}", testbed.log(Some(0)));
        testbed.federation.check()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_coordinator_is_refused_and_takes_nothing_from_the_first() {
    in_time(async {
        let testbed = Testbed::start_with_a_silent_site(2)?;
        let study =
            VectorStudy { sites_min: 1, deadline_s: 3, ..VectorStudy::new("spooled", &testbed.sites) };
        let mut watch = testbed.open(&study).await?;
        watch.updates(1).await?;
        let config = std::fs::read_to_string(testbed.folder().join("coordinator.toml"))?;
        let other = testbed.folder().join("other.toml");
        std::fs::write(&other, config)?;
        let second = Command::new(programs()?.coordinator).arg("--config").arg(other).output()?;
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert!(!second.status.success() && said.contains("another coordinator is running"), "{said}");
        let (included, _) = watch.round_closed(1).await?;
        assert_eq!(included, testbed.sites[..1], "the update that was spooled is in the round");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_day_are_one_line_of_the_audit_log() {
    in_time(async {
        let mut testbed = Testbed::start(1)?;
        let researcher = testbed.connect(RESEARCHER).await?;
        for number in 0..20 {
            let unknown = format!("unknown-{number}").parse()?;
            assert!(researcher.watch_study(&unknown).await.is_err());
        }
        let log = testbed.folder().join("coordinator/audit.log");
        assert_eq!(std::fs::read_to_string(&log)?, "", "no line for each");
        testbed.federation.stop_coordinator()?;
        let log = std::fs::read_to_string(log)?;
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("\"count\":20") && log.contains("/researcher/researcher"), "{log}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_numbered_from_a_studys_beginning_to_its_end() {
    in_time(async {
        let testbed = Testbed::start_with_sites(1)?;
        let study = VectorStudy { rounds: 1, ..VectorStudy::new("short", &testbed.sites) };
        testbed.open(&study).await?.finished().await?;
        let mut watch = testbed.watch("short").await?;
        watch.finished().await?;
        let numbers: Vec<_> = watch.seen.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
        assert!(matches!(watch.seen.last().map(|event| &event.event), Some(Event::StudyClosed(_))));
        Ok(())
    })
    .await;
}
