//! Whether those predicted at higher risk have the event sooner.

use crate::fenwick::Fenwick;
use crate::survival::{Curve, SurvivalPrediction, ranks};

/// Pairs of patients, by how their risks and their times compare.
///
/// A pair is admissible if one had the event at a time when the other was under observation and without it: entered
/// before, and observed longer, or censored at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Concordance {
    /// Admissible pairs in which the patient with the earlier event had the higher risk.
    pub concordant: u64,
    /// Admissible pairs in which it had the lower risk.
    pub discordant: u64,
    /// Admissible pairs with the same risk.
    pub tied_risk: u64,
    /// Pairs with events at the same time, which are not admissible, whatever their risks.
    pub tied_time: u64,
}

impl Concordance {
    /// Returns Harrell's C (Harrell et al. 1982) in [0, 1]: the share of admissible pairs that are concordant, the same
    /// risk counting half; `None` without an admissible pair.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio of counts, rounded once")]
    pub fn c_index(&self) -> Option<f64> {
        let pairs = self.concordant + self.discordant + self.tied_risk;
        (pairs > 0).then(|| (2 * self.concordant + self.tied_risk) as f64 / (2 * pairs) as f64)
    }
}

/// Counts pairs as R's `concordance` and scikit-survival's `concordance_index_censored` do; `None` where a risk is not a
/// number.
///
/// `tied_time` is the sum of R's `tied.y` and `tied.xy`. scikit-survival takes risks within 1e-8 of each other for the
/// same, so that a hazard per second has C = 0.5 there; here risks are compared exactly, and any increasing function of
/// them gives the same counts. Patients who entered late are in no pair with events before.
///
/// In O(n log n) for n patients.
#[must_use]
pub fn concordance(predictions: &[SurvivalPrediction]) -> Option<Concordance> {
    let mut total = Concordance::default();
    for_each_event(predictions, |_, pairs| {
        total.concordant += pairs.concordant;
        total.discordant += pairs.discordant;
        total.tied_risk += pairs.tied_risk;
        total.tied_time += pairs.tied_time;
    })?;
    // Each of the two had its turn.
    total.tied_time /= 2;
    Some(total)
}

/// Returns Uno's C (Uno et al. 2011) in [0, 1], of events before `horizon`.
///
/// Harrell's with each admissible pair weighed by G(t-)^-2 for its event's time t: `censoring` is the curve G of not
/// being censored, from a pooled table. The limit from the left, since who is censored at t was observed until t; R's
/// `concordance(timewt = "n/G2")` takes it too. scikit-survival takes G(t), which differs where an event and a censoring
/// have the same time. `None` without an admissible pair, where G(t-) is 0, where a risk is not a number, or where a
/// patient entered late.
#[must_use]
pub fn uno_c(predictions: &[SurvivalPrediction], censoring: &Curve, horizon: f64) -> Option<f64> {
    if predictions.iter().any(|p| !p.observed.is_from_start()) {
        return None;
    }
    let (mut wins, mut weights, mut is_defined) = (0.0, 0.0, true);
    for_each_event(predictions, |time, pairs| {
        let admissible = pairs.concordant + pairs.discordant + pairs.tied_risk;
        if time >= horizon || admissible == 0 {
            return;
        }
        let uncensored = censoring.before(time);
        is_defined &= uncensored > 0.0;
        let weight = uncensored.powi(2).recip();
        #[expect(clippy::cast_precision_loss, reason = "a cohort is far below 2^52")]
        {
            wins += weight * (2 * pairs.concordant + pairs.tied_risk) as f64 / 2.0;
            weights += weight * admissible as f64;
        }
    })?;
    (is_defined && weights > 0.0).then(|| wins / weights)
}

/// Shows the time of each event, latest first, with the pairs that it is the earlier of; `None` where a risk is not a
/// number. Pairs tied in time are shown with both of their events.
fn for_each_event(predictions: &[SurvivalPrediction], mut show: impl FnMut(f64, Concordance)) -> Option<()> {
    let ranks = ranks(predictions)?;
    let observed = |i: usize| predictions[i].observed;
    let mut by_end: Vec<_> = (0..predictions.len()).collect();
    by_end.sort_by(|&a, &b| observed(b).time().total_cmp(&observed(a).time()));
    let mut by_entry: Vec<_> = (0..predictions.len()).collect();
    by_entry.sort_by(|&a, &b| observed(b).entry().total_cmp(&observed(a).entry()));
    let mut by_entry = by_entry.into_iter().peekable();
    // The ranks of those under observation at a time and without an event by then.
    let mut outlived_by = Fenwick::new(predictions.len());
    let mut held = 0;
    for tied in by_end.chunk_by(|&a, &b| observed(a).time().total_cmp(&observed(b).time()).is_eq()) {
        let time = observed(tied[0]).time();
        let (events, censored): (Vec<usize>, Vec<usize>) =
            tied.iter().copied().partition(|&i| observed(i).event());
        for &i in &censored {
            outlived_by.add(ranks[i]);
        }
        held += censored.len() as u64;
        // Who enters at the time or later ends later still, and was added.
        while let Some(i) = by_entry.next_if(|&i| !observed(i).entered_before(time)) {
            outlived_by.remove(ranks[i]);
            held -= 1;
        }
        for &i in &events {
            let concordant = outlived_by.below(ranks[i]);
            let tied_risk = outlived_by.below(ranks[i] + 1) - concordant;
            let tied_time = events.len() as u64 - 1;
            show(
                time,
                Concordance { concordant, discordant: held - concordant - tied_risk, tied_risk, tied_time },
            );
        }
        for &i in &events {
            outlived_by.add(ranks[i]);
        }
        held += events.len() as u64;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survival::Survival;
    use crate::survival::samples::predictions;

    #[test]
    fn pairs_are_counted_as_by_hand() {
        // The event at 1 outranks 3 and 4 and ties with the event at 2; the event at 2 outranks the censored at 2
        // and the one at 4, and not the one at 3.
        let rows = predictions(&[
            (1.0, true, 0.5),
            (2.0, true, 0.5),
            (2.0, false, 0.1),
            (3.0, true, 0.9),
            (4.0, false, 0.2),
        ]);
        let counts = concordance(&rows).unwrap();
        let expected = Concordance { concordant: 5, discordant: 2, tied_risk: 1, tied_time: 0 };
        assert_eq!((counts, counts.c_index()), (expected, Some(5.5 / 8.0)));
    }

    #[test]
    fn events_at_one_time_are_no_admissible_pair() {
        let counts = concordance(&predictions(&[(1.0, true, 0.1), (1.0, true, 0.9)])).unwrap();
        assert_eq!((counts.tied_time, counts.c_index()), (1, None));
    }

    #[test]
    fn without_an_admissible_pair_there_is_no_score() {
        let flat = Curve::new(vec![]).unwrap();
        for rows in [&[][..], &[(1.0, true, 0.5)], &[(1.0, false, 0.5), (2.0, true, 0.5)]] {
            let rows = predictions(rows);
            assert_eq!((concordance(&rows).unwrap().c_index(), uno_c(&rows, &flat, 9.0)), (None, None));
        }
        let rows = predictions(&[(1.0, true, f64::NAN), (2.0, true, 0.5)]);
        assert_eq!((concordance(&rows), uno_c(&rows, &flat, 9.0)), (None, None));
    }

    #[test]
    fn the_unit_of_a_risk_does_not_matter() {
        let per_day = [(1.0, true, 0.03), (2.0, true, 0.02), (3.0, false, 0.01), (4.0, true, 0.015)];
        let per_second = per_day.map(|(time, event, risk)| (time, event, risk / 86_400_000.0));
        assert_eq!(concordance(&predictions(&per_day)), concordance(&predictions(&per_second)));
    }

    #[test]
    fn an_event_counts_by_the_chance_to_be_seen_and_before_the_horizon_alone() {
        let rows = predictions(&[(1.0, true, 0.9), (2.0, true, 0.1), (3.0, false, 0.5), (4.0, false, 0.5)]);
        let censoring = Curve::new(vec![(1.0, 0.5)]).unwrap();
        let close = |score: Option<f64>, expected: f64| assert!((score.unwrap() - expected).abs() < 1e-12);
        // Three pairs of weight 1; two lost ones of weight 4, since half are left at 2.
        close(uno_c(&rows, &censoring, 3.0), 3.0 / 11.0);
        close(uno_c(&rows, &censoring, 2.0), 1.0);
        assert_eq!(uno_c(&rows, &censoring, 1.0), None);
        let gone = Curve::new(vec![(1.5, 0.0)]).unwrap();
        assert_eq!(uno_c(&rows, &gone, 3.0), None, "an event that could not be seen");
        close(uno_c(&rows, &gone, 1.5), 1.0);
    }

    #[test]
    fn who_entered_late_is_in_no_pair_with_earlier_events() {
        let mut rows = predictions(&[(1.0, true, 0.1), (5.0, true, 0.9)]);
        rows[1].observed = Survival::new(1.0, 5.0, true).unwrap();
        assert_eq!(concordance(&rows).unwrap(), Concordance::default());
        assert_eq!(uno_c(&rows, &Curve::new(vec![]).unwrap(), 9.0), None);
        rows[1].observed = Survival::new(0.5, 5.0, true).unwrap();
        assert_eq!(concordance(&rows).unwrap().c_index(), Some(0.0));
    }
}
