//! The hippocampi of the Medical Segmentation Decathlon: three scanners, and each scanner's patients at two hospitals.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;
use fedtwin_simulation::site_config::quoted;

use super::existing;

/// A site's name and what stands in the index's column for its patients.
pub(super) type Selected = (&'static str, &'static str);

/// Intensity groups: three export encodings, as different scanners have. Patients id mod 5 == 3 test.
pub(super) const SCANNERS: [Selected; 3] =
    [("scanner-a", "A_uint8"), ("scanner-b", "B_float_1e3"), ("scanner-c", "C_float_1e6")];

/// The same patients at six sites: of each scanner, those with even and with odd numbers.
pub(super) const HALVES: [Selected; 6] = [
    ("scanner-a-even", "A_uint8-even"),
    ("scanner-a-odd", "A_uint8-odd"),
    ("scanner-b-even", "B_float_1e3-even"),
    ("scanner-b-odd", "B_float_1e3-odd"),
    ("scanner-c-even", "C_float_1e6-even"),
    ("scanner-c-odd", "C_float_1e6-odd"),
];

/// Writes the cohort file of one of the [`SCANNERS`], or of all patients.
pub(super) fn scanner(data: &Path, selected: Option<Selected>) -> anyhow::Result<String> {
    let data = data.join("msd_hippocampus");
    let index = existing(data.join("index.csv"))?;
    let patients = Patient::read(&index)?;
    let group = selected.map(|(_, group)| group);
    // Declared sizes are public; they are counted here because these data are.
    let train = patients.iter().filter(|patient| group.is_none_or(|group| patient.group == group));
    let only = group.map(|group| (index.as_path(), "intensity_group", group));
    Ok(cohort_file(&data, train.filter(|patient| patient.trains()).count(), only))
}

/// Writes the cohort file of one of the [`HALVES`], and the index that it needs.
pub(super) fn half(folder: &Path, data: &Path, (_, half): Selected) -> anyhow::Result<String> {
    let data = data.join("msd_hippocampus");
    let patients = Patient::read(&existing(data.join("index.csv"))?)?;
    let mut index = String::from("id,half\n");
    for patient in &patients {
        writeln!(index, "{},{}", patient.id, patient.half())?;
    }
    let path = folder.join("hippocampus-halves.csv");
    fs::write(&path, index)?;
    let train = patients.iter().filter(|patient| patient.half() == half && patient.trains()).count();
    Ok(cohort_file(&data, train, Some((&path.canonicalize()?, "half", half))))
}

fn cohort_file(data: &Path, train: usize, only: Option<(&Path, &str, &str)>) -> String {
    let only = only.map_or(String::new(), |(index, column, value)| {
        format!(
            "\n[source.images.only]\nfile = {}\nid = \"id\"\ncolumn = \"{column}\"\nequals = \"{value}\"\n",
            quoted(index)
        )
    });
    format!(
        "name = \"hippocampus\"\npatients = {train}\n\n[source.images]\nimages = {}\nmasks = {}\nslice_axis = 0\n\
         {only}\n[split.modulo]\ndivisor = 5\ntest = 3\n",
        quoted(&data.join("images")),
        quoted(&data.join("labels"))
    )
}

/// A line of the data set's index.
struct Patient {
    id: String,
    number: u32,
    group: String,
}

impl Patient {
    fn read(index: &Path) -> anyhow::Result<Vec<Self>> {
        let text = fs::read_to_string(index)?;
        let patient = |line: &str| {
            let mut cells = line.split(',');
            let (id, group) = cells.next().zip(cells.next())?;
            let number = id.rsplit('_').next()?.parse().ok()?;
            Some(Self { id: id.to_owned(), number, group: group.to_owned() })
        };
        let read =
            |line| patient(line).with_context(|| format!("{} has a line without a number", index.display()));
        text.lines().skip(1).map(read).collect()
    }

    fn trains(&self) -> bool {
        self.number % 5 != 3
    }

    fn half(&self) -> String {
        format!("{}-{}", self.group, if self.number.is_multiple_of(2) { "even" } else { "odd" })
    }
}
