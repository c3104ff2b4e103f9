//! A ledger restored from an old backup: noticed on first contact, by what others remember, or at start, by what the
//! site keeps elsewhere. And a coordinator that remembers less than it did.

use std::fs;
use std::path::{Path, PathBuf};

use fedtwin_audit_log::cosignature::cosigned;
use fedtwin_audit_log::{Checkpoint, PublicKey};
use fedtwin_proto::domain::StudyOutcome;
use fedtwin_tests::script::LOADED_FILE;
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, until};
use fedtwin_tests::vector_study::{VectorPrivacy, VectorStudy};

/// All that a backup of a state folder has of the ledger.
const FILES: [&str; 3] = ["ledger.log", "ledger.log.head", "acknowledged.checkpoint"];

fn private(id: &str, testbed: &Testbed) -> VectorStudy {
    let privacy = VectorPrivacy::Local { noise_multiplier: 8, epsilon: 2.0 };
    VectorStudy { privacy, sites_min: 1, ..VectorStudy::new(id, &testbed.sites) }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    FILES.iter().try_for_each(|file| fs::copy(from.join(file), to.join(file)).map(drop))
}

fn mirror(testbed: &Testbed, number: usize) -> PathBuf {
    testbed.folder().join(format!("coordinator/ledgers/site-{number}.log"))
}

/// Runs a study to the end of which all of the sites' ledgers is acknowledged.
async fn run_a_study(testbed: &Testbed) -> anyhow::Result<()> {
    testbed.open(&private("before", testbed)).await?.finished().await?;
    until(|| {
        (0..testbed.sites.len()).all(|number| {
            let held = fs::read_to_string(mirror(testbed, number)).unwrap_or_default();
            let state = testbed.site_folder(number).join("state");
            let note = fs::read_to_string(state.join(FILES[2])).unwrap_or_default();
            held.contains("study-closed") && note.lines().nth(1) == Some(&held.lines().count().to_string())
        })
    })
    .await;
    Ok(())
}

/// Runs a study, and puts a copy of site 0's ledger from before it in its place.
async fn with_an_old_ledger(testbed: &mut Testbed) -> anyhow::Result<()> {
    let state = testbed.site_folder(0).join("state");
    let backup: PathBuf = testbed.folder().join("backup");
    until(|| state.join(FILES[2]).exists()).await;
    copy(&state, &backup)?;
    run_a_study(testbed).await?;
    let site = testbed.sites[0].clone();
    testbed.federation.kill_site(&site);
    copy(&backup, &state)?;
    fs::remove_file(testbed.site_folder(0).join(LOADED_FILE))?;
    Ok(())
}

/// Does the same, with a coordinator that hides what it has seen since. Returns the checkpoint that an auditor has.
async fn with_an_old_ledger_and_a_coordinator_that_hides_it(
    testbed: &mut Testbed,
) -> anyhow::Result<PathBuf> {
    let audited = testbed.folder().join("audited.checkpoint");
    let (held, kept) = (mirror(testbed, 0), testbed.folder().join("old-mirror.log"));
    until(|| testbed.site_folder(0).join("state").join(FILES[2]).exists()).await;
    fs::copy(&held, &kept)?;
    with_an_old_ledger(testbed).await?;
    testbed.federation.kill_coordinator();
    fs::rename(held.with_extension("checkpoint"), &audited)?;
    fs::copy(&kept, &held)?;
    testbed.federation.restart_coordinator()?;
    Ok(audited)
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
        // It tells what it remembers as soon as it is back.
        until(|| testbed.log(Some(1)).matches("subscribed").count() > 1).await;
        let site = testbed.sites[0].clone();
        for nth in 0.. {
            testbed.federation.restart_site(&site)?;
            let mut watch = testbed.open(&private(&format!("after-{nth}"), &testbed)).await?;
            let reason = watch.refusal(site.as_str()).await?;
            if reason.contains("the ledger was rolled back") {
                break;
            }
            // What the other site remembers was on its way still, and a coordinator without it is not believed either.
            assert!(reason.contains("confirm-mirror"), "{reason}");
            testbed.federation.kill_site(&site);
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_second_place_is_enough_to_notice() {
    in_time(async {
        let mut testbed = Testbed::start(1)?;
        let good = SiteTerms::good(0);
        let config = good.config.clone() + "[ledger]\ncheckpoint_copy = \"../site-0.checkpoint\"\n";
        testbed.start_site(0, &SiteTerms { config, ..good })?;
        with_an_old_ledger_and_a_coordinator_that_hides_it(&mut testbed).await?;
        let site = testbed.sites[0].clone();
        testbed.federation.restart_site(&site)?;
        let mut watch = testbed.open(&private("after", &testbed)).await?;
        assert_refused(&testbed, &watch.refusal(site.as_str()).await?)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_an_auditor_hands_over_is_enough_to_notice() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(1)?;
        let audited = with_an_old_ledger_and_a_coordinator_that_hides_it(&mut testbed).await?;
        let site = testbed.sites[0].clone();
        testbed.federation.restart_site_with(&site, &["--checkpoint".as_ref(), audited.as_os_str()])?;
        let mut watch = testbed.open(&private("after", &testbed)).await?;
        assert_refused(&testbed, &watch.refusal(site.as_str()).await?)
    })
    .await;
}

/// A coordinator that lost everything is one that might hide something, until a person knows better.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_lost_its_copies_is_not_believed_until_a_person_confirms_it() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(1)?;
        run_a_study(&testbed).await?;
        testbed.federation.kill_coordinator();
        fs::remove_dir_all(testbed.folder().join("coordinator/ledgers"))?;
        testbed.federation.restart_coordinator()?;
        until(|| testbed.log(Some(0)).contains("the coordinator has 0 entries of this site's ledger")).await;
        let mut watch = testbed.open(&private("after", &testbed)).await?;
        let reason = watch.refusal("site-0").await?;
        assert!(reason.contains("fedtwin-site ledger confirm-mirror --entries 0"), "{reason}");

        let site = testbed.sites[0].clone();
        let words = ["ledger", "confirm-mirror", "--entries", "0", "--who", "Bob", "--why", "a new disk"];
        let refused = testbed.federation.site_command(&site, &words).unwrap_err().to_string();
        assert!(refused.contains("stop it, confirm"), "{refused}");
        testbed.federation.kill_site(&site);
        testbed.federation.site_command(&site, &words)?;
        testbed.federation.restart_site(&site)?;
        testbed.open(&private("confirmed", &testbed)).await?.finished().await?;
        assert!(fs::read_to_string(mirror(&testbed, 0))?.contains("mirror-confirmed"));
        Ok(())
    })
    .await;
}

/// A disk that lost what it said that it had written; nobody needs to confirm a copy that is whole again.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_lost_its_last_entries_is_not_believed_until_it_has_them_again() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(1)?;
        run_a_study(&testbed).await?;
        let (held, site) = (mirror(&testbed, 0), testbed.sites[0].clone());
        let whole = fs::read_to_string(&held)?;
        let lines: Vec<_> = whole.split_inclusive('\n').collect();
        let lost = lines.len() - 1;
        testbed.federation.kill_coordinator();
        fs::write(&held, lines[..lost].concat())?;
        testbed.federation.restart_coordinator()?;
        let said = format!("the coordinator has {lost} entries of this site's ledger");
        until(|| testbed.log(Some(0)).contains(&said)).await;
        let mut watch = testbed.open(&private("after", &testbed)).await?;
        let reason = watch.refusal(site.as_str()).await?;
        assert!(reason.contains(&said), "{reason}");

        testbed.federation.kill_coordinator();
        fs::write(&held, &whole)?;
        testbed.federation.restart_coordinator()?;
        testbed.open(&private("restored", &testbed)).await?.finished().await?;
        Ok(())
    })
    .await;
}
