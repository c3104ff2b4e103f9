//! What a check tells the hospital's people of a cohort.

use fedtwin_cohort::CohortFile;
use fedtwin_plan::inventory::{FeatureCount, UnitFound};

use crate::common::Folder;

const COHORT: &str = "
name = 'small'
patients = 4
source.table = { file = 'rows.csv', schema = 'schema.toml' }
split.modulo = { divisor = 5, test = 0 }
";

const SCHEMA: &str = "
patient_id = 'id'
outcome = { name = 'died', rule = { above = 0 } }
features.temp.number = { unit = 'Cel', low = 30, high = 45 }
features.sex.category.codes = { 0 = 'female', 1 = 'male' }
";

const ROWS: &str = "id,temp,sex,died\np1,37,1,0\np2,98.6,,0\np3,,0,1\np5,36.5,1,1\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("rows.csv", ROWS);
    folder.write("schema.toml", SCHEMA);
    folder
}

fn cohort(folder: &Folder) -> CohortFile {
    folder.cohort(COHORT).unwrap()
}

#[test]
fn an_inventory_counts_both_parts_and_every_features_cells() {
    let inventory = cohort(&folder()).take_inventory().unwrap();
    assert_eq!((inventory.declared, inventory.train, inventory.test), (4, 3, 1));
    let count =
        |name: &str, missing, implausible| FeatureCount { missing, implausible, ..FeatureCount::of(name) };
    let unit = Some(UnitFound { written: "Cel".into(), code: Some("Cel".into()) });
    assert_eq!(inventory.features, [count("sex", 1, 0), FeatureCount { unit, ..count("temp", 1, 1) }]);
    assert_eq!(inventory.left_out, []);
}

#[test]
fn the_digest_is_of_every_file_and_of_nothing_else() {
    let folder = folder();
    let digest = || cohort(&folder).digest().unwrap();
    let before = digest();
    assert_eq!(cohort(&folder).take_inventory().unwrap().digest, before);
    folder.write("notes.txt", "not of the cohort");
    assert_eq!(digest(), before);
    for (name, text) in [("rows.csv", ROWS), ("schema.toml", SCHEMA)] {
        folder.write(name, format!("{text}\n"));
        assert_ne!(digest(), before, "{name}");
        folder.write(name, text);
    }
    assert_eq!(digest(), before);
    assert_ne!(folder.cohort(&format!("{COHORT}\n")).unwrap().digest().unwrap(), before, "the cohort file");
    // The same files elsewhere are the same cohort.
    let moved = self::folder();
    assert_eq!(cohort(&moved).digest().unwrap(), before);
}

/// Takes the inventory of these lines under a cohort file of these keys.
fn taken(declared: u32, numbers: &[u32], keys: &str) -> Result<(u32, u32), String> {
    let folder = folder();
    let lines = numbers.iter().map(|i| format!("p{i},37,1,{}\n", i % 2));
    folder.write("rows.csv", format!("id,temp,sex,died\n{}", lines.collect::<String>()));
    let text = format!("{}{keys}\n", COHORT.replace("patients = 4", &format!("patients = {declared}")));
    let found = folder.cohort(&text).and_then(|cohort| cohort.take_inventory());
    found.map(|found| (found.train, found.test)).map_err(|e| folder.message(&e))
}

#[test]
fn an_empty_part_is_confirmed_by_a_person_or_refused() {
    let refused = |result: Result<_, String>, expected: &str| {
        let message = result.unwrap_err();
        assert!(message.starts_with("cohort.toml: ") && message.contains(expected), "{message}");
    };
    refused(taken(4, &[1, 2, 3, 4], ""), "has nobody to test on: its split sends all 4 patients");
    assert_eq!(taken(4, &[1, 2, 3, 4], "confirmed.no_test = true"), Ok((4, 0)));
    refused(taken(4, &[5, 10], ""), "has nobody to train on: its split sends all 2 patients");
    assert_eq!(taken(4, &[5, 10], "confirmed.no_train = true"), Ok((0, 2)));
    let both = "confirmed = { no_train = true, no_test = true }";
    refused(taken(4, &[], both), "holds no patient");
}

#[test]
fn fewer_patients_than_half_of_the_declared_are_confirmed_or_refused() {
    assert_eq!(taken(6, &[1, 2, 3, 5], ""), Ok((3, 1)));
    let message = taken(7, &[1, 2, 3, 5], "").unwrap_err();
    let expected = "cohort.toml: declares 7 training patients and has 3, less than 1/2 of them";
    assert!(
        message.starts_with(expected) && message.ends_with("confirmed.filled_min = \"3/7\""),
        "{message}"
    );
    assert_eq!(taken(7, &[1, 2, 3, 5], "confirmed.filled_min = '3/7'"), Ok((3, 1)));
}

#[test]
fn one_outcome_in_all_patients_is_confirmed_or_refused() {
    let all = |numbers: [u32; 4]| numbers.map(|i| 2 * i);
    let message = taken(4, &all([1, 2, 3, 5]), "").unwrap_err();
    let expected = "cohort.toml: has 0 of 4 patients with the outcome, so that there is nothing to learn";
    assert!(message.starts_with(expected) && message.ends_with("confirmed.one_outcome = true"), "{message}");
    assert_eq!(taken(4, &all([1, 2, 3, 5]), "confirmed.one_outcome = true"), Ok((3, 1)));
    let message = taken(4, &[1, 3, 5, 7], "").unwrap_err();
    assert!(message.contains("has 4 of 4 patients with the outcome"), "{message}");
    // 1 for yes and 2 for no, both above 0.
    let folder = folder();
    folder.write("rows.csv", ROWS.replace(",0\n", ",2\n"));
    let message = folder.message(&cohort(&folder).take_inventory().unwrap_err());
    assert!(message.contains("has 4 of 4 patients with the outcome"), "{message}");
}
