//! Curves and tests, on a grid of days, which is every time that there is.
//!
//! Expected values: R 4.2.2 with survival 3.5-3, `Rscript statistics/tests/reference/reference.R $FEDTWIN_DATA/survival`.

use std::collections::BTreeMap;

use fedtwin_metrics::survival::Survival;
use fedtwin_statistics::{EventCounts, Level, LogRankSums, TimeGrid, kaplan_meier};

use crate::data::{Table, check, follow_up};

fn days() -> TimeGrid {
    TimeGrid::new((1..=1100).map(f64::from).collect()).unwrap()
}

/// Each group's counts, in the order of `group`'s values.
fn count(rows: impl IntoIterator<Item = (u32, Survival)>) -> Vec<EventCounts> {
    let mut groups = BTreeMap::<u32, Vec<Survival>>::new();
    for (group, patient) in rows {
        groups.entry(group).or_default().push(patient);
    }
    groups.values().map(|patients| days().count(patients)).collect()
}

#[test]
fn a_curve_on_days_has_rs_intervals_whatever_the_sites() {
    let Some(table) = Table::read("survival", "lung.csv") else { return };
    let patients: Vec<_> = table
        .numbers(["time", "status"])
        .iter()
        .map(|[time, status]| follow_up(*time, *status > 1.5))
        .collect();
    let (one, other) = patients.split_at(100);
    let counts = days().count(one).and(&days().count(other)).unwrap();
    assert_eq!(counts, days().count(&patients));
    let points = kaplan_meier(&days(), &counts, 0.0, Level::default());
    let at = [100, 365, 730].map(|day: usize| points[day - 1]);
    let (plain, log_log) = (at.map(|p| p.greenwood.unwrap()), at.map(|p| p.log_log.unwrap()));
    check(
        &plain.map(|e| e.standard_error),
        &[0.022_710_230_434_161_8, 0.035_823_638_172_037, 0.028_298_197_317_69],
        1e-10,
    );
    check(
        &plain.map(|e| e.low),
        &[0.819_457_733_913_680, 0.339_028_583_847_676, 0.060_229_650_774_450],
        1e-10,
    );
    check(
        &plain.map(|e| e.high),
        &[0.908_480_201_376_806, 0.479_454_665_072_452, 0.171_156_545_914_627],
        1e-10,
    );
    check(
        &log_log.map(|e| e.low),
        &[0.812_222_319_753_539, 0.338_714_269_088_323, 0.067_632_151_488_829],
        1e-10,
    );
    check(
        &log_log.map(|e| e.high),
        &[0.902_310_180_515_043, 0.478_380_767_646_914, 0.177_825_199_700_287],
        1e-10,
    );
}

#[test]
fn log_rank_tests_are_rs() {
    let Some(table) = Table::read("survival", "lung.csv") else { return };
    let rows = table.numbers(["time", "status", "sex"]);
    let by_sex =
        rows.iter().map(|[time, status, sex]| (u32::from(*sex > 1.5), follow_up(*time, *status > 1.5)));
    let sums = LogRankSums::of(&count(by_sex), 0.0).unwrap();
    check(&sums.expected, &[91.581_739_029_572_8, 73.418_260_970_427_2], 1e-10);
    check(&[sums.test().unwrap().chi_square], &[10.326_741_954_885_63], 1e-10);

    let rows = table.numbers(["time", "status", "ph.ecog"]);
    let by_ecog = rows.iter().filter(|row| row[2] < 3.0).map(|[time, status, ecog]| {
        let group = u32::from(*ecog > 0.5) + u32::from(*ecog > 1.5);
        (group, follow_up(*time, *status > 1.5))
    });
    let test = LogRankSums::of(&count(by_ecog), 0.0).unwrap().test().unwrap();
    check(&[test.chi_square, test.p_value], &[18.012_096_694_698_17, 0.000_122_665_631_501_063], 1e-9);
    assert_eq!(test.freedom, 2);
}

#[test]
fn a_log_rank_test_stratified_by_site_is_a_sum_over_sites() {
    let Some(table) = Table::read("survival", "lung.csv") else { return };
    let rows = table.numbers(["time", "status", "sex", "inst"]);
    let mut sites = BTreeMap::<String, [Vec<Survival>; 2]>::new();
    for [time, status, sex, inst] in rows {
        let patient = follow_up(time, status > 1.5);
        sites.entry(inst.to_string()).or_default()[usize::from(sex > 1.5)].push(patient);
    }
    let of_site = |groups: &[Vec<Survival>; 2]| {
        LogRankSums::of(&[days().count(&groups[0]), days().count(&groups[1])], 0.0).unwrap()
    };
    let sums = sites.values().map(of_site).reduce(|a, b| a.and(&b).unwrap()).unwrap();
    check(&[sums.test().unwrap().chi_square], &[8.524_467_363_323_174], 1e-10);
}
