//! Two cohorts that differ in one patient look the same from outside, over generated plans, records and notices.
//!
//! The real session with a real ledger, the real core of a study, real local training and counting run in simulated
//! time with a scripted trainer; under secure aggregation, so are the other sites' and the coordinator's halves of the
//! protocol. What leaves is compared with what leaves a site that has no patients and is told only
//! how each attempt ends: as an update or not, after how many slots. So nothing else depends on patients; and how an
//! attempt ends may be another in both cohorts at most as often as attempts may come to nothing, or be slower.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod peers;
mod run;
mod schedule;
mod site;
mod trainer;
mod world;

use std::time::Duration;

use fedtwin_privacy::ledger::FAILURES_MAX;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use self::run::{Cohort, Seen, run};
use self::schedule::{Schedule, schedule};
use self::site::DEADLINE_S;
use self::trainer::Odd;

/// Something that an agent did, or could have done, wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The decline says what failed.
    TellingDecline,
    /// A failure is told when it happens.
    FailureAtOnce,
    /// An attempt that failed is not used up.
    FailureCostsNothing,
    /// The slot begins when the work is done.
    MovedGrid,
    /// The plan is answered once the cohort is loaded.
    AnswerAfterLoading,
    /// A score that is no number counts as a failure.
    NoNumberDeclines,
}

/// Says what is wrong with a schedule's two runs.
fn check(schedule: &Schedule, fault: Option<Fault>) -> Result<(), String> {
    let [odd, null] = [schedule.odd, Odd::Null].map(|odd| run(schedule, &Cohort::Patients(odd), fault));
    for seen in [&odd, &null] {
        sound(schedule, seen)?;
        let nobody = run(schedule, &Cohort::Nobody(seen.left.clone()), fault);
        same("a cohort and no cohort", seen, &nobody)?;
    }
    // A record that a trainer counts as zero changes nothing at all.
    if odd.left == null.left || schedule.odd == Odd::NotANumber {
        same("two cohorts", &odd, &null)?;
    }
    Ok(())
}

fn same(what: &str, one: &Seen, other: &Seen) -> Result<(), String> {
    for (one, other) in one.messages.iter().zip(&other.messages) {
        if one != other {
            return Err(format!("{what} differ: {one:?} and {other:?}"));
        }
    }
    if (one.messages.len(), &one.ledger) != (other.messages.len(), &other.ledger) {
        return Err(format!("{what} differ in messages' number or ledgers:\n{one:#?}\n{other:#?}"));
    }
    Ok(())
}

/// What holds for each run by itself.
fn sound(schedule: &Schedule, seen: &Seen) -> Result<(), String> {
    let begun = seen.ledger.iter().filter(|line| line.contains(r#""entry":"attempt-begun""#)).count();
    if begun != seen.computed {
        return Err(format!("data was read {} times, {begun} attempts are used up", seen.computed));
    }
    if seen.said.len() > FAILURES_MAX as usize {
        return Err(format!("{} attempts came to nothing", seen.said.len()));
    }
    if let Some(other) = seen.said.iter().find(|said| *said != ONE_TEXT) {
        return Err(format!("a decline says {other:?}"));
    }
    let slot = Duration::from_secs(schedule.terms.slot_s.into());
    let longest = Duration::from_secs(DEADLINE_S.into());
    for (begun, (_, after)) in seen.left.iter().filter(|_| !slot.is_zero()) {
        let mut ends =
            std::iter::successors(Some(slot), |end| (*end < longest).then(|| (*end * 2).min(longest)));
        if !ends.any(|end| end == *after) {
            return Err(format!("{begun:?} left after {after:?}, slots have {slot:?}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_patients_record_shows_in_nothing_but_noise_and_in_whether_an_attempt_is_ready(schedule in schedule()) {
        prop_assert_eq!(check(&schedule, None), Ok(()));
    }
}

fn schedules(count: usize) -> impl Iterator<Item = Schedule> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(move |_| schedule().new_tree(&mut runner).unwrap().current())
}

#[test]
fn each_planted_fault_of_an_attempt_is_noticed() {
    for fault in [
        Fault::TellingDecline,
        Fault::FailureAtOnce,
        Fault::FailureCostsNothing,
        Fault::MovedGrid,
        Fault::AnswerAfterLoading,
        Fault::NoNumberDeclines,
    ] {
        let noticed = schedules(SCHEDULES).filter(|schedule| check(schedule, Some(fault)).is_err());
        let (secure, other): (Vec<_>, Vec<_>) = noticed.partition(|schedule| schedule.terms.is_secure());
        let (secure, other) = (secure.len(), other.len());
        eprintln!("{fault:?}: noticed in {secure} schedules with secure aggregation, {other} without");
        assert!(
            secure > 0 && other > 0,
            "{fault:?} is not noticed: {secure} with secure aggregation, {other}"
        );
    }
}

#[test]
fn generated_schedules_open_sums_and_fail_under_secure_aggregation() {
    let (mut opened, mut failed) = (0, 0);
    for schedule in schedules(SCHEDULES).filter(|schedule| schedule.terms.is_secure()) {
        let seen = run(&schedule, &Cohort::Patients(schedule.odd), None);
        opened += seen.opened;
        failed += seen.said.len();
    }
    eprintln!("{opened} sums opened, {failed} attempts failed after they began");
    assert!(opened >= 10 && failed >= 10, "{opened} sums opened, {failed} attempts failed");
}

const SCHEDULES: usize = 100;
const ONE_TEXT: &str = "the site could not compute its update; its log says why";
