//! UCI Heart Disease: a table at each of four hospitals.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use fedtwin_simulation::site_config::quoted;

use super::existing;

/// A hospital's name and its training patients.
pub(super) type Hospital = (&'static str, u32);

pub(super) const HOSPITALS: [Hospital; 4] =
    [("cleveland", 199), ("hungarian", 172), ("switzerland", 30), ("va", 85)];

/// Writes the cohort file of one hospital.
pub(super) fn real(folder: &Path, data: &Path, (centre, train): Hospital) -> anyhow::Result<String> {
    let data = data.join("uci_heart");
    let table = existing(data.join(format!("processed.{centre}.data")))?;
    let split = existing(data.join("flamby_split.csv"))?;
    let schema = write_schema(folder)?;
    Ok(format!(
        "name = \"heart\"\npatients = {train}\n\n[source.table]\nfile = {}\nschema = {}\n\n\
         [split.listed]\nfile = {}\nline = \"line\"\npart = \"split\"\nwhere = {{ centre = \"{centre}\" }}\n",
        quoted(&table),
        quoted(&schema),
        quoted(&split)
    ))
}

/// Puts the four tables under one another, and the split's lines with them.
pub(super) fn pooled(folder: &Path, data: &Path) -> anyhow::Result<String> {
    let data = data.join("uci_heart");
    let split = fs::read_to_string(existing(data.join("flamby_split.csv"))?)?;
    let (mut rows, mut parts, mut before) = (String::new(), String::from("line,split\n"), 0);
    for (centre, _) in HOSPITALS {
        let table = fs::read_to_string(existing(data.join(format!("processed.{centre}.data")))?)?;
        for line in split.lines().skip(1) {
            let cells: Vec<_> = line.split(',').collect();
            if let [its_centre, number, part, ..] = cells[..]
                && its_centre == centre
            {
                let number: usize =
                    number.parse().context("flamby_split.csv has a line that is no number")?;
                writeln!(parts, "{},{part}", before + number)?;
            }
        }
        before += table.lines().count();
        rows.extend(table.lines().flat_map(|line| [line, "\n"]));
    }
    fs::write(folder.join("heart-pooled.data"), rows)?;
    fs::write(folder.join("heart-pooled.split.csv"), parts)?;
    write_schema(folder)?;
    let train: u32 = HOSPITALS.iter().map(|(_, train)| train).sum();
    Ok(format!(
        "name = \"heart\"\npatients = {train}\n\n[source.table]\nfile = \"heart-pooled.data\"\n\
         schema = \"heart.schema.toml\"\n\n[split.listed]\nfile = \"heart-pooled.split.csv\"\nline = \"line\"\n\
         part = \"split\"\n"
    ))
}

fn write_schema(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("heart.schema.toml");
    fs::write(&path, include_str!("../../../../examples/cohorts/heart.schema.toml"))?;
    Ok(path.canonicalize()?)
}
