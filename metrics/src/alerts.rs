//! Alerts before an event, at a rate that a ward can bear.

/// One patient who is scored again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    /// Each score with its time, in the caller's unit.
    pub scores: Vec<(f64, f64)>,
    /// When the event was, if there was one. Scores from then on do not count.
    pub event: Option<f64>,
}

/// What alerts there are if every score from a threshold on gives one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alerts {
    /// The lowest score that gives an alert; `None` if none may.
    pub threshold: Option<f64>,
    /// The share of scores that give one, in [0, 1], at most the rate that was allowed.
    pub rate: f64,
    /// The share of patients with an event who had an alert before it, in [0, 1]; `None` without one with an event.
    pub sensitivity: Option<f64>,
    /// The median time from the first alert to the event, of those who had both; the mean of the middle two if their
    /// number is even. `None` if nobody had.
    pub lead_time_median: Option<f64>,
}

/// Returns the alerts of the lowest threshold with which at most the share `rate_max` of all scores give one.
///
/// Equal scores give an alert together or not at all, so that the rate is below the allowed one rather than above.
/// `None` without scores that count, or where one of them or the rate is not a number.
#[must_use]
pub fn alerts_at_rate(watches: &[Watch], rate_max: f64) -> Option<Alerts> {
    let counts = |watch: &Watch, time: f64| watch.event.is_none_or(|event| time < event);
    let scores = watches.iter().flat_map(|watch| {
        watch.scores.iter().filter(|&&(time, _)| counts(watch, time)).map(|&(_, score)| score + 0.0)
    });
    let mut scores: Vec<_> = scores.collect();
    if scores.is_empty() || rate_max.is_nan() || scores.iter().any(|score| score.is_nan()) {
        return None;
    }
    scores.sort_by(|a, b| b.total_cmp(a));
    let (mut threshold, mut given) = (None, 0);
    for tied in scores.chunk_by(|a, b| a.total_cmp(b).is_eq()) {
        if share(given + tied.len(), scores.len()) > rate_max {
            break;
        }
        given += tied.len();
        threshold = Some(tied[0]);
    }
    let first_alert = |watch: &Watch| {
        let of_scores = watch.scores.iter().filter(|&&(time, score)| {
            counts(watch, time) && threshold.is_some_and(|threshold| score >= threshold)
        });
        of_scores.map(|&(time, _)| time).min_by(f64::total_cmp)
    };
    let with_event: Vec<_> = watches.iter().filter_map(|watch| Some((watch.event?, watch))).collect();
    let mut leads: Vec<_> =
        with_event.iter().filter_map(|&(event, watch)| Some(event - first_alert(watch)?)).collect();
    let sensitivity = (!with_event.is_empty()).then(|| share(leads.len(), with_event.len()));
    Some(Alerts {
        threshold,
        rate: share(given, scores.len()),
        sensitivity,
        lead_time_median: median(&mut leads),
    })
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[expect(clippy::cast_precision_loss, reason = "a count of scores is far below 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn watch(scores: &[(f64, f64)], event: Option<f64>) -> Watch {
        Watch { scores: scores.to_vec(), event }
    }

    #[test]
    fn the_first_alert_before_the_event_counts() {
        let watches = [
            watch(&[(0.0, 0.1), (1.0, 0.9), (2.0, 0.8), (6.0, 1.0)], Some(5.0)),
            watch(&[(0.0, 0.2), (1.0, 0.3)], Some(2.0)),
            watch(&[(0.0, 0.2), (1.0, 0.3), (2.0, 0.1)], None),
        ];
        // Eight scores count; that after the event does not.
        let found = alerts_at_rate(&watches, 0.25).unwrap();
        let expected =
            Alerts { threshold: Some(0.8), rate: 0.25, sensitivity: Some(0.5), lead_time_median: Some(4.0) };
        assert_eq!(found, expected);
        // At one half the two 0.3 come in together: a lead of 1 for the second.
        let found = alerts_at_rate(&watches, 0.5).unwrap();
        assert_eq!((found.sensitivity, found.lead_time_median), (Some(1.0), Some(2.5)));
    }

    #[test]
    fn equal_scores_never_exceed_the_rate() {
        let watches = [watch(&[(0.0, 0.5), (1.0, 0.5), (2.0, 0.1)], Some(3.0))];
        let found = alerts_at_rate(&watches, 0.5).unwrap();
        let expected = Alerts { threshold: None, rate: 0.0, sensitivity: Some(0.0), lead_time_median: None };
        assert_eq!(found, expected);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..100 {
            let scores: Vec<_> =
                (0..50_u8).map(|t| (f64::from(t), f64::from(rng.random_range(0..12_u8)))).collect();
            let found = alerts_at_rate(&[watch(&scores, None)], 0.05).unwrap();
            assert!(found.rate <= 0.05, "{found:?}");
            // The next lower threshold would exceed it.
            let below = scores.iter().map(|s| s.1).filter(|&s| found.threshold.is_none_or(|at| s < at));
            let next = below.max_by(f64::total_cmp).unwrap();
            let given = scores.iter().filter(|s| s.1 >= next).count();
            assert!(share(given, 50) > 0.05);
        }
    }

    #[test]
    fn without_scores_or_events_there_is_nothing_to_say() {
        assert_eq!(alerts_at_rate(&[], 0.05), None);
        assert_eq!(alerts_at_rate(&[watch(&[(2.0, 0.5)], Some(1.0))], 0.05), None);
        assert_eq!(alerts_at_rate(&[watch(&[(0.0, f64::NAN)], None)], 0.05), None);
        let found = alerts_at_rate(&[watch(&[(0.0, 0.5)], None)], 1.0).unwrap();
        assert_eq!((found.threshold, found.sensitivity), (Some(0.5), None));
    }
}
