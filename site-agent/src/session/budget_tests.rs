//! Budgets on their way from people into the ledger, and what is kept out.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::tests::{NOW, Site};
use crate::proposals::{Proposal, ProposalError, Proposals};

#[test]
fn a_confirmed_budget_is_entered_while_the_agent_runs() {
    let site = Site::new();
    let mut session = site.open();
    assert!(site.ledger().contains("\"proposed_by\":\"Ada\",\"confirmed_by\":\"Bob\",\"why\":\"a test\""));
    // Noise of 8192 for a sensitivity of 6600: 4 * 8 / 2 * (6600 / 8192)^2 at order 8 is epsilon 10.9.
    site.offer(&mut session, "s", 6600).unwrap_err();
    let entries = site.ledger().lines().count();
    site.confirm_budget(12.0);
    assert_eq!(site.ledger().lines().count(), entries, "the ledger is the agent's");
    site.offer(&mut session, "s", 6600).unwrap();
    assert!(site.ledger().contains("\"entry\":\"budget-raised\""));
}

#[test]
fn a_budget_that_the_ledger_refuses_is_set_aside() {
    let site = Site::new();
    let session = site.open();
    site.confirm_budget(5.0);
    drop(session);
    let entries = site.ledger().lines().count();
    drop(site.open());
    assert_eq!(site.ledger().lines().count(), entries, "a raise never lowers");
    let kept = fs::read_dir(site.folder.path().join("state/proposals")).unwrap();
    let names: Vec<_> = kept.map(|file| file.unwrap().path()).collect();
    assert!(names.len() == 1 && names[0].extension().unwrap() == "refused", "{names:?}");
}

#[test]
fn only_what_was_proposed_can_be_confirmed() {
    let site = Site::new();
    let state = site.folder.path().join("state");
    let proposals = Proposals::of(&state, &site.credentials);
    for unknown in ["", "00000000", "../../etc/passwd", "0000000g"] {
        let refused = proposals.confirm(unknown, None).unwrap_err();
        assert!(matches!(refused, ProposalError::Unknown(_)), "{refused}");
    }
    site.confirm_budget(10.0);
    let confirmed = fs::read_dir(state.join("proposals")).unwrap().next().unwrap().unwrap().path();
    let signed: serde_json::Value = serde_json::from_slice(&fs::read(confirmed).unwrap()).unwrap();
    let confirmed: serde_json::Value = serde_json::from_str(signed["text"].as_str().unwrap()).unwrap();
    let proposal: Proposal = serde_json::from_value(confirmed["proposal"].clone()).unwrap();
    let code = proposals.propose(&proposal).unwrap();
    let path = state.join("proposals").join(format!("{code}.json"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("10.0", "99.0")).unwrap();
    let refused = proposals.confirm(&code, None).unwrap_err();
    assert!(matches!(refused, ProposalError::NotSigned { .. }), "{refused}");
    // Signed as it is, but under another's code.
    fs::write(&path, &text).unwrap();
    fs::copy(&path, state.join("proposals/00000000.json")).unwrap();
    let refused = proposals.confirm("00000000", None).unwrap_err();
    assert!(matches!(refused, ProposalError::Changed(_)), "{refused}");
}

/// What a subverted trainer, or anybody who can write into the folder, may try.
#[test]
fn a_confirmation_that_this_site_did_not_sign_opens_nothing() {
    let site = Site::new();
    drop(site.open());
    let entries = site.ledger().lines().count();
    let folder = site.folder.path().join("state/proposals");
    let ours = || {
        site.confirm_budget(12.0);
        let path = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        let path = path.into_iter().find(|path| path.extension().unwrap() == "confirmed").unwrap();
        (fs::read_to_string(&path).unwrap(), path)
    };
    let (text, path) = ours();
    let signed: serde_json::Value = serde_json::from_str(&text).unwrap();
    let bare = signed["text"].as_str().unwrap().to_owned();
    let proposed_only = {
        // A proposal's own signature is not a confirmation's.
        let proposals = Proposals::of(&site.folder.path().join("state"), &site.credentials);
        let confirmed: serde_json::Value = serde_json::from_str(&bare).unwrap();
        let proposal: Proposal = serde_json::from_value(confirmed["proposal"].clone()).unwrap();
        let code = proposals.propose(&proposal).unwrap();
        let file = folder.join(format!("{code}.json"));
        let text = fs::read_to_string(&file).unwrap();
        fs::remove_file(file).unwrap();
        text
    };
    let other = Site::new();
    other.confirm_budget(12.0);
    let other =
        fs::read_dir(other.folder.path().join("state/proposals")).unwrap().next().unwrap().unwrap().path();
    for forged in [bare, text.replace("12.0", "99.0"), proposed_only, fs::read_to_string(other).unwrap()] {
        fs::write(&path, forged).unwrap();
        drop(site.open());
        assert_eq!(site.ledger().lines().count(), entries);
        assert!(!path.exists(), "it is set aside");
    }
    fs::write(&path, &text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o662)).unwrap();
    drop(site.open());
    assert_eq!(site.ledger().lines().count(), entries, "anybody could have written it");
    fs::remove_file(path.with_extension("refused")).unwrap();
    let (_text, _path) = ours();
    drop(site.open());
    assert!(site.ledger().lines().count() > entries, "what people confirmed is entered");
}

#[test]
fn a_waived_protection_is_in_the_ledger_from_when_to_when_it_was() {
    let site = Site::new();
    drop(site.open());
    assert!(!site.ledger().contains("\"entry\":\"trainer\""), "confined is what goes without saying");
    let said = |line: &str| {
        let mut session = site.try_open_text(&(site.text("") + line)).unwrap();
        session.note_protection(NOW).unwrap();
        session.ledger.state().unprotected().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let since = site.ledger().lines().count();
    for _start in 0..2 {
        assert_eq!(
            said("[trainer]\nunprotected = true"),
            [format!("trainer unprotected since entry {since}")]
        );
    }
    let until = format!("trainer unprotected since entry {since} until entry {}", since + 1);
    assert_eq!(said(""), [until]);
}
