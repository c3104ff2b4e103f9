//! What the tests of this folder share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fedtwin_certs::{Authority, CertificateTerms, Role, folder};
use fedtwin_plan::Timestamp;

/// A draft whose privacy is `local`.
pub(crate) const HEART: &str = include_str!("../../../examples/plans/heart.toml");

/// A draft with a U-Net.
pub(crate) const HIPPOCAMPUS: &str = include_str!("../../../examples/plans/hippocampus.toml");

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Replaces texts of a draft, each of which must be there.
pub(crate) fn draft_with(draft: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(draft.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the draft has {from:?}");
        text.replace(from, to)
    })
}

/// Makes an authority in `ca` and credentials of a researcher, a site and an auditor; returns the parent.
pub(crate) fn federation(parent: &Path) -> PathBuf {
    let (ca, holders) = (parent.join("ca"), parent.join("holders"));
    let authority = Authority::create(&"demo".parse().unwrap(), NOW, NOW + YEAR).unwrap();
    folder::create_authority(&ca, &authority).unwrap();
    std::fs::create_dir(&holders).unwrap();
    let terms =
        CertificateTerms { from: NOW, tls_until: NOW + YEAR, identity_until: NOW + YEAR, hosts: Vec::new() };
    for (role, name) in [(Role::Researcher, "ada"), (Role::Site, "va"), (Role::Auditor, "eve")] {
        let issued = authority.issue(role, &name.parse().unwrap(), &terms).unwrap();
        folder::create_credentials(&holders.join(name), &issued).unwrap();
    }
    holders
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);
