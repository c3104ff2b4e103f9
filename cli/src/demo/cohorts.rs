//! The demonstration's cohort files: real data in a folder that the person names, or invented ones.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use fedtwin_plan::SiteName;

use crate::simulate::site_config::{SimulatedSite, quoted};

/// Where patients come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Invented, made on the fly.
    Synthetic,
    /// The folder with `uci_heart` and `msd_hippocampus`.
    Real(PathBuf),
}

/// The two cohorts of the demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cohort {
    /// Tables at four hospitals.
    Heart,
    /// Images from three scanners.
    Hippocampus,
}

/// A site of real data: its name, what selects its patients, and its training patients.
type Selected = (&'static str, &'static str, u32);

const HEART_SITES: [Selected; 4] = [
    ("cleveland", "cleveland", 199),
    ("hungarian", "hungarian", 172),
    ("switzerland", "switzerland", 30),
    ("va", "va", 85),
];
/// Intensity groups: three export encodings, as different scanners have. Patients id mod 5 == 3 test.
const SCANNER_SITES: [Selected; 3] =
    [("scanner-a", "A_uint8", 42), ("scanner-b", "B_float_1e3", 143), ("scanner-c", "C_float_1e6", 29)];

impl Cohort {
    /// Returns the sites that have the cohort.
    #[must_use]
    pub fn sites(self) -> Vec<SiteName> {
        let selected: &[Selected] = match self {
            Self::Heart => &HEART_SITES,
            Self::Hippocampus => &SCANNER_SITES,
        };
        selected.iter().map(|(name, _, _)| name.parse().expect("the names are constants")).collect()
    }

    /// Writes a cohort file per site to `folder`.
    ///
    /// # Errors
    /// Fails where the folder cannot be written or the real data are not there.
    pub fn write(self, data: &Data, folder: &Path) -> anyhow::Result<Vec<SimulatedSite>> {
        fs::create_dir_all(folder)?;
        let mut sites = Vec::new();
        for (index, name) in self.sites().into_iter().enumerate() {
            let text = match (self, data) {
                (Self::Heart, Data::Synthetic) => synthetic("heart", "table", index, 200),
                (Self::Hippocampus, Data::Synthetic) => synthetic("hippocampus", "images", index, 60),
                (Self::Heart, Data::Real(data)) => real_heart(folder, data, HEART_SITES[index])?,
                (Self::Hippocampus, Data::Real(data)) => real_hippocampus(data, Some(SCANNER_SITES[index]))?,
            };
            sites.push(SimulatedSite { cohort_files: vec![save(folder, name.as_str(), &text)?], name });
        }
        Ok(sites)
    }

    /// Writes one cohort file for all patients together, which only a demonstration can have.
    ///
    /// # Errors
    /// Fails where the folder cannot be written or the real data are not there.
    pub fn write_pooled(self, data: &Data, folder: &Path) -> anyhow::Result<SimulatedSite> {
        fs::create_dir_all(folder)?;
        let text = match (self, data) {
            (Self::Heart, Data::Synthetic) => synthetic_pooled("heart", "table", 4, 200),
            (Self::Hippocampus, Data::Synthetic) => synthetic_pooled("hippocampus", "images", 3, 60),
            (Self::Heart, Data::Real(data)) => pooled_heart(folder, data)?,
            (Self::Hippocampus, Data::Real(data)) => real_hippocampus(data, None)?,
        };
        let name: SiteName = "pooled".parse().expect("the name is a constant");
        Ok(SimulatedSite {
            cohort_files: vec![save(folder, &format!("{}-pooled", self.name()), &text)?],
            name,
        })
    }

    /// Returns the cohort's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Heart => "heart",
            Self::Hippocampus => "hippocampus",
        }
    }
}

fn save(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{name}.cohort.toml"));
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path.canonicalize()?)
}

fn synthetic(cohort: &str, kind: &str, site: usize, patients: u32) -> String {
    let train = patients - patients / 5;
    format!(
        "name = \"{cohort}\"\npatients = {train}\n\n[source.synthetic-{kind}]\nseed = 1\nsite = {site}\n\
         patients = {patients}\n\n[split.modulo]\ndivisor = 5\ntest = 3\n"
    )
}

fn synthetic_pooled(cohort: &str, kind: &str, sites: u32, patients: u32) -> String {
    let pooled = format!("site = 0\npooled_sites = {sites}");
    synthetic(cohort, kind, 0, sites * patients).replace("site = 0", &pooled)
}

fn real_heart(folder: &Path, data: &Path, (_, centre, train): Selected) -> anyhow::Result<String> {
    let data = data.join("uci_heart");
    let table = existing(data.join(format!("processed.{centre}.data")))?;
    let split = existing(data.join("flamby_split.csv"))?;
    let schema = write_heart_schema(folder)?;
    Ok(format!(
        "name = \"heart\"\npatients = {train}\n\n[source.table]\nfile = {}\nschema = {}\n\n\
         [split.listed]\nfile = {}\nline = \"line\"\npart = \"split\"\nwhere = {{ centre = \"{centre}\" }}\n",
        quoted(&table),
        quoted(&schema),
        quoted(&split)
    ))
}

fn real_hippocampus(data: &Path, selected: Option<Selected>) -> anyhow::Result<String> {
    let data = data.join("msd_hippocampus");
    let index = existing(data.join("index.csv"))?;
    // Declared sizes are public; they are counted here because these data are.
    let group = selected.map(|(_, group, _)| group);
    let train = count_training(&index, group)?;
    let only = group.map_or(String::new(), |group| {
        format!(
            "\n[source.images.only]\nfile = {}\nid = \"id\"\ncolumn = \"intensity_group\"\nequals = \"{group}\"\n",
            quoted(&index)
        )
    });
    Ok(format!(
        "name = \"hippocampus\"\npatients = {train}\n\n[source.images]\nimages = {}\nmasks = {}\nslice_axis = 0\n\
         {only}\n[split.modulo]\ndivisor = 5\ntest = 3\n",
        quoted(&data.join("images")),
        quoted(&data.join("labels"))
    ))
}

fn count_training(index: &Path, group: Option<&str>) -> anyhow::Result<usize> {
    let text = fs::read_to_string(index)?;
    let training = text.lines().skip(1).filter(|line| {
        let mut cells = line.split(',');
        let number = cells.next().and_then(|id| id.rsplit('_').next()).and_then(|n| n.parse::<u32>().ok());
        let its_group = cells.next();
        number.is_some_and(|number| number % 5 != 3) && (group.is_none() || its_group == group)
    });
    Ok(training.count())
}

/// Puts the four tables under one another, and the split's lines with them.
fn pooled_heart(folder: &Path, data: &Path) -> anyhow::Result<String> {
    let data = data.join("uci_heart");
    let split = fs::read_to_string(existing(data.join("flamby_split.csv"))?)?;
    let (mut rows, mut parts, mut before) = (String::new(), String::from("line,split\n"), 0);
    for (_, centre, _) in HEART_SITES {
        let table = fs::read_to_string(existing(data.join(format!("processed.{centre}.data")))?)?;
        for line in split.lines().skip(1) {
            let cells: Vec<_> = line.split(',').collect();
            if let [its_centre, number, part, ..] = cells[..]
                && its_centre == centre
            {
                let number: usize =
                    number.parse().context("flamby_split.csv has a line that is no number")?;
                parts.push_str(&format!("{},{part}\n", before + number));
            }
        }
        before += table.lines().count();
        rows.extend(table.lines().flat_map(|line| [line, "\n"]));
    }
    fs::write(folder.join("heart-pooled.data"), rows)?;
    fs::write(folder.join("heart-pooled.split.csv"), parts)?;
    write_heart_schema(folder)?;
    let train: u32 = HEART_SITES.iter().map(|(_, _, train)| train).sum();
    Ok(format!(
        "name = \"heart\"\npatients = {train}\n\n[source.table]\nfile = \"heart-pooled.data\"\n\
         schema = \"heart.schema.toml\"\n\n[split.listed]\nfile = \"heart-pooled.split.csv\"\nline = \"line\"\n\
         part = \"split\"\n"
    ))
}

fn write_heart_schema(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("heart.schema.toml");
    fs::write(&path, include_str!("../../../examples/cohorts/heart.schema.toml"))?;
    Ok(path.canonicalize()?)
}

fn existing(path: PathBuf) -> anyhow::Result<PathBuf> {
    ensure!(path.exists(), "{} is missing: --data names the folder that has it", path.display());
    Ok(path.canonicalize()?)
}
