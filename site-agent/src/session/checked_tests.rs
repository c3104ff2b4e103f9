//! Cohorts are in studies as people have checked them, and not otherwise.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::tests::Site;
use super::*;
use crate::checked::NotOpen;

/// A sensitivity that the budget has room for.
const C_INT: u32 = 1024;

fn record(site: &Site) -> PathBuf {
    site.folder.path().join("state/checked/heart.json")
}

#[test]
fn a_cohort_that_nobody_has_checked_is_in_no_study_and_opens_while_the_agent_runs() {
    let site = Site::new();
    fs::remove_file(record(&site)).unwrap();
    let mut session = site.open();
    let before = site.ledger();
    let refused = site.offer(&mut session, "s", C_INT).unwrap_err();
    assert!(matches!(refused, OfferError::NotOpen(NotOpen::Never(_))), "{refused}");
    assert!(refused.to_string().contains("`fedtwin-site check`"), "people are told what to do: {refused}");
    assert_eq!(
        PublicReason::from(&refused).to_string(),
        "the cohort is not open to studies at this site at the moment"
    );
    assert_eq!(site.ledger(), before, "it says nothing of the plan");
    site.check();
    site.offer(&mut session, "s", C_INT).unwrap();
}

#[test]
fn another_description_than_was_checked_is_in_no_study() {
    let site = Site::new();
    let cohort = site.folder.path().join("cohort.toml");
    let text = fs::read_to_string(&cohort).unwrap();
    fs::write(&cohort, text.replace("seed = 1", "seed = 2")).unwrap();
    let refused = site.offer(&mut site.open(), "s", C_INT).unwrap_err();
    assert!(matches!(refused, OfferError::NotOpen(NotOpen::OtherDescription(_))), "{refused}");
    fs::write(&cohort, text).unwrap();
    site.offer(&mut site.open(), "s", C_INT).unwrap();
}

#[test]
fn a_record_that_cannot_be_read_opens_nothing() {
    let site = Site::new();
    fs::write(record(&site), "{}").unwrap();
    let refused = site.offer(&mut site.open(), "s", C_INT).unwrap_err();
    assert!(matches!(refused, OfferError::NotOpen(NotOpen::Storage { .. })), "{refused}");
    site.check();
    fs::set_permissions(record(&site), fs::Permissions::from_mode(0o620)).unwrap();
    let refused = site.offer(&mut site.open(), "s", C_INT).unwrap_err();
    assert!(matches!(refused, OfferError::NotOpen(NotOpen::Writable(_))), "anybody's record: {refused}");
}
