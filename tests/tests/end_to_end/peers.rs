//! Peers with good certificates that try to stall or fill the coordinator, over real connections: each test says what
//! one of them gets, that the coordinator stays small, and that others are served meanwhile.

use fedtwin_certs::Role;
use fedtwin_plan::{Digest, StudyId};
use fedtwin_proto::domain::{AttemptKey, UpdateHeader};
use fedtwin_proto::limits::{CHUNK_BYTES, MESSAGE_BYTES_MAX};
use fedtwin_proto::wire;
use fedtwin_proto::wire::research_client::ResearchClient;
use fedtwin_proto::wire::sites_client::SitesClient;
use fedtwin_simulation::federation::{Programs, RESEARCHER};
use fedtwin_tests::flood::{assert_small, call_unfinished};
use fedtwin_tests::hand_made::{End, HandMadeSite, HandMadeUpdate};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, programs};
use fedtwin_tests::vector_study::VectorStudy;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_stream::{StreamExt, iter};
use tonic::transport::Channel;
use tonic::{Code, Status};

/// Runs a whole study, as anybody else would meanwhile.
async fn serve_others(testbed: &Testbed, id: &str) -> anyhow::Result<()> {
    let study = VectorStudy::new(id, &testbed.sites[..2]);
    testbed.open(&study).await?.finished().await?;
    Ok(())
}

/// Opens as many connections as somebody gets, of so many that it tries.
async fn channels(
    testbed: &Testbed,
    (role, name): (Role, &str),
    tried: usize,
) -> anyhow::Result<Vec<Channel>> {
    let credentials = testbed.issue(role, name)?;
    let mut channels = Vec::new();
    for _ in 0..tried {
        channels.extend(testbed.channel(&credentials).await.ok());
    }
    Ok(channels)
}

/// Begins 64 messages on each connection and finishes none.
fn flood(channels: &[Channel], path: &'static str, bytes: usize) -> JoinSet<anyhow::Result<Status>> {
    let bytes = u32::try_from(bytes).expect("a message has less than 4 GiB");
    let each = channels.iter().flat_map(|channel| std::iter::repeat_n(channel, 64));
    each.map(|channel| call_unfinished(channel.clone(), path, bytes)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_whoever_may_not_send_them_are_not_read() {
    in_time(async {
        let testbed = Testbed::start_with_sites(2)?;
        let auditor = channels(&testbed, (Role::Auditor, "auditor"), 4).await?;
        let mut calls = flood(&auditor, "/fedtwin.v1.Research/OpenStudy", MESSAGE_BYTES_MAX);
        serve_others(&testbed, "meanwhile").await?;
        while let Some(refused) = calls.join_next().await {
            let refused = refused??;
            assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
        }
        // What it may call takes a name, not megabytes.
        let mut calls = flood(&auditor, "/fedtwin.v1.Audit/FetchCheckpoint", 4_000_000);
        while let Some(refused) = calls.join_next().await {
            let refused = refused??;
            assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
        }
        serve_others(&testbed, "afterwards").await?;
        assert_small(&testbed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_never_end_have_room_for_a_few_and_a_time() {
    in_time(async {
        let testbed = Testbed::start_with_sites(2)?;
        let researcher = channels(&testbed, (Role::Researcher, "slow"), 8).await?;
        assert_eq!(researcher.len(), 8);
        let mut calls = flood(&researcher, "/fedtwin.v1.Research/OpenStudy", MESSAGE_BYTES_MAX);
        serve_others(&testbed, "meanwhile").await?;
        let first = calls.join_next().await.expect("there are hundreds")??;
        assert_eq!(first.code(), Code::Unavailable, "{first:?}");
        assert!(first.message().contains("as many bytes of messages as one may have"), "{first:?}");
        loop {
            let refused = calls.join_next().await.expect("some were let in and took too long")??;
            if refused.code() == Code::DeadlineExceeded {
                assert_eq!(refused.message(), "the message did not arrive within 30 s");
                break;
            }
        }
        assert_small(&testbed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_handshake_or_beyond_ones_share_keep_nobody_out() {
    in_time(async {
        let testbed = Testbed::start_with_sites(2)?;
        let mut silent = Vec::new();
        for _ in 0..600 {
            silent.push(TcpStream::connect(testbed.federation.address()).await?);
        }
        serve_others(&testbed, "beside-silence").await?;
        let many = channels(&testbed, (Role::Auditor, "auditor"), 40).await?;
        assert_eq!(many.len(), 8);
        assert!(testbed.log(None).contains("as many as one certificate's holder may have"));
        serve_others(&testbed, "beside-many").await?;
        assert_small(&testbed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_share_a_studys_events_and_one_peer_has_so_many() {
    in_time(async {
        let mut testbed = Testbed::start_with_sites(10)?;
        let study = VectorStudy { rounds: 100, ..VectorStudy::new("followed", &testbed.sites) };
        let mut watch = testbed.open(&VectorStudy { attempts_max: 100, ..study.clone() }).await?;
        watch.round_closed(60).await?;
        // The study stays open from here, and waits for this site.
        let gone = testbed.sites[9].clone();
        testbed.federation.kill_site(&gone);
        let operator = channels(&testbed, (Role::Operator, "operator"), 8).await?;
        let request = || wire::StudyRequest { study: study.id.clone() };
        let mut followers = Vec::new();
        for channel in operator.iter().cycle().take(32) {
            followers.push(ResearchClient::new(channel.clone()).watch_study(request()).await?.into_inner());
        }
        let mut more = JoinSet::new();
        for channel in operator.iter().cycle().take(100) {
            let (mut client, request) = (ResearchClient::new(channel.clone()), request());
            more.spawn(async move { client.watch_study(request).await.map(drop) });
        }
        let why = more.join_next().await.expect("there are some")?.expect_err("one more than there may be");
        assert!(why.message().contains("as many followers of studies as one may have (32)"), "{why:?}");
        testbed.connect(RESEARCHER).await?.cancel_study(&study.id.parse()?).await?;
        watch.outcome().await?;
        let own: Vec<_> = watch.seen.iter().map(|event| event.number).collect();
        assert!(own.iter().copied().eq(0..own.len() as u64) && own.len() > 720, "{} events", own.len());
        for follower in &mut followers {
            let mut seen = Vec::new();
            while let Some(event) = follower.message().await? {
                seen.push(event.number);
            }
            assert_eq!(seen, own, "slow, and still all of it");
        }
        assert_small(&testbed)
    })
    .await;
}

/// An update that begins well and never ends.
fn endless(key: &AttemptKey, bytes: usize) -> HandMadeUpdate {
    HandMadeUpdate { end: End::Never, ..HandMadeUpdate::good(key, &vec![0; bytes]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sites_uploads_that_never_end_leave_the_others_theirs() {
    in_time(async {
        let mut testbed = Testbed::start(3)?;
        for number in 0..2 {
            testbed.start_site(number, &SiteTerms::good(number))?;
        }
        let study =
            VectorStudy { sites_min: 2, deadline_s: 25, ..VectorStudy::new("stalled", &testbed.sites) };
        let mut watch = testbed.open(&study).await?;
        let (address, credentials) =
            (testbed.federation.address().to_string(), testbed.credentials("site-2")?);
        let mut site = HandMadeSite::subscribe(&address, &credentials).await?;
        let id: StudyId = study.id.parse()?;
        site.accept(&id, 64).await?;
        let key = site.invitation(&id).await?.key;
        let channel = testbed.channel(&credentials).await?;
        let mut uploads = JoinSet::new();
        for _ in 0..12 {
            let mut client = SitesClient::new(channel.clone());
            let header = UpdateHeader { key: key.clone(), length: 4000, digest: Digest::of(b"") };
            let header =
                wire::UpdateMessage { part: Some(wire::update_message::Part::Header(header.into())) };
            let endless = iter([header]).chain(tokio_stream::pending());
            uploads.spawn(async move { client.send_update(endless).await.map(drop) });
        }
        let why =
            uploads.join_next().await.expect("there are twelve")?.expect_err("one more than there may be");
        assert!(why.message().contains("as many updates on their way in as one may have (8)"), "{why:?}");
        watch.updates(2).await?;
        assert_eq!(std::fs::read_dir(testbed.folder().join("coordinator/spool"))?.count(), 8 + 2);
        serve_others(&testbed, "meanwhile").await?;
        assert_small(&testbed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_from_outside_an_audience_are_refused_before_their_first_chunk() {
    in_time(async {
        let testbed = Testbed::start_with_sites(3)?;
        let study = VectorStudy { parameters: 10_000_000, ..VectorStudy::new("closed", &testbed.sites[..1]) };
        testbed.open(&study).await?;
        let (address, credentials) =
            (testbed.federation.address().to_string(), testbed.issue(Role::Site, "spare")?);
        let mut outsider = HandMadeSite::subscribe(&address, &credentials).await?;
        let key = AttemptKey { study: study.id.parse()?, round: 1, attempt: 1 };
        for _ in 0..20 {
            let refused = outsider.send(endless(&key, 100 * CHUNK_BYTES)).await.expect_err("it is no member");
            assert!(refused.message().contains("there is no study closed"), "{refused:?}");
        }
        serve_others(&testbed, "meanwhile").await?;
        assert_small(&testbed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_plans_for_sites_that_do_not_read_are_kept_once() {
    in_time(async {
        let mut testbed = Testbed::start(14)?;
        for number in 0..2 {
            testbed.start_site(number, &SiteTerms::good(number))?;
        }
        let address = testbed.federation.address().to_string();
        let mut silent = Vec::new();
        for site in &testbed.sites[2..] {
            silent.push(HandMadeSite::subscribe(&address, &testbed.credentials(site.as_str())?).await?);
        }
        // A plan is at most 1 MiB, and comments are part of it; a stream has room for two plans on its way.
        let comment = format!("# {}\n[study]", "x".repeat(1_000_000));
        for number in 0..9 {
            let study = VectorStudy::new(&format!("large-{number}"), &testbed.sites[2..]);
            let study = VectorStudy { changes: vec![("[study]".to_owned(), comment.clone())], ..study };
            testbed.open(&study).await?;
        }
        serve_others(&testbed, "meanwhile").await?;
        assert_small(&testbed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_nobody_reads_wait_on_the_disk() {
    in_time(async {
        let mut testbed = Testbed::start(3)?;
        for number in 0..2 {
            testbed.start_site(number, &SiteTerms::good(number))?;
        }
        let large = VectorStudy { parameters: 4_000_000, ..VectorStudy::new("large", &testbed.sites[2..]) };
        testbed.open(&large).await?;
        let model = testbed.first_model("large")?;
        let researcher = channels(&testbed, (Role::Researcher, RESEARCHER), 4).await?;
        let mut downloads: JoinSet<_> = researcher
            .iter()
            .flat_map(|channel| std::iter::repeat_n(channel, 16))
            .map(|channel| {
                let (mut client, model) = (ResearchClient::new(channel.clone()), model.0.to_vec().into());
                async move { client.fetch_model(wire::ModelRequest { model }).await }
            })
            .collect();
        let (mut begun, mut refused) = (Vec::new(), 0);
        while let Some(download) = downloads.join_next().await {
            match download? {
                Ok(download) => begun.push(download),
                Err(why) => {
                    assert!(
                        why.message().contains("as many files on their way out as one may have"),
                        "{why:?}"
                    );
                    refused += 1;
                }
            }
        }
        assert_eq!((begun.len(), refused), (16, 48));
        serve_others(&testbed, "meanwhile").await?;
        assert_small(&testbed)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn few_file_descriptors_cost_connections_and_no_updates() {
    in_time(async {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("coordinator");
        let Programs { coordinator, site } = programs()?;
        let text = format!("#!/bin/sh\nulimit -n 256\nexec {} \"$@\"\n", coordinator.display());
        std::fs::write(&script, text)?;
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let mut testbed = Testbed::start_programs(4, Programs { coordinator: script, site })?;
        for number in 0..4 {
            testbed.start_site(number, &SiteTerms::good(number))?;
        }
        let study = VectorStudy { rounds: 5, ..VectorStudy::new("scarce", &testbed.sites) };
        let mut watch = testbed.open(&study).await?;
        let mut strangers = Vec::new();
        for _ in 0..40 {
            strangers.push(TcpStream::connect(testbed.federation.address()).await?);
        }
        let mut held = Vec::new();
        for name in ["ada", "ben", "cleo", "dora", "eve", "fred", "gina", "hal", "ida", "joe"] {
            held.extend(channels(&testbed, (Role::Auditor, name), 9).await?);
        }
        assert!((40..=70).contains(&held.len()), "{} connections", held.len());
        watch.finished().await?;
        let lost = watch.seen.iter().filter(|event| format!("{event:?}").contains("SiteFailed")).count();
        assert_eq!(lost, 0, "{:#?}", watch.seen);
        assert!(!testbed.log(None).contains("Too many open files"));
        assert_small(&testbed)
    })
    .await;
}
