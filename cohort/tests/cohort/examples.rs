//! The example files that the repository ships are good ones.

use fedtwin_cohort::CohortFile;
use fedtwin_cohort::schema::TableSchema;
use fedtwin_plan::cohort_need::DataNeed;
use fedtwin_plan::record::Part;
use fedtwin_plan::text_file;

use crate::common::{example, image_need};

fn heart_need() -> DataNeed {
    let text = std::fs::read_to_string(example("heart.schema.toml")).unwrap();
    text_file::parse::<TableSchema>("heart.schema.toml", &text).unwrap().need()
}

#[test]
fn example_cohorts_are_accepted() {
    let names = std::fs::read_dir(example("")).unwrap().map(|entry| entry.unwrap().path());
    let cohorts: Vec<_> = names.filter(|path| !path.to_string_lossy().ends_with(".schema.toml")).collect();
    assert!(cohorts.len() > 5, "{cohorts:?}");
    for cohort in cohorts {
        CohortFile::load(&cohort).unwrap();
    }
}

#[test]
fn example_synthetic_cohorts_have_the_patients_that_they_declare() {
    for (name, need, test) in
        [("synthetic-table.toml", heart_need(), 60), ("synthetic-images.toml", image_need(64, 48), 8)]
    {
        let cohort = CohortFile::load(&example(name)).unwrap();
        cohort.fits(&need).unwrap();
        let found = cohort.take_inventory().unwrap();
        assert_eq!((found.train, found.test, found.left_out), (cohort.patients(), test, vec![]), "{name}");
        let patients = |part| cohort.read(&need, part).unwrap().patients();
        assert_eq!(
            (patients(Part::Train), patients(Part::Test)),
            (cohort.patients() as usize, test as usize),
            "{name}"
        );
    }
}

#[test]
fn the_heart_schema_offers_thirteen_features() {
    let DataNeed::Table(need) = heart_need() else { panic!("a table's schema offers a table") };
    assert_eq!((need.outcome.name.as_str(), need.features.len()), ("disease", 13));
    // 6 numbers of 2 inputs; categories: sex 3, cp 5, fbs 3, restecg 4, exang 3, slope 4, thal 4.
    assert_eq!(need.inputs(), 6 * 2 + 26);
}

#[test]
fn the_hearts_plan_fits_the_table_in_other_units() {
    let cohort = CohortFile::load(&example("other-units.toml")).unwrap();
    cohort.fits(&heart_need()).unwrap();
    let converted = cohort.conversions(&heart_need()).into_iter().map(|converted| converted.feature);
    assert_eq!(converted.collect::<Vec<_>>(), ["age", "chol", "oldpeak", "trestbps"]);
}
