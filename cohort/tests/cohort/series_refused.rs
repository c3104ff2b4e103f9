//! Series of events: what is refused in which line, and what people are told.

use fedtwin_plan::inventory::{EventsFound, SignalCount};

use crate::series::{EVENTS, HEADER, LONG, SCHEMA, csv, folder, long, read};

#[test]
fn what_cannot_be_read_is_refused_with_its_line_and_without_its_value() {
    let check = |line: &str, expected: &str| {
        let message = long(&["11,1,Heart Rate,80,/min", line]).unwrap_err();
        assert!(message.starts_with("vitals.csv:3: ") && message.contains(expected), "{message}");
        assert!(!message.contains("zebra") && !message.contains("4711"), "{message}");
    };
    check("11,1,Heart Rate,zebra,/min", "column \"value\": expected a number");
    check("11,1,Heart Rate,<4711,/min", "column \"value\": expected a number");
    check("11,zebra,Heart Rate,80,/min", "column \"hour\": expected a number");
    check("11,,Heart Rate,80,/min", "column \"hour\": expected a number");
    check("11,1,Heart Rate,80,zebra", "column \"uom\": expected a unit that is comparable");
    check("11,1,Heart Rate,80,mg/dL", "one is measured in g/m3, the other in /s");
    check("11,1,Heart Rate,80,{zebra}", "comparable with the signal's \"/min\"");
    check("1.5E+11,1,Heart Rate,80,/min", "column \"stay_id\": holds keys that a table program has rounded");
    check("11,1,Heart Rate,80", "has 4 cells, expected 5");
    // What lies outside the window or belongs to nobody is not looked at.
    for line in ["11,25,Heart Rate,zebra,zebra", "99,zebra,,,", "11,1,Weight,zebra,zebra", "11,1,X,zebra,"] {
        assert!(long(&["11,1,Heart Rate,80,/min", line]).is_ok(), "{line}");
    }
}

#[test]
fn a_row_without_a_key_of_its_own_is_refused() {
    let (folder, text) = folder(LONG, &csv(HEADER, &EVENTS));
    let check = |stays: &str, expected: &str| {
        folder.write("stays.csv", stays);
        let message = read(&folder, &text).unwrap_err();
        assert!(message.starts_with(expected), "{message}");
    };
    check(
        "patient,stay,died\na,11,0\nb,12,1\nc,11.0,0\n",
        "stays.csv:4: column \"stay\": has the key of line 2",
    );
    check("patient,stay,died\na,11,0\nb,,1\n", "stays.csv:3: column \"stay\": has no key");
    check("patient,died\na,0\n", "stays.csv:1: expected a column \"stay\"");
    check("patient,stay,died,hr.last\na,11,0,80\n", "stays.csv:1: names column \"hr.last\" twice");
}

#[test]
fn a_description_that_says_no_one_thing_is_refused() {
    let (folder, text) = folder(LONG, &csv(HEADER, &EVENTS));
    let check = |text: &str, expected: &str| {
        let message = read(&folder, text).unwrap_err();
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    };
    check(&text.replace(LONG, ""), "neither long nor wide");
    check(&text.replace(LONG, &format!("{LONG}\nwide = {{}}")), "long and wide");
    check(
        &text.replace("unit = 'h'", "unit = 'mg'"),
        "source.series.events.unit is \"mg\", expected a unit of time",
    );
    check(&text.replace("to = 24", "to = 0"), "cohort.toml:13: source.series.events.window is from 0 to 0");
    check(&text.replace("to = 24", "to = inf"), "source.series.events.window");
    check(&text.replace("low = 25", "low = 50"), "signals.temp is plausible from 50 to 45");
    check(
        &text.replace("low = 0, high = 1 ", "low = 0, high = 1e200 "),
        "signals.unused is plausible up to 1e200",
    );
    check(&text.replace("'T'", "'Heart Rate'"), "is called \"Heart Rate\" by the events, as is \"hr\"");
    check(&text.replace(LONG, "wide = {}").replace("'T'", "'hour'"), "reads column \"hour\"");
    check(&text.replace("temp = {", "other = {"), "expected a column \"temp.last\"");
    check(&text.replace("key = {", "key = { x = 1,"), "expected a column's name, or { rows");
    let schema = |from: &str, to: &str, expected: &str| {
        folder.write("schema.toml", SCHEMA.replace(from, to));
        check(&text, expected);
    };
    schema(
        "'hr.last'",
        "'hr.median'",
        "of signal \"hr\" there are last, first, min, max, mean, count, slope, age",
    );
    schema(
        "'/min/h'",
        "'/min'",
        "features.hr.slope reads \"hr.slope\", whose unit is \"/min/h\", and states \"/min\"",
    );
    schema("'Cel'", "'[degF]'", "whose unit is \"Cel\", and states \"[degF]\"");
    let (start, _) = SCHEMA.split_at(SCHEMA.find("'hr.age'").unwrap());
    folder.write("schema.toml", format!("{start}stay.number = {{ unit = '1', low = 0, high = 9 }}\n"));
    check(&text, "has no feature of a signal");
}

#[test]
fn the_inventory_tells_what_the_events_were() {
    let (folder, text) = folder(LONG, &csv(HEADER, &EVENTS));
    let found = folder.cohort(&text).unwrap().take_inventory().unwrap();
    let signal = |name: &str, values, implausible| SignalCount { name: name.into(), values, implausible };
    let expected = EventsFound {
        lines: 13,
        of_no_row: 1,
        outside_window: 2,
        of_no_signal: 1,
        signals: vec![signal("hr", 5, 1), signal("temp", 2, 0)],
    };
    assert_eq!(found.events, Some(expected));
    assert!(found.to_string().contains("hr 5 (and 1 outside the plausible range), temp 2"), "{found}");
}

#[test]
fn events_that_seem_to_be_of_others_are_refused_where_people_look() {
    let check = |lines: &[&str], expected: &str| {
        let (folder, text) = folder(LONG, &csv(HEADER, lines));
        let refused = folder.cohort(&text).unwrap().take_inventory().unwrap_err();
        let message = folder.message(&refused);
        assert!(message.contains(expected), "{message}");
        // No answer to a study depends on it.
        assert!(read(&folder, &text).is_ok());
    };
    check(&[], "has 0 lines of events");
    check(&["99,1,Heart Rate,80,/min"], "has 1 lines of events, and none with the key of a row");
    check(&["11,25,Heart Rate,80,/min"], "has no event within the window");
    check(&["11,1,HR,80,/min"], "has no event of a signal that a feature reads, and 1 of signals");
    let fast = ["11,1,Heart Rate,8,/min", "11,1,Heart Rate,9,/min", "11,1,Heart Rate,80,/min"];
    check(&fast, "has 2 events of signal \"hr\" among 3 outside the plausible range");
    let (folder, text) = folder(LONG, &csv(HEADER, &fast));
    let confirmed = text.replace("confirmed = {", "confirmed = { implausible.hr = '2/3',");
    folder.cohort(&confirmed).unwrap().take_inventory().unwrap();
}

#[test]
fn a_change_of_the_events_is_a_change_of_the_cohort() {
    let (folder, text) = folder(LONG, &csv(HEADER, &EVENTS));
    let cohort = folder.cohort(&text).unwrap();
    let before = cohort.digest().unwrap();
    folder.write("vitals.csv", csv(HEADER, &EVENTS[1..]));
    assert_ne!(cohort.digest().unwrap(), before);
}
