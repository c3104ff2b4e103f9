//! A patient is one patient: in tables, in names of files and in splits.

use crate::common::{Folder, Nifti};

const SCHEMA: &str = "
patient_id = 'id'
outcome = { name = 'died', rule = { above = 0 } }
features.x.number = { unit = 'u', low = 0, high = 100 }
";

/// Takes the inventory of a table with these identifiers; returns the patients of both parts.
fn table(ids: &[String], cohort: &str) -> Result<(u32, u32), String> {
    let folder = Folder::new();
    let lines = ids.iter().enumerate().map(|(i, id)| format!("{id},{},{}\n", i % 50, i % 2));
    folder.write("rows.csv", format!("id,x,died\n{}", lines.collect::<String>()));
    folder.write("schema.toml", SCHEMA);
    let split = if cohort.contains("split.") { "" } else { "split.modulo = { divisor = 5, test = 3 }\n" };
    let text = format!(
        "name = 'c'\npatients = 60\nsource.table.file = 'rows.csv'\nsource.table.schema = 'schema.toml'\n{split}{cohort}"
    );
    let found = folder.cohort(&text).and_then(|cohort| cohort.take_inventory());
    found.map(|found| (found.train, found.test)).map_err(|e| folder.message(&e))
}

fn sixty(id: impl Fn(u32) -> String) -> Vec<String> {
    (1..=60).map(id).collect()
}

#[test]
fn one_patient_in_two_spellings_is_refused_with_both_lines() {
    let with = |another: &str| {
        let mut ids = sixty(|i| i.to_string());
        ids.push(another.to_owned());
        ids
    };
    let same = "rows.csv:62: is of the same patient as line 4, expected one line per patient";
    for id in ["3", "3 ", "\u{a0}3", "3.0", "\"3\"", "3.", "\u{200b}3"] {
        assert_eq!(table(&with(id), ""), Err(same.to_owned()), "{id:?}");
    }
    for id in ["003", "03.0", "\u{ff13}"] {
        let message = table(&with(id), "").unwrap_err();
        assert!(
            message.starts_with("rows.csv:62: is of the same patient as line 4, as it seems"),
            "{message}"
        );
    }
    let message = table(&with("3.000"), "").unwrap_err();
    assert!(message.starts_with("rows.csv:62: is of the same patient as line 4, as it seems"), "{message}");
    let different = "confirmed.look_alikes = 'different'\n";
    assert_eq!(table(&with("0063"), different).unwrap(), (48, 13));
    assert!(table(&with("3.0"), different).is_err(), "the same form is the same patient");
    assert!(table(&with("\"\""), "").unwrap_err().starts_with("rows.csv:62: has no patient's identifier"));
}

#[test]
fn a_dash_does_not_make_another_patient_but_between_two_numbers() {
    for [one, other] in [["p3", "P-3"], ["p3", "P_3"], ["p 3", "P-3"], ["P\u{2013}3", "p3"]] {
        let message = table(&[one, other].map(str::to_owned), "").unwrap_err();
        assert!(
            message.starts_with("rows.csv:3: is of the same patient as line 2, as it seems"),
            "{message}"
        );
    }
    let ids: Vec<_> = (1..=6).flat_map(|i| [format!("{i}-1"), format!("{i}1")]).collect();
    let keys = "split.hashed = { test = '1/2', seed = 1 }\nconfirmed.filled_min = '1/60'\n";
    let (train, test) = table(&ids, keys).unwrap();
    assert_eq!(train + test, 12);
}

#[test]
fn what_programs_write_for_nothing_is_nobody() {
    for nobody in ["NA", "n/a", "Unknown", "MISSING", "--", "#REF!", "#VALUE!", "#NAME?", "NaN", "?"] {
        let message = table(&["3".to_owned(), nobody.to_owned()], "").unwrap_err();
        assert_eq!(message, "rows.csv:3: has no patient's identifier", "{nobody}");
    }
}

#[test]
fn numbers_are_the_same_patients_as_decimals_and_of_any_length() {
    assert_eq!(table(&sixty(|i| format!("{}.0", 1000 + i)), ""), Ok((48, 12)));
    assert_eq!(table(&sixty(|i| format!("{}", 1000 + i)), ""), Ok((48, 12)));
    // More digits than 64 bits hold.
    assert_eq!(table(&sixty(|i| format!("27600000000000000000000{i:05}")), ""), Ok((48, 12)));
    let message = table(&sixty(|i| format!("1.{i:05}E+12")), "").unwrap_err();
    assert!(
        message.starts_with("rows.csv:2: has an identifier that a table program has rounded"),
        "{message}"
    );
}

#[test]
fn a_hashed_split_goes_by_the_stated_form() {
    let split = "split.hashed = { test = '1/4', seed = 2 }\n";
    let plain = table(&sixty(|i| i.to_string()), split).unwrap();
    assert_eq!(table(&sixty(|i| format!(" {i}.0 ")), split).unwrap(), plain);
}

#[test]
fn the_part_of_an_identifier_that_is_the_patient_is_declared() {
    let ids = sixty(|i| format!("2024-{i}-1"));
    let message = table(&ids, "").unwrap_err();
    assert!(message.starts_with("rows.csv:2: has several numbers in its patient's identifier"), "{message}");
    assert_eq!(table(&ids, "source.table.patient = '*-{patient}-1'\n"), Ok((48, 12)));
    let message = table(&ids, "source.table.patient = 'p-{patient}'\n").unwrap_err();
    assert!(message.starts_with("rows.csv:2: has another form of name"), "{message}");
}

/// Takes the inventory of a folder of scans with these names.
fn scans(names: &[String], source: &str) -> Result<(u32, u32), String> {
    let folder = Folder::new();
    let image: Vec<f32> = (0_u8..24).map(f32::from).collect();
    for name in names {
        let scale = if name.contains("001") { 2.0 } else { 1.0 };
        let image = Nifti { slope: scale, ..Nifti::float32([2, 3, 4], &image) };
        folder.write(&format!("images/{name}"), image.bytes());
        folder.write(
            &format!("masks/{name}"),
            Nifti::uint8([2, 3, 4], (0..24).map(|x| u8::from(x > 12)).collect()).bytes(),
        );
    }
    let text = format!(
        "name = 'c'\npatients = 8\nsource.images = {{ images = 'images', masks = 'masks', slice_axis = 0{source} }}\n\
         split.modulo = {{ divisor = 5, test = 3 }}\n"
    );
    let found = folder.cohort(&text).and_then(|cohort| cohort.take_inventory());
    found.map(|found| (found.train, found.test)).map_err(|e| folder.message(&e))
}

#[test]
fn the_part_of_a_files_name_that_is_the_patient_is_declared() {
    let names: Vec<_> = (1..=10).map(|i| format!("sub-{i:02}_T1w.nii")).collect();
    let message = scans(&names, "").unwrap_err();
    assert!(message.starts_with("images/sub-01_T1w.nii: has several numbers"), "{message}");
    assert_eq!(scans(&names, ", patient = 'sub-{patient}_T1w'"), Ok((8, 2)));
    let names: Vec<_> = (1..=10).map(|i| format!("p_{i}.NII")).collect();
    assert_eq!(scans(&names, ""), Ok((8, 2)), "endings in capitals count");
}

#[test]
fn two_scans_of_one_patient_are_refused() {
    let mut names: Vec<_> = (1..=10).map(|i| format!("sub-{i:02}_ses-1.nii")).collect();
    names.push("sub-03_ses-2.nii".to_owned());
    let message = scans(&names, ", patient = 'sub-{patient}_*'").unwrap_err();
    assert_eq!(
        message,
        "images/sub-03_ses-2.nii: is of the same patient as images/sub-03_ses-1.nii, expected one scan per patient"
    );
}

#[test]
fn a_copy_of_a_scan_is_refused_even_where_look_alikes_differ() {
    let with = |another: &str| {
        let mut names: Vec<_> = (1..=9).map(|i| format!("p_{i}.nii")).collect();
        names.push(another.to_owned());
        names
    };
    let different = "}\nconfirmed = { look_alikes = 'different'";
    for copy in ["p_1 (1).nii", "p_1 - Copy.nii", "Copy of p_1.nii", "P-01.nii"] {
        assert!(scans(&with(copy), "").unwrap_err().contains("of the same patient"), "{copy}");
        let message = scans(&with(copy), different).unwrap_err();
        assert!(message.contains("it is a copy, expected one scan per patient"), "{message}");
    }
    let another = "p_001.nii";
    assert!(scans(&with(another), "").unwrap_err().contains("of the same patient"));
    assert_eq!(scans(&with(another), different), Ok((8, 2)));
}

#[test]
fn a_folder_without_a_scan_is_refused() {
    let message = scans(&["p_1.hdr".to_owned(), "p_1.img".to_owned()], "").unwrap_err();
    assert_eq!(
        message,
        "images: has no file that ends in .nii.gz or .nii, and 2 others: there is no patient"
    );
}
