//! Updates that no agent sends, from a site with valid credentials: none of them moves the model by a bit.

use std::time::Duration;

use fedtwin_plan::{Digest, StudyId, WireBits};
use fedtwin_privacy::wire_integers::encode;
use fedtwin_proto::domain::{AttemptKey, Event, StudyEvent, UpdateHeader};
use fedtwin_proto::limits::{CHUNK_BYTES, MESSAGE_BYTES_MAX};
use fedtwin_tests::hand_made::{End, HandMadeSite, HandMadeUpdate};
use fedtwin_tests::script::sum;
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time};
use fedtwin_tests::vector_study::{PATIENTS, VectorStudy};
use fedtwin_tests::watch::Watch;

/// Two good sites and one made by hand, in one study after the other.
struct Bench {
    testbed: Testbed,
    rogue: HandMadeSite,
    studies: u32,
}

/// A study of one round that waits for the site made by hand.
struct Waiting {
    study: VectorStudy,
    watch: Watch,
    key: AttemptKey,
    /// What the site would send if it were good.
    bytes: Vec<u8>,
}

impl Bench {
    async fn start() -> anyhow::Result<Self> {
        let mut testbed = Testbed::start(3)?;
        for number in 0..2 {
            testbed.start_site(number, &SiteTerms::good(number))?;
        }
        let address = testbed.federation.address().to_string();
        let rogue = HandMadeSite::subscribe(&address, &testbed.credentials("site-2")?).await?;
        Ok(Self { testbed, rogue, studies: 0 })
    }

    async fn study(&mut self) -> anyhow::Result<Waiting> {
        self.studies += 1;
        let id = format!("study-{}", self.studies);
        let study = VectorStudy {
            parameters: PARAMETERS,
            rounds: 1,
            sites_min: 2,
            ..VectorStudy::new(&id, &self.testbed.sites)
        };
        let watch = self.testbed.open(&study).await?;
        let id: StudyId = id.parse()?;
        self.rogue.accept(&id, PATIENTS).await?;
        let key = self.rogue.invitation(&id).await?.key;
        let bytes = encode(&sum(2, PARAMETERS as usize), WireBits::B32);
        Ok(Waiting { study, watch, key, bytes })
    }

    /// Sends an update, which has to be refused with these words, and checks that the model is the one
    /// of the two good sites.
    async fn refused(
        &mut self,
        expected: &str,
        make: impl FnOnce(HandMadeUpdate) -> HandMadeUpdate,
    ) -> anyhow::Result<()> {
        let mut waiting = self.study().await?;
        let update = make(HandMadeUpdate::good(&waiting.key, &waiting.bytes));
        let refusal = self.rogue.send(update).await.expect_err(expected);
        assert!(refusal.message().contains(expected), "expected {expected:?}: {refusal:?}");
        self.rogue.decline(&waiting.key).await?;
        let model = waiting.watch.finished().await?;
        assert_eq!(model, waiting.study.model_after(1, &[0, 1]), "after {expected:?}");
        Ok(())
    }
}

fn header(update: &mut HandMadeUpdate) -> &mut UpdateHeader {
    update.header.as_mut().expect("a good update has a header")
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_updates_are_refused_and_change_no_bit_of_the_model() {
    in_time(async {
        let mut bench = Bench::start().await?;
        bench
            .refused("the update has 100004 bytes, the plan's model needs 100000", |mut update| {
                header(&mut update).length += 4;
                update
            })
            .await?;
        bench
            .refused("the update has 100001 bytes", |mut update| {
                update.chunks.push((2, vec![0]));
                update
            })
            .await?;
        bench
            .refused("chunk 1 came where chunk 0 was expected", |mut update| {
                update.chunks.remove(0);
                update
            })
            .await?;
        bench
            .refused("chunk 0 came where chunk 1 was expected", |mut update| {
                let first = update.chunks[0].clone();
                update.chunks.insert(1, first);
                update
            })
            .await?;
        bench
            .refused("a chunk has 65537 bytes", |mut update| {
                update.chunks[0].1 = vec![0; CHUNK_BYTES + 1];
                update
            })
            .await?;
        bench
            .refused("length too large", |mut update| {
                update.chunks[0].1 = vec![0; 2 * MESSAGE_BYTES_MAX];
                update
            })
            .await?;
        bench
            .refused("the update ended after 65536 of 100000 bytes", |mut update| {
                update.chunks.pop();
                update
            })
            .await?;
        bench
            .refused("the update's digest is not the announced one", |mut update| {
                update.chunks[1].1[7] ^= 1;
                update
            })
            .await?;
        bench
            .refused("is not a header, which comes first", |update| HandMadeUpdate { header: None, ..update })
            .await?;
        bench
            .refused("is not open", |mut update| {
                header(&mut update).key.attempt += 1;
                update
            })
            .await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_whose_sender_disappears_in_the_middle_does_not_count() {
    in_time(async {
        let mut bench = Bench::start().await?;
        let mut waiting = bench.study().await?;
        let mut update = HandMadeUpdate::good(&waiting.key, &waiting.bytes);
        update.chunks.pop();
        update.end = End::Never;
        let cut_off = tokio::time::timeout(Duration::from_millis(500), bench.rogue.send(update)).await;
        assert!(cut_off.is_err(), "the coordinator waits for the rest");
        bench.rogue.decline(&waiting.key).await?;
        assert_eq!(waiting.watch.finished().await?, waiting.study.model_after(1, &[0, 1]));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_update_made_by_hand_counts_once_and_the_researcher_sees_what_failed_before() {
    in_time(async {
        let mut bench = Bench::start().await?;
        let mut waiting = bench.study().await?;
        let good = HandMadeUpdate::good(&waiting.key, &waiting.bytes);
        let mut bad = good.clone();
        header(&mut bad).digest = Digest::of(b"");
        bench.rogue.send(bad).await.expect_err("its digest is wrong");
        bench.rogue.send(good.clone()).await?;
        let (included, _missing) = waiting.watch.round_closed(1).await?;
        assert_eq!(included, bench.testbed.sites);
        let late = bench.rogue.send(good).await.expect_err("the round is closed");
        assert!(late.message().contains("is not open"), "{late:?}");
        let failed = waiting.watch.seen.iter().any(|event| match &event.event {
            Event::SiteFailed { site, reason } => {
                *site == bench.testbed.sites[2] && reason.contains("digest")
            }
            Event::SiteAnswered { .. }
            | Event::AttemptStarted { .. }
            | Event::UpdateReceived { .. }
            | Event::AttemptFailed { .. }
            | Event::MetricsReleased(_)
            | Event::AttemptClosed { .. }
            | Event::StudyClosed(_) => false,
        });
        assert!(failed, "{:?}", waiting.watch.seen);
        waiting.watch.finished().await?;
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinators_disk_that_fails_is_not_told_as_a_sites_failure() {
    in_time(async {
        let mut bench = Bench::start().await?;
        let mut waiting = bench.study().await?;
        waiting.watch.updates(2).await?;
        // With a file in the place of its folder no update finds room.
        let spool = bench.testbed.folder().join("coordinator/spool");
        let away = bench.testbed.folder().join("coordinator/away");
        std::fs::rename(&spool, &away)?;
        std::fs::write(&spool, b"")?;
        let good = HandMadeUpdate::good(&waiting.key, &waiting.bytes);
        for _again in 0..3 {
            let refused = bench.rogue.send(good.clone()).await.expect_err("it cannot be stored");
            assert!(refused.message().contains("the coordinator's disk fails"), "{refused:?}");
        }
        std::fs::remove_file(&spool)?;
        std::fs::rename(&away, &spool)?;
        bench.rogue.send(good).await?;
        let (included, _missing) = waiting.watch.round_closed(1).await?;
        assert_eq!(included, bench.testbed.sites);
        let failed = |event: &StudyEvent| matches!(event.event, Event::SiteFailed { .. });
        assert!(!waiting.watch.seen.iter().any(failed), "{:?}", waiting.watch.seen);
        Ok(())
    })
    .await;
}

/// Two chunks, of which the second is short.
const PARAMETERS: u32 = 25_000;
