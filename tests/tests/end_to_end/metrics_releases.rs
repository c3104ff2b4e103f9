//! Metrics as releases, over whole studies: noised, paid for, pooled, and nothing else.

use std::fs::{self, File};
use std::io::BufReader;

use fedtwin_audit_log::{PublicKey, entries};
use fedtwin_coordinator::record::Record;
use fedtwin_plan::histogram::Histogram;
use fedtwin_proto::domain::{Event, MetricsReleased};
use fedtwin_research::study::metrics::estimates;
use fedtwin_tests::relay::Relay;
use fedtwin_tests::script::{Behaviour, Script, predictions};
use fedtwin_tests::testbed::{SiteTerms, Testbed, in_time, until};
use fedtwin_tests::vector_study::{C_INT, VectorMetrics, VectorModel, VectorPrivacy, VectorStudy};
use fedtwin_tests::watch::Watch;
use fedtwin_trainer::report::{Report, RiskReport};

/// Two rounds with metrics after each; the noise of a site's count is half a patient.
fn measured(testbed: &Testbed) -> VectorStudy {
    VectorStudy {
        family: VectorModel::LinearRisk,
        privacy: VectorPrivacy::Local { noise_multiplier: 8, epsilon: 2.0 },
        metrics: Some(VectorMetrics { every_rounds: 1, c_int: 1 << 21, releases: 2, epsilon: 40.0 }),
        ..VectorStudy::new("measured", &testbed.sites)
    }
}

/// The true counts of a scripted site.
fn counts(number: u32) -> Vec<i64> {
    let report = Report::Risk(RiskReport { intercept: 0.0, rows: predictions(number) });
    report
        .counts(Histogram::Risk)
        .into_iter()
        .map(|count| i64::try_from(count).expect("so few patients"))
        .collect()
}

fn released(watch: &Watch) -> Vec<MetricsReleased> {
    let events = watch.seen.iter().map(|event| &event.event);
    let released = events.filter_map(|event| match event {
        Event::MetricsReleased(released) => Some(released.clone()),
        Event::SiteAnswered { .. }
        | Event::AttemptStarted { .. }
        | Event::UpdateReceived { .. }
        | Event::SiteFailed { .. }
        | Event::AttemptFailed { .. }
        | Event::AttemptClosed { .. }
        | Event::StudyClosed(_) => None,
    });
    released.collect()
}

/// Starts sites with a budget for metrics of this epsilon, or with none.
fn start(sites: usize, metrics_epsilon: Option<f64>) -> anyhow::Result<Testbed> {
    let mut testbed = Testbed::start(sites)?;
    for number in 0..sites {
        testbed.start_site(number, &SiteTerms { metrics_epsilon, ..SiteTerms::good(number) })?;
    }
    Ok(testbed)
}

#[tokio::test(flavor = "multi_thread")]
async fn pooled_metrics_are_the_true_counts_and_the_noise_that_was_paid_for() {
    in_time(async {
        let testbed = start(2, Some(80.0))?;
        let mut watch = testbed.open(&measured(&testbed)).await?;
        watch.finished().await?;
        let truth: Vec<_> = counts(0).iter().zip(counts(1)).map(|(a, b)| a + b).collect();
        let all = released(&watch);
        assert_eq!(all.iter().map(|one| one.round).collect::<Vec<_>>(), [1, 2]);
        let mut squares = 0.0;
        for one in &all {
            assert_eq!((&one.sites, one.histogram), (&testbed.sites, Histogram::Risk));
            for (found, &exact) in one.patients().iter().zip(&truth) {
                #[expect(clippy::cast_precision_loss, reason = "a number of patients")]
                let error = found - exact as f64;
                assert!(error.abs() < 6.0 * 0.5 * 2_f64.sqrt(), "{found} is not about {exact}");
                squares += error * error;
            }
            let scores = estimates(one, one.site_noise() * 2_f64.sqrt());
            assert!(scores.iter().all(|(_, estimate)| estimate.is_some()), "{scores:?}");
        }
        // Eighty errors of variance 1/2: chi-square is between 36 and 143 but for two runs in 100,000.
        assert!((36.0..143.0).contains(&(squares * 2.0)), "{squares}");
        assert_ne!(all[0].counts, all[1].counts, "each release has noise of its own");

        let key = PublicKey(*testbed.credentials("coordinator")?.identity_key().public().as_bytes());
        let log = File::open(testbed.folder().join("coordinator/audit.log"))?;
        let (records, _summary) = entries::<Record>(BufReader::new(log), &key)?;
        let logged = records.iter().filter_map(|entry| match &entry.body {
            Record::MetricsReleased { counts, .. } => Some(counts),
            Record::StudyOpened { .. }
            | Record::SiteAnswered { .. }
            | Record::AttemptStarted { .. }
            | Record::AttemptClosed { .. }
            | Record::StudyClosed { .. }
            | Record::Refused { .. } => None,
        });
        assert!(logged.eq(all.iter().map(|one| &one.counts)));
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_without_a_budget_are_refused_before_the_trainer_is_asked() {
    in_time(async {
        for epsilon in [None, Some(5.0)] {
            let testbed = start(1, epsilon)?;
            let mut watch = testbed.open(&measured(&testbed)).await?;
            let refused = watch
                .wait_for(|event| match event {
                    Event::SiteAnswered { refused, .. } => refused.clone(),
                    Event::AttemptStarted { .. }
                    | Event::UpdateReceived { .. }
                    | Event::SiteFailed { .. }
                    | Event::AttemptFailed { .. }
                    | Event::AttemptClosed { .. }
                    | Event::MetricsReleased(_)
                    | Event::StudyClosed(_) => None,
                })
                .await?;
            assert!(refused.contains("budget"), "{refused}");
            assert!(!testbed.trainer_was_loaded(0));
            let ledger = fs::read_to_string(testbed.site_folder(0).join("state/ledger.log"))?;
            assert!(ledger.contains("\"entry\":\"study-refused\"") && !ledger.contains("study-reserved"));
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_count_nor_a_score_is_on_the_wire_without_noise() {
    in_time(async {
        let rows = predictions(0);
        let predicted = rows.iter().map(|row| (row.global.unwrap(), row.outcome));
        let auroc = auroc(&predicted.collect::<Vec<_>>());
        // The control sends the planted score's bytes as its update: the capture shows them.
        for (behaviour, expected) in [(Behaviour::Good, false), (Behaviour::Leaks, true)] {
            let mut testbed = Testbed::start(1)?;
            let (coordinator, site) = (testbed.credentials("coordinator")?, testbed.credentials("site-0")?);
            let relay = Relay::start(&coordinator, &site, testbed.federation.address()).await?;
            let script = Script { behaviour, intercept: auroc, ..Script::good(0) };
            let terms = SiteTerms { script, metrics_epsilon: Some(80.0), ..SiteTerms::good(0) };
            testbed.start_site_at(0, &terms, relay.address)?;
            // An agent refuses sums longer than its patients can make: the leak needs room for 32 bits.
            let roomy = [
                (format!("c_int = {C_INT}"), "c_int = 33554432"),
                ("modulus_bits = 32".into(), "modulus_bits = 40"),
            ];
            let roomy = roomy.map(|(from, to): (String, _)| (from, to.to_owned())).to_vec();
            let (privacy, changes) = match behaviour {
                Behaviour::Leaks => (VectorPrivacy::None, roomy),
                Behaviour::Good
                | Behaviour::Fails
                | Behaviour::Hangs
                | Behaviour::HangsOnce
                | Behaviour::ScoresAlone => {
                    (VectorPrivacy::Local { noise_multiplier: 8, epsilon: 2.0 }, Vec::new())
                }
            };
            let study = VectorStudy { privacy, changes, ..measured(&testbed) };
            testbed.open(&study).await?.finished().await?;
            let mirror = testbed.folder().join("coordinator/ledgers/site-0.log");
            until(|| fs::read_to_string(&mirror).is_ok_and(|text| text.contains("study-closed"))).await;
            let capture = relay.capture();

            let bytes = |counts: &[i64], unit: i64| -> Vec<u8> {
                counts.iter().flat_map(|count| (count * unit).to_le_bytes()).collect()
            };
            let stored = testbed.site_folder(0).join("state/studies/measured/metrics-release");
            assert!(capture.holds(&fs::read(stored)?), "what was released did pass");
            #[expect(
                clippy::cast_possible_truncation,
                reason = "what the control leaks is of single precision"
            )]
            let single = (auroc as f32).to_le_bytes();
            assert_eq!(capture.holds(&single), expected, "{behaviour:?}");
            assert!(!capture.holds(&auroc.to_le_bytes()), "{behaviour:?}");
            // Three counts in a row do not come about by chance, in patients or in the plan's units.
            for (place, window) in counts(0).windows(3).enumerate() {
                for unit in [1, 1 << 21] {
                    let shown = window.iter().any(|&count| count != 0) && capture.holds(&bytes(window, unit));
                    assert!(!shown, "the exact counts from cell {place} on passed");
                }
            }
            let digits = format!("{auroc:?}");
            assert!(!capture.holds(&digits.as_bytes()[..8]), "the score passed as text");
        }
        Ok(())
    })
    .await;
}

/// The share of pairs that are ranked right.
fn auroc(predictions: &[(f64, bool)]) -> f64 {
    let (mut wins, mut pairs) = (0.0, 0.0);
    for (high, _) in predictions.iter().filter(|(_, outcome)| *outcome) {
        for (low, _) in predictions.iter().filter(|(_, outcome)| !outcome) {
            pairs += 1.0;
            wins += if high > low { 1.0 } else { 0.0 };
        }
    }
    wins / pairs
}
