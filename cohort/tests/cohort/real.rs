//! The real data sets, where `FEDTWIN_DATA` names the folder that has them.

use std::path::Path;

use fedtwin_cohort::CohortFile;
use fedtwin_cohort::schema::TableSchema;
use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::record::{Part, TableRecord, Value};
use fedtwin_plan::text_file;

use crate::common::{Folder, data_folder, example, image_need, rows, volumes};

fn heart_need() -> DataNeed {
    let text = std::fs::read_to_string(example("heart.schema.toml")).unwrap();
    text_file::parse::<TableSchema>("heart.schema.toml", &text).unwrap().need()
}

/// Makes the example cohort file name real files by their whole paths, for one of their sites.
fn heart(folder: &Folder, data: &Path, centre: &str, patients: usize) -> CohortFile {
    let uci = data.join("uci_heart");
    let text = std::fs::read_to_string(example("table.toml")).unwrap();
    let text = text
        .replace("patients = 199", &format!("patients = {patients}"))
        .replace("processed.cleveland.data", uci.join(format!("processed.{centre}.data")).to_str().unwrap())
        .replace("flamby_split.csv", uci.join("flamby_split.csv").to_str().unwrap())
        .replace("heart.schema.toml", example("heart.schema.toml").to_str().unwrap())
        .replace("\"cleveland\"", &format!("\"{centre}\""));
    folder.cohort(&text).unwrap()
}

#[test]
fn heart_has_the_published_split() {
    let Some(data) = data_folder() else {
        return;
    };
    let folder = Folder::new();
    let need = heart_need();
    for (centre, train, test) in
        [("cleveland", 199, 104), ("hungarian", 172, 89), ("switzerland", 30, 16), ("va", 85, 45)]
    {
        let cohort = heart(&folder, &data, centre, train);
        let found = cohort.take_inventory().unwrap();
        assert!(found.features.iter().all(|feature| feature.implausible <= 2), "{centre}: {found}");
        let read = |part| rows(cohort.read(&need, part).unwrap());
        assert_eq!((read(Part::Train).len(), read(Part::Test).len()), (train, test), "{centre}");
    }
}

#[test]
fn swiss_cholesterol_is_missing_throughout() {
    let Some(data) = data_folder() else {
        return;
    };
    let folder = Folder::new();
    let need = heart_need();
    let cohort = heart(&folder, &data, "switzerland", 30);
    let rows: Vec<TableRecord> = [Part::Train, Part::Test]
        .into_iter()
        .flat_map(|part| rows(cohort.read(&need, part).unwrap()))
        .collect();
    let DataNeed::Table(need) = need else { panic!("a table's schema offers a table") };
    let chol = need.features.keys().position(|name| name == "chol").unwrap();
    assert!(rows.iter().all(|row| row.values[chol] == Value::Missing));
}

#[test]
fn hippocampus_groups_are_read_whole() {
    let Some(data) = data_folder() else {
        return;
    };
    let msd = data.join("msd_hippocampus");
    let folder = Folder::new();
    let text = std::fs::read_to_string(example("images.toml")).unwrap();
    for (group, total) in [("A_uint8", 42), ("B_float_1e3", 143), ("C_float_1e6", 29)] {
        let text = text
            .replace("patients = 34", &format!("patients = {total}"))
            .replace("\"images\"", &format!("{:?}", msd.join("images")))
            .replace("\"labels\"", &format!("{:?}", msd.join("labels")))
            .replace("\"index.csv\"", &format!("{:?}", msd.join("index.csv")))
            .replace("A_uint8", group);
        let cohort = folder.cohort(&text).unwrap();
        let found = cohort.take_inventory().unwrap();
        assert_eq!((found.patients() as usize, found.left_out.len()), (total, 1), "{found}");
        let read = |part| volumes(cohort.read(&image_need(64, 48), part).unwrap());
        let all = [read(Part::Train), read(Part::Test)].concat();
        assert_eq!(all.len(), total, "{group}");
        for volume in &all {
            let [slices, rows, columns] = volume.shape;
            assert!((31..=43).contains(&slices) && (40..=59).contains(&rows) && (24..=47).contains(&columns));
            assert!(volume.mask.contains(&1) && volume.image.iter().all(|x| x.is_finite()));
        }
    }
}
