//! Times to an event: what is read, and what is refused with which message.

use fedtwin_cohort::schema::TableSchema;
use fedtwin_plan::cohort_need::{DataNeed, TableNeed};
use fedtwin_plan::follow_up::{FollowUp, Observed};
use fedtwin_plan::outcome::{AskedOutcome, Outcome, OutcomeNeed};
use fedtwin_plan::plan::Draft;
use fedtwin_plan::record::Part;
use fedtwin_plan::text_file;

use crate::common::{Folder, example, rows};

const COHORT: &str = "
name = 'breast'
patients = 3
confirmed.no_test = true
[source.table]
file = 'rows.csv'
schema = 'schema.toml'
[split.modulo]
divisor = 1000
test = 999
";

const SCHEMA: &str = "
patient_id = 'id'
[outcome]
name = 'relapse'
column = 'status'
unknown = ['9']
rule.event = { yes = ['1'], no = ['0'], time = 'days', entry = 'seen', unit = 'd', high = 9000 }
[features]
age.number = { unit = 'years', low = 18, high = 110 }
";

const ROWS: &str = "id,age,status,days,seen\n1,50,1,400,0\n2,60,0,1800.5,30\n3,70,0,0,0\n";

fn need(unit: &str) -> DataNeed {
    let schema: TableSchema = text_file::parse("schema.toml", SCHEMA).unwrap();
    let DataNeed::Table(need) = schema.need() else { panic!("a table") };
    let follow_up = FollowUp { unit: unit.into(), from: 0.0, until: vec![365.0, 1826.0] };
    let outcome = OutcomeNeed { name: "relapse".into(), asked: AskedOutcome::Event(follow_up) };
    DataNeed::Table(TableNeed { outcome, ..need })
}

fn folder(table: &str) -> Folder {
    let folder = Folder::new();
    folder.write("rows.csv", table);
    folder.write("schema.toml", SCHEMA);
    folder
}

#[test]
fn a_patient_has_a_time_and_what_happened_then() {
    let folder = folder(ROWS);
    let cohort = folder.cohort(COHORT).unwrap();
    cohort.fits(&need("d")).unwrap();
    let records = rows(cohort.read(&need("d"), Part::Train).unwrap());
    let found: Vec<_> = records.iter().map(|record| record.outcome).collect();
    let event = |entry, time, happened| Outcome::Event(Observed { entry, time, happened });
    assert_eq!(found, [event(0.0, 400.0, true), event(30.0, 1800.5, false), event(0.0, 0.0, false)]);
    let inventory = cohort.take_inventory().unwrap();
    assert_eq!((inventory.train, inventory.positive), (3, 1));
}

#[test]
fn times_that_cannot_be_are_refused_with_their_column() {
    for (from, to, expected) in [
        ("400,0", "-1,0", "rows.csv:2: column \"days\": expected a time from 0 to 9000, which the schema"),
        ("400,0", "9001,0", "rows.csv:2: column \"days\": expected a time from 0 to 9000, which the schema"),
        ("400,0", "x,0", "rows.csv:2: column \"days\": expected a time as a number"),
        ("400,0", ",0", "rows.csv:2: column \"days\": expected the outcome, which may not be missing"),
        ("1,400", ",400", "rows.csv:2: column \"status\": expected the outcome, which may not be missing"),
        ("1,400", "2,400", "rows.csv:2: column \"status\": expected one of the schema's texts for yes or no"),
        ("400,0", "400,401", "rows.csv:2: column \"seen\": comes after the time of the outcome"),
    ] {
        let folder = folder(&ROWS.replacen(from, to, 1));
        let read = folder.cohort(COHORT).unwrap().read(&need("d"), Part::Train);
        let message = folder.message(&read.unwrap_err());
        assert!(message.starts_with(expected), "{message}");
        assert!(!message.contains("9001,"), "{message}");
    }
}

#[test]
fn who_has_no_known_time_or_event_is_left_out_and_counted() {
    for (from, to) in [("1,400", "9,400"), ("400,0", "9,0"), ("400,0", "9.0,0")] {
        let folder = folder(&ROWS.replacen(from, to, 1));
        let cohort = folder.cohort(COHORT).unwrap();
        let inventory = cohort.take_inventory();
        // Nobody who is left has the event.
        let message = folder.message(&inventory.unwrap_err());
        assert!(message.contains("has 0 of 2 patients with the outcome"), "{message}");
        assert_eq!(cohort.read(&need("d"), Part::Train).unwrap().patients(), 2);
    }
}

#[test]
fn times_in_another_unit_are_converted_exactly() {
    let folder = folder(&ROWS.replace("1800.5", "1826.25"));
    let cohort = folder.cohort(COHORT).unwrap();
    cohort.fits(&need("a")).unwrap();
    let records = rows(cohort.read(&need("a"), Part::Train).unwrap());
    let Outcome::Event(observed) = records[1].outcome else { panic!("an event") };
    // A year has 365.25 days.
    assert_eq!((observed.time.to_bits(), observed.entry < 0.1), (5.0_f64.to_bits(), true));
}

#[test]
fn plans_of_another_unit_or_kind_do_not_fit() {
    let folder = folder(ROWS);
    let cohort = folder.cohort(COHORT).unwrap();
    let refused = |need: &DataNeed| cohort.fits(need).unwrap_err().to_string();
    assert!(refused(&need("mg")).contains("relapse"), "{}", refused(&need("mg")));
    let DataNeed::Table(table) = need("d") else { panic!("a table") };
    let yes_or_no = DataNeed::Table(TableNeed { outcome: "relapse".into(), ..table });
    assert_eq!(
        refused(&yes_or_no),
        "it predicts an outcome that is yes or no, the cohort's is an event with its time"
    );
}

#[test]
fn a_column_is_read_once() {
    for (from, to, expected) in [
        ("time = 'days'", "time = 'status'", "outcome.rule.event reads column \"status\", which"),
        ("entry = 'seen'", "entry = 'days'", "outcome.rule.event reads column \"days\", which"),
        ("high = 9000", "high = 0", "outcome.rule.event.high is 0, expected a time above 0"),
        ("no = ['0']", "no = ['1']", "outcome.rule has code \"1\" for \"yes\" and for \"no\""),
    ] {
        let refused = text_file::parse::<TableSchema>("schema.toml", &SCHEMA.replace(from, to)).unwrap_err();
        assert!(refused.message.starts_with(expected), "{refused}");
    }
}

#[test]
fn the_examples_schemas_fit_their_plans() {
    let rotterdam = ["none.toml", "local.toml", "shared.toml"]
        .map(|plan| (format!("../rotterdam/{plan}"), "../rotterdam/schema.toml"));
    let relapse = ("../plans/relapse.toml".to_owned(), "relapse.schema.toml");
    for (plan, schema) in rotterdam.into_iter().chain([relapse]) {
        let read = |name: &str| std::fs::read_to_string(example(name)).unwrap();
        let draft: Draft = text_file::parse(&plan, &read(&plan)).unwrap();
        let folder = folder("");
        folder.write("schema.toml", read(schema));
        folder.cohort(COHORT).unwrap().fits(&draft.data).unwrap();
    }
}
