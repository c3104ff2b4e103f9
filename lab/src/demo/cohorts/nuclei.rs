//! Nuclei of the 2018 Data Science Bowl: four ways of acquiring micrographs, one at each site.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use fedtwin_simulation::site_config::quoted;

use super::existing;

/// A site's name, the folder of its pictures, and how many of them train.
pub(super) type Group = (&'static str, &'static str, u32);

/// The seed of the split leaves at least six pictures of each group to test on; nothing else was looked at for it.
pub(super) const GROUPS: [Group; 4] = [
    ("fluorescence-256", "A_fluo256", 59),
    ("fluorescence-360", "B_fluo360", 31),
    ("fluorescence-520", "C_fluo520x696", 8),
    ("tissue", "D_he256x320", 13),
];

/// Writes the cohort file of one group.
pub(super) fn real(data: &Path, (_, group, train): Group) -> anyhow::Result<String> {
    Ok(cohort_file(&existing(data.join("dsb2018_nuclei").join(group))?, train))
}

/// Writes the cohort file of all groups, with one folder of links to their pictures.
pub(super) fn pooled(folder: &Path, data: &Path) -> anyhow::Result<String> {
    let all = folder.join("nuclei");
    for (_, group, _) in GROUPS {
        for part in ["images", "labels"] {
            fs::create_dir_all(all.join(part))?;
            for picture in fs::read_dir(existing(data.join("dsb2018_nuclei").join(group).join(part))?)? {
                let picture = picture?;
                let link = all.join(part).join(picture.file_name());
                if !link.exists() {
                    symlink(picture.path(), link)?;
                }
            }
        }
    }
    Ok(cohort_file(&all.canonicalize()?, GROUPS.iter().map(|(_, _, train)| train).sum()))
}

fn cohort_file(folder: &Path, train: u32) -> String {
    format!(
        "name = \"nuclei\"\npatients = {train}\n\n[source.pictures]\nimages = {}\nmasks = {}\n\n\
         [split.hashed]\ntest = \"1/4\"\nseed = 2\n",
        quoted(&folder.join("images")),
        quoted(&folder.join("labels"))
    )
}
