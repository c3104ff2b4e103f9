//! How attempts and studies end that come to nothing, are closed by a person, or whose end is told late.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fedtwin_privacy::ledger::{FAILURES_MAX, Purpose, Stage};

use super::tests::{NOW, Site, grant, key, recollect};
use super::*;
use crate::closings::{Closing, Closings};

fn stage(session: &Session) -> (Stage, u64) {
    let study = session.ledger.state().report().remove(0).studies.remove(0);
    (study.stage, study.reserved.nano)
}

fn study() -> StudyId {
    "s".parse().unwrap()
}

#[test]
fn a_study_that_ended_while_the_agent_was_away_gives_back_what_it_never_began() {
    for committed in [true, false] {
        let site = Site::new();
        let mut session = site.open_with("");
        site.offer(&mut session, "s", 1024).unwrap();
        drop(session);
        let mut session = site.open_with("");
        assert!(stage(&session).1 > 0, "it is set aside as long as nobody says that the study is over");
        session.closed(&study(), committed, NOW).unwrap();
        let expected = if committed { Stage::Committed } else { Stage::Aborted };
        assert_eq!(stage(&session), (expected, 0));
        let entries = site.ledger().lines().count();
        session.closed(&study(), committed, NOW).unwrap();
        session.closed(&"other".parse().unwrap(), committed, NOW).unwrap();
        assert_eq!(
            site.ledger().lines().count(),
            entries,
            "whoever repeats it, or makes up a study, writes nothing"
        );
    }
}

#[test]
fn a_person_closes_a_study_while_the_agent_runs() {
    let site = Site::new();
    let mut session = site.open_with("");
    site.offer(&mut session, "s", 1024).unwrap();
    let closing = Closing { study: study(), who: "Ada".parse().unwrap(), why: "forgotten".parse().unwrap() };
    Closings::of(&session.state).ask(&closing).unwrap();
    let path = session.state.join("closings/s.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).unwrap();
    session.enter_closings(NOW).unwrap();
    assert!(stage(&session).1 > 0 && !path.exists(), "anybody could have asked for it");
    Closings::of(&session.state).ask(&closing).unwrap();
    assert!(stage(&session).1 > 0, "the ledger is the agent's");
    let refused = session.invited(Purpose::Training, &key(1, 1), NOW).unwrap_err();
    assert!(matches!(refused, SessionError::NotTakingPart(_)), "{refused}");
    assert_eq!(stage(&session), (Stage::Aborted, 0));
    assert!(site.ledger().contains(r#""by":{"kind":"person","who":"Ada","why":"forgotten"}"#));
    // What is not running needs no closing, and is not in the way of anything.
    Closings::of(&session.state).ask(&closing).unwrap();
    session.enter_closings(NOW).unwrap();
    assert_eq!(fs::read_dir(session.state.join("closings")).unwrap().count(), 0);
}

#[test]
fn a_study_of_which_too_much_failed_is_closed_for_that() {
    let site = Site::new();
    let mut session = site.open_with("");
    site.offer(&mut session, "s", 1024).unwrap();
    for attempt in 1..=FAILURES_MAX {
        drop(grant(session.invited(Purpose::Training, &key(attempt, attempt), NOW).unwrap()));
    }
    let refused = session.invited(Purpose::Training, &key(9, 9), NOW).unwrap_err().to_string();
    assert!(refused.contains("no further one begins"), "{refused}");
    let note = session.entries_from(0).unwrap().checkpoint.unwrap();
    session.acknowledge(&note).unwrap();
    recollect(&mut session, 0, &[]).unwrap_err();
    let before = site.ledger();
    session.gave_up(&study(), NOW).unwrap();
    assert_eq!(site.ledger(), before, "nothing is entered while the ledger cannot be relied on");
    recollect(&mut session, before.lines().count() as u64, &[]).unwrap();
    session.gave_up(&study(), NOW).unwrap();
    assert_eq!(stage(&session).0, Stage::Aborted);
    assert!(site.ledger().contains(r#""by":{"kind":"failures"}"#));
}

#[test]
fn an_attempt_that_began_and_released_nothing_does_not_begin_again_even_after_a_restart() {
    let site = Site::new();
    let mut session = site.open_with("");
    site.offer(&mut session, "s", 1024).unwrap();
    drop(grant(session.invited(Purpose::Training, &key(1, 1), NOW).unwrap()));
    for restarted in [false, true] {
        if restarted {
            drop(session);
            session = site.open_with("");
            site.offer(&mut session, "s", 1024).unwrap();
        }
        let refused = session.invited(Purpose::Training, &key(1, 1), NOW).unwrap_err().to_string();
        assert!(refused.contains("is not after the last one that began"), "{refused}");
    }
    assert_eq!(site.ledger().matches("\"entry\":\"attempt-begun\"").count(), 1);
}
