//! What the tests of this folder share.

use std::path::{Path, PathBuf};

use fedtwin_plan::Timestamp;

use crate::ca;

/// A draft whose privacy is `local`.
pub(crate) const HEART: &str = include_str!("../../examples/plans/heart.toml");

pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Makes an authority in `ca` and credentials of a researcher, a site and an auditor; returns the parent.
pub(crate) fn federation(folder: &Path) -> PathBuf {
    let (ca, parent) = (folder.join("ca"), folder.join("holders"));
    ca::init(&ca, &"demo".parse().unwrap(), 5, NOW).unwrap();
    let holders = ["researcher/ada", "site/va", "auditor/eve"].map(|holder| holder.parse().unwrap());
    let order = ca::Order { holders: holders.to_vec(), days: 30, hosts: Vec::new() };
    ca::issue(&ca, &parent, &order, NOW).unwrap();
    parent
}
