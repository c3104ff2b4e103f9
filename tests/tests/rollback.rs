//! A ledger restored from an old backup: noticed on first contact, by what others remember.

use std::fs;
use std::path::{Path, PathBuf};

use fedtwin_audit_log::cosignature::cosigned;
use fedtwin_audit_log::{Checkpoint, PublicKey};
use fedtwin_proto::domain::StudyOutcome;
use fedtwin_tests::script::LOADED_FILE;
use fedtwin_tests::testbed::{Testbed, in_time, until};
use fedtwin_tests::vector_study::{VectorPrivacy, VectorStudy};

const FILES: [&str; 2] = ["ledger.log", "ledger.log.head"];

fn private(id: &str, testbed: &Testbed) -> VectorStudy {
    let privacy = VectorPrivacy::Local { noise_multiplier: 8, epsilon: 2.0 };
    VectorStudy { privacy, sites_min: 1, ..VectorStudy::new(id, &testbed.sites) }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    FILES.iter().try_for_each(|file| fs::copy(from.join(file), to.join(file)).map(drop))
}

/// Runs a study, and puts a copy of site 0's ledger from before it in its place.
async fn with_an_old_ledger(testbed: &mut Testbed) -> anyhow::Result<()> {
    let state = testbed.site_folder(0).join("state");
    let backup: PathBuf = testbed.folder().join("backup");
    copy(&state, &backup)?;
    testbed.open(&private("before", testbed)).await?.finished().await?;
    let closed = |number: usize| {
        let mirror = testbed.folder().join(format!("coordinator/ledgers/site-{number}.log"));
        fs::read_to_string(mirror).is_ok_and(|text| text.contains("study-closed"))
    };
    until(|| (0..testbed.sites.len()).all(closed)).await;
    let site = testbed.sites[0].clone();
    testbed.federation.kill_site(&site);
    copy(&backup, &state)?;
    fs::remove_file(testbed.site_folder(0).join(LOADED_FILE))?;
    Ok(())
}

fn assert_refused(testbed: &Testbed, reason: &str) -> anyhow::Result<()> {
    assert!(reason.contains("the ledger was rolled back"), "{reason}");
    assert!(reason.contains("restore the newest backup of ledger.log"), "{reason}");
    assert!(!testbed.trainer_was_loaded(0), "data were read");
    assert!(testbed.log(Some(0)).contains("the ledger was rolled back"), "the site's log says why");
    let log = fs::read_to_string(testbed.folder().join("coordinator/audit.log"))?;
    assert!(log.contains("the ledger was rolled back"), "the coordinator's log says why");
    let (state, backup) = (testbed.site_folder(0).join("state"), testbed.folder().join("backup"));
    assert_eq!(fs::read(state.join(FILES[0]))?, fs::read(backup.join(FILES[0]))?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_ledger_is_refused_before_data_is_read() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(1)?;
        with_an_old_ledger(&mut testbed).await?;
        let site = testbed.sites[0].clone();
        testbed.federation.restart_site(&site)?;
        let mut watch = testbed.open(&private("after", &testbed)).await?;
        assert_refused(&testbed, &watch.refusal(site.as_str()).await?)?;
        assert!(matches!(watch.outcome().await?, StudyOutcome::Failed { .. }));
        Ok(())
    })
    .await;
}

/// The coordinator lost its mirrors, too: the other site's memory is enough.
#[tokio::test(flavor = "multi_thread")]
async fn another_sites_memory_is_enough_to_notice() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(2)?;
        with_an_old_ledger(&mut testbed).await?;
        let memory = testbed.site_folder(1).join("state/witnessed/site-0.json");
        // It looks at the others' ledgers whenever it sends its own.
        until(|| memory.exists()).await;
        testbed.federation.kill_coordinator();
        fs::remove_dir_all(testbed.folder().join("coordinator/ledgers"))?;
        testbed.federation.restart_coordinator()?;
        let site = testbed.sites[0].clone();
        testbed.federation.restart_site(&site)?;
        let mut watch = testbed.open(&private("after", &testbed)).await?;
        let reason = watch.refusal(site.as_str()).await?;
        assert!(reason.contains("the ledger was rolled back"), "{reason}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_cosigned_by_the_coordinator_and_the_other_sites() {
    in_time(async {
        let testbed = Testbed::start_with_sites(2)?;
        // The other site takes no part, so nothing but its own habit makes it look.
        let study = VectorStudy { sites: testbed.sites[..1].to_vec(), ..private("cosigned", &testbed) };
        testbed.open(&study).await?.finished().await?;
        let key = |name: &str| -> anyhow::Result<PublicKey> {
            Ok(PublicKey(*testbed.credentials(name)?.identity_key().public().as_bytes()))
        };
        let (site, coordinator, other) = (key("site-0")?, key("coordinator")?, key("site-1")?);
        let file = testbed.folder().join("coordinator/ledgers/site-0.checkpoint");
        until(|| {
            let note = fs::read_to_string(&file).unwrap_or_default();
            let checkpoint = Checkpoint::open(&note, "testbed/site-0/ledger", &site);
            checkpoint.is_ok_and(|checkpoint| {
                let by = |name: &str, key| cosigned(&checkpoint, &note, name, key).is_some();
                by("testbed/coordinator/coordinator", &coordinator) && by("testbed/site/site-1", &other)
            })
        })
        .await;
        Ok(())
    })
    .await;
}
