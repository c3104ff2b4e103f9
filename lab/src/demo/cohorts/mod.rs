//! The demonstration's cohort files: real data in a folder that the person names, or invented ones.

mod heart;
mod hippocampus;
mod nuclei;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use fedtwin_plan::SiteName;

use fedtwin_simulation::site_config::SimulatedSite;

/// Where patients come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Invented, made on the fly.
    Synthetic,
    /// The folder with `uci_heart`, `msd_hippocampus` and `dsb2018_nuclei`.
    Real(PathBuf),
}

/// The cohorts of the demonstration and of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cohort {
    /// Tables at four hospitals.
    Heart,
    /// Volumes from three scanners.
    Hippocampus,
    /// The same volumes at six hospitals, two for each scanner.
    HippocampusHalves,
    /// Micrographs from four laboratories; there are no invented ones.
    Nuclei,
}

impl Cohort {
    /// Returns the sites that have the cohort.
    #[must_use]
    pub fn sites(self) -> Vec<SiteName> {
        let names: Vec<&str> = match self {
            Self::Heart => heart::HOSPITALS.iter().map(|(name, ..)| *name).collect(),
            Self::Hippocampus => hippocampus::SCANNERS.iter().map(|(name, ..)| *name).collect(),
            Self::HippocampusHalves => hippocampus::HALVES.iter().map(|(name, ..)| *name).collect(),
            Self::Nuclei => nuclei::GROUPS.iter().map(|(name, ..)| *name).collect(),
        };
        names.into_iter().map(|name| name.parse().expect("the names are constants")).collect()
    }

    /// Writes a cohort file per site to `folder`.
    ///
    /// # Errors
    /// Fails where the folder cannot be written or the real data are not there.
    pub fn write(self, data: &Data, folder: &Path) -> anyhow::Result<Vec<SimulatedSite>> {
        fs::create_dir_all(folder)?;
        let mut sites = Vec::new();
        for (index, name) in self.sites().into_iter().enumerate() {
            let text = match data {
                Data::Synthetic => self.synthetic(index)?,
                Data::Real(data) => self.real(folder, data, index)?,
            };
            sites.push(SimulatedSite { cohort_files: vec![save(folder, name.as_str(), &text)?], name });
        }
        Ok(sites)
    }

    fn real(self, folder: &Path, data: &Path, site: usize) -> anyhow::Result<String> {
        match self {
            Self::Heart => heart::real(folder, data, heart::HOSPITALS[site]),
            Self::Hippocampus => hippocampus::scanner(data, Some(hippocampus::SCANNERS[site])),
            Self::HippocampusHalves => hippocampus::half(folder, data, hippocampus::HALVES[site]),
            Self::Nuclei => nuclei::real(data, nuclei::GROUPS[site]),
        }
    }

    fn synthetic(self, site: usize) -> anyhow::Result<String> {
        Ok(match self {
            Self::Heart => synthetic("heart", "table", Invented { seed: 1, site, patients: 200 }),
            Self::Hippocampus => synthetic("hippocampus", "images", Invented { seed: 1, site, patients: 60 }),
            // Other patients in front of the same scanner.
            Self::HippocampusHalves => {
                let seed = 1 + site % 2;
                synthetic("hippocampus", "images", Invented { seed, site: site / 2, patients: 30 })
            }
            Self::Nuclei => bail!("there are no invented nuclei: give --data"),
        })
    }

    /// Writes one cohort file for all patients together, which only a demonstration can have.
    ///
    /// # Errors
    /// Fails where the folder cannot be written or the real data are not there.
    pub fn write_pooled(self, data: &Data, folder: &Path) -> anyhow::Result<SimulatedSite> {
        fs::create_dir_all(folder)?;
        let text = match (self, data) {
            (Self::Heart, Data::Synthetic) => synthetic_pooled("heart", "table", 4, 200),
            (Self::Hippocampus | Self::HippocampusHalves, Data::Synthetic) => {
                synthetic_pooled("hippocampus", "images", 3, 60)
            }
            (Self::Nuclei, Data::Synthetic) => bail!("there are no invented nuclei: give --data"),
            (Self::Heart, Data::Real(data)) => heart::pooled(folder, data)?,
            (Self::Hippocampus | Self::HippocampusHalves, Data::Real(data)) => {
                hippocampus::scanner(data, None)?
            }
            (Self::Nuclei, Data::Real(data)) => nuclei::pooled(folder, data)?,
        };
        let name: SiteName = "pooled".parse().expect("the name is a constant");
        Ok(SimulatedSite {
            cohort_files: vec![save(folder, &format!("{}-pooled", self.name()), &text)?],
            name,
        })
    }

    /// Returns the rounds of a study without noise.
    #[must_use]
    pub fn rounds(self) -> u32 {
        match self {
            Self::Heart => 100,
            Self::Hippocampus | Self::HippocampusHalves | Self::Nuclei => 150,
        }
    }

    /// Returns the rounds of a study with noise.
    #[must_use]
    pub fn private_rounds(self) -> u32 {
        match self {
            Self::Heart => 5,
            Self::Hippocampus | Self::HippocampusHalves | Self::Nuclei => 8,
        }
    }

    /// Returns how many sites may be missing in a study with shared noise, beside the one that may collude with the
    /// coordinator.
    #[must_use]
    pub fn dropouts(self) -> usize {
        match self {
            Self::Hippocampus => 0,
            Self::Heart | Self::HippocampusHalves | Self::Nuclei => 1,
        }
    }

    /// Returns what studies and files of the cohort are called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Heart => "heart",
            Self::Hippocampus => "hippocampus",
            Self::HippocampusHalves => "hippocampus-six",
            Self::Nuclei => "nuclei",
        }
    }
}

fn save(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{name}.cohort.toml"));
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path.canonicalize()?)
}

/// One site of invented patients.
struct Invented {
    seed: usize,
    site: usize,
    patients: u32,
}

fn synthetic(cohort: &str, kind: &str, Invented { seed, site, patients }: Invented) -> String {
    let train = patients - patients / 5;
    format!(
        "name = \"{cohort}\"\npatients = {train}\n\n[source.synthetic-{kind}]\nseed = {seed}\nsite = {site}\n\
         patients = {patients}\n\n[split.modulo]\ndivisor = 5\ntest = 3\n"
    )
}

fn synthetic_pooled(cohort: &str, kind: &str, sites: u32, patients: u32) -> String {
    let pooled = format!("site = 0\npooled_sites = {sites}");
    let all = Invented { seed: 1, site: 0, patients: sites * patients };
    synthetic(cohort, kind, all).replace("site = 0", &pooled)
}

fn existing(path: PathBuf) -> anyhow::Result<PathBuf> {
    ensure!(path.exists(), "{} is missing: --data names the folder that has it", path.display());
    Ok(path.canonicalize()?)
}
