//! A ledger that was rolled back, and a coordinator that does not say so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use fedtwin_audit_log::merkle::Frontier;
use fedtwin_audit_log::{Checkpoint, LeafHash};
use fedtwin_certs::LogSigner;
use fedtwin_privacy::ledger::body::MirrorConfirmed;
use fedtwin_proto::domain::MirrorState;

use super::standing::Forgotten;
use super::tests::{NOW, Site, grant, key, noised, recollect};
use super::*;

/// Copies a folder, as a backup does.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn entries(session: &Session) -> u64 {
    session.ledger.leaves().len() as u64
}

/// Has the coordinator take all entries, and returns their checkpoint.
fn mirrored(session: &mut Session) -> String {
    let note = session.entries_from(0).unwrap().checkpoint.unwrap();
    session.acknowledge(&note).unwrap();
    note
}

/// Runs a study's first attempt to its release, with all of it acknowledged.
fn release(site: &Site, session: &mut Session) -> String {
    site.offer(session, "s", 1024).unwrap();
    let paid = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    session.release(&paid, noised(&paid), NOW).unwrap();
    mirrored(session)
}

fn forgotten(result: Result<(), NotWhole>) -> Forgotten {
    match result {
        Err(NotWhole::Forgotten(forgotten)) => forgotten,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_coordinator_that_answers_with_nothing_is_not_believed() {
    let site = Site::new();
    let mut session = site.open();
    release(&site, &mut session);
    let all = entries(&session);
    drop(session);
    let mut session = site.try_open("").unwrap();
    for held in [0, 1, all - 1] {
        let found = forgotten(recollect(&mut session, held, &[]));
        assert_eq!(found, Forgotten { held, acknowledged: all });
        let refused = site.offer(&mut session, "t", 1024).unwrap_err();
        assert!(matches!(refused, OfferError::NotWhole(NotWhole::Forgotten(_))), "{refused}");
        assert!(session.invited(Purpose::Training, &key(2, 2), NOW).is_err());
    }
    assert_eq!(entries(&session), all, "nothing is entered on its word");
    recollect(&mut session, all, &[]).unwrap();
    site.offer(&mut session, "t", 1024).unwrap();
    // What was written since is not missed.
    recollect(&mut session, all, &[]).unwrap();
}

#[test]
fn a_first_contact_finds_nothing_and_later_ones_may_not_even_if_the_note_is_lost() {
    let site = Site::new();
    let mut session = site.try_open("").unwrap();
    recollect(&mut session, 0, &[]).unwrap();
    release(&site, &mut session);
    drop(session);
    fs::remove_file(site.state().join("acknowledged.checkpoint")).unwrap();
    let mut session = site.try_open("").unwrap();
    forgotten(recollect(&mut session, 0, &[]));
}

#[test]
fn a_person_confirms_a_shorter_memory_once_with_who_and_why() {
    let site = Site::new();
    let mut session = site.open();
    release(&site, &mut session);
    let person = |words: &str| words.parse().unwrap();
    let why = person("the coordinator was restored");
    let confirmed = MirrorConfirmed { held: 2, confirmed_by: person("Bob"), why };
    session.ledger.confirm_mirror(confirmed, NOW).unwrap();
    drop(session);
    let mut session = site.try_open("").unwrap();
    assert_eq!(forgotten(recollect(&mut session, 1, &[])).acknowledged, 2, "not less than that");
    recollect(&mut session, 2, &[]).unwrap();
    assert!(site.ledger().contains("\"confirmed_by\":\"Bob\",\"why\":\"the coordinator was restored\""));
    // It holds all again, and may not forget it once more.
    mirrored(&mut session);
    let all = entries(&session);
    assert_eq!(forgotten(recollect(&mut session, 2, &[])).acknowledged, all);
}

#[test]
fn an_answer_from_before_an_acknowledgement_is_no_forgetting() {
    let site = Site::new();
    let mut session = site.open();
    let (entries, acknowledged) = (entries(&session), session.acknowledged());
    release(&site, &mut session);
    let late = MirrorState { entries, checkpoints: Vec::new() };
    session.recollected(&late, acknowledged).unwrap();
    forgotten(recollect(&mut session, entries, &[]));
}

const COPY: &str = "ledger.checkpoint_copy = \"elsewhere.checkpoint\"\n";

/// Puts a backup of the whole state folder in its place, after a release, and opens the session with some lines of
/// configuration again; the coordinator says what it had at the time of the backup.
fn rolled_back(site: &Site, before: &str, after: &str) -> Result<(), NotWhole> {
    let backup = site.folder().join("backup");
    let mut session = site.open_config(before);
    recollect(&mut session, 0, &[]).unwrap();
    mirrored(&mut session);
    let then = entries(&session);
    copy(&site.state(), &backup);
    let note = release(site, &mut session);
    drop(session);
    fs::write(site.folder().join("audited.checkpoint"), note).unwrap();
    fs::remove_dir_all(site.state()).unwrap();
    copy(&backup, &site.state());
    let mut session = site.open_config(after);
    let result = recollect(&mut session, then, &[]);
    assert_eq!(entries(&session), then, "an entry would fork it");
    result
}

#[test]
fn a_second_place_remembers_what_a_restored_state_folder_forgot() {
    let site = Site::new();
    let refused = rolled_back(&site, COPY, COPY).unwrap_err();
    assert!(matches!(refused, NotWhole::RolledBack(_)), "{refused}");
    // Nor does it forget what it saw by another start.
    let mut session = site.open_config(COPY);
    let all = entries(&session);
    recollect(&mut session, all, &[]).unwrap_err();
}

#[test]
fn an_auditors_checkpoint_is_enough_to_notice() {
    let site = Site::new();
    let audited = "ledger.checkpoints = [\"audited.checkpoint\"]\n";
    let refused = rolled_back(&site, "", audited).unwrap_err();
    assert!(matches!(refused, NotWhole::RolledBack(_)), "{refused}");
    fs::remove_file(site.folder().join("audited.checkpoint")).unwrap();
    let missing = site.try_open_config(audited).err().unwrap().to_string();
    assert!(missing.contains("audited.checkpoint cannot be read"), "{missing}");
}

/// The control: with no second place and no auditor, a coordinator that hides what it remembers is believed.
#[test]
fn without_a_second_place_a_rollback_with_a_coordinator_that_hides_it_goes_unnoticed() {
    rolled_back(&Site::new(), "", "").unwrap();
}

#[test]
fn the_second_place_is_ahead_of_data_that_are_read_and_of_what_leaves() {
    let site = Site::new();
    let mut session = site.open_config(COPY);
    recollect(&mut session, 0, &[]).unwrap();
    let path = site.folder().join("elsewhere.checkpoint");
    let copied = || -> u64 { fs::read_to_string(&path).unwrap().lines().nth(1).unwrap().parse().unwrap() };
    assert_eq!(copied(), entries(&session), "it is written at start");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    site.offer(&mut session, "s", 1024).unwrap();
    let paid = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    assert_eq!(copied(), entries(&session));
    // Its disk is away: the update stays, now and when it is asked for again, until the disk is back.
    let away = path.with_extension("away");
    fs::rename(&path, &away).unwrap();
    let refused = session.release(&paid, noised(&paid), NOW).unwrap_err();
    assert!(matches!(refused, SessionError::Kept(KeptError::Missing(_))), "{refused}");
    let refused = session.invited(Purpose::Training, &key(1, 1), NOW).unwrap_err();
    assert!(matches!(refused, SessionError::Kept(KeptError::Missing(_))), "{refused}");
    assert!(!path.exists(), "nothing is written to what is not that disk");
    fs::rename(&away, &path).unwrap();
    assert!(matches!(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap(), Work::Resend(_)));
    assert_eq!(copied(), entries(&session));
}

#[test]
fn a_second_place_that_is_empty_foreign_or_cannot_be_written_keeps_the_site_from_starting() {
    let site = Site::new();
    let refused = |lines: &str| format!("{:#}", site.try_open_config(lines).err().unwrap());
    let nowhere = refused("ledger.checkpoint_copy = \"nowhere/last.checkpoint\"\n");
    assert!(nowhere.contains("nowhere/last.checkpoint cannot be written"), "{nowhere}");
    let mut session = site.open();
    let note = release(&site, &mut session);
    drop(session);
    let missing = refused(COPY);
    assert!(
        missing.contains("if its disk is not mounted") && missing.contains("make an empty file"),
        "{missing}"
    );
    let path = site.folder().join("elsewhere.checkpoint");
    fs::write(&path, note.replace("fed/va", "fed/vb")).unwrap();
    let foreign = refused(COPY);
    assert!(foreign.contains("is no checkpoint that this site signed of its ledger"), "{foreign}");
    fs::write(&path, "").unwrap();
    drop(site.open_config(COPY));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        note,
        "a person said that this is the first start with it"
    );
}

/// A checkpoint of a long ledger in this site's name, signed by another holder of the federation.
fn forged(site: &Site, session: &Session) -> String {
    let note = session.entries_from(0).unwrap().checkpoint.unwrap();
    let mut long = Frontier::default();
    (0..100).for_each(|leaf| long.push(LeafHash::of(&[leaf])));
    let checkpoint = Checkpoint::new(note.lines().next().unwrap(), &long).unwrap();
    checkpoint.sign(&LogSigner(Arc::new(site.other())))
}

#[test]
fn nothing_is_decided_before_anybody_was_asked() {
    let site = Site::new();
    let mut session = site.try_open("").unwrap();
    let refused = site.offer(&mut session, "s", 1024).unwrap_err();
    assert!(matches!(refused, OfferError::NotWhole(NotWhole::Unchecked)), "{refused}");
}

#[test]
fn a_rolled_back_ledger_releases_nothing_and_gets_no_entry() {
    let site = Site::new();
    let state = site.state();
    let mut session = site.open();
    site.offer(&mut session, "s", 1024).unwrap();
    let backup = ["ledger.log", "ledger.log.head"].map(|file| fs::read(state.join(file)).unwrap());
    let paid = grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap());
    session.release(&paid, noised(&paid), NOW).unwrap();
    let signed = session.entries_from(0).unwrap().checkpoint.unwrap();
    drop(session);

    for (file, bytes) in ["ledger.log", "ledger.log.head"].iter().zip(&backup) {
        fs::write(state.join(file), bytes).unwrap();
    }
    let mut session = site.try_open("").unwrap();
    let entries = session.ledger.leaves().len() as u64;
    let rolled_back = recollect(&mut session, entries, &[&signed]).unwrap_err();
    assert!(matches!(rolled_back, NotWhole::RolledBack(_)), "{rolled_back}");
    assert!(recollect(&mut session, entries, &[]).is_err(), "who keeps silent later does not make it whole");
    let refused = site.offer(&mut session, "s", 1024).unwrap_err();
    let reason = PublicReason::from(&refused).to_string();
    assert!(reason.contains("rolled back") && reason.contains("restore the newest backup"), "{reason}");
    assert!(session.invited(Purpose::Training, &key(1, 1), NOW).is_err());
    assert_eq!(site.ledger().into_bytes(), backup[0], "an entry would fork it");
}

#[test]
fn nobody_else_can_make_a_ledger_look_rolled_back() {
    let site = Site::new();
    let mut session = site.open();
    let forged = forged(&site, &session);
    for note in [forged, String::new(), "x\n1\nAAAA\n\n".to_owned()] {
        recollect(&mut session, 9, &[&note]).unwrap();
    }
    site.offer(&mut session, "s", 1024).unwrap();
}
