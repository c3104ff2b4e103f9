//! The end of a simulation, for people: what it found, what it cost, and that the ledgers hold.

use std::io::{self, Write};

use fedtwin_daemon::table::Table;
use fedtwin_research::study::report::{Epsilons, Price, PricedPlan};

use crate::arm::ArmOutcome;
use crate::outcome::FinishedStudy;
use crate::results::{Pivot, Row, pivot};

/// Prints one table per study, and what it took.
///
/// # Errors
/// Returns the writer's error.
pub fn print(out: &mut dyn Write, arm: &ArmOutcome, rows: &[Row]) -> io::Result<()> {
    for study in &arm.studies {
        writeln!(out, "\n{} ({})", study.plan.study.title, study.plan.study.id)?;
        write!(out, "{}", figures(study, rows))?;
        costs(out, study)?;
        writeln!(
            out,
            "{} rounds in {:.1} s ({:.1} s with joining and scoring), {:.1} MB of updates, {} rounds without some site",
            study.plan.rounds.count.get(),
            study.training_seconds,
            study.seconds,
            megabytes(study.update_bytes),
            study.incomplete_rounds,
        )?;
    }
    writeln!(
        out,
        "\npeak memory: coordinator {} MB, largest site with its trainer {} MB",
        arm.coordinator_mb, arm.site_mb
    )
}

/// Four metrics: accuracy, AUROC, Brier and ECE of a risk model; overlap, distance, size and missed organs of a
/// segmentation.
fn figures(study: &FinishedStudy, rows: &[Row]) -> Table<6> {
    let Pivot { metrics, lines } = pivot(&study.plan.study.id, rows);
    let metric = |index: usize| metrics.get(index).map_or("", |metric| metric.as_ref());
    let mut table = Table::new(["site", "model", metric(0), metric(1), metric(2), metric(3)]);
    for (site, arm, values) in lines {
        let value = |index: usize| values.get(index).cloned().unwrap_or_default();
        table.row([site, arm.as_str().to_owned(), value(0), value(1), value(2), value(3)]);
    }
    table
}

fn costs(out: &mut dyn Write, study: &FinishedStudy) -> io::Result<()> {
    match PricedPlan::of(&study.plan).map(|report| report.price()) {
        Ok(Price::Unbounded) => writeln!(out, "privacy: none; the sites' totals read `unbounded`")?,
        Ok(Price::Bounded(Epsilons { delta, alone, coordinator, model_users })) => {
            writeln!(
                out,
                "privacy per patient at delta {delta}: epsilon {alone:.4} alone, {coordinator:.4} coordinator \
                 (charged), {model_users:.4} model users"
            )?;
        }
        Err(error) => writeln!(out, "privacy: cannot be stated: {error}")?,
    }
    let mut table = Table::new(["site", "cap", "spent", "reserved", "left", "ledger"]);
    for site in &study.sites {
        let cohort = &site.ledger.cohort;
        let epsilon = |amount: fedtwin_privacy::ledger::Amount| format!("{:.3}", amount.epsilon);
        let (spent, left) = match cohort.unbounded_since {
            Some(_) => (cohort.headline(), "-".to_owned()),
            None => (epsilon(cohort.spent), epsilon(cohort.left)),
        };
        table.row([
            site.site.to_string(),
            epsilon(cohort.total),
            spent,
            epsilon(cohort.reserved),
            left,
            format!("{} entries verified", site.ledger.entries),
        ]);
    }
    write!(out, "{table}")
}

/// Returns bytes in units of 10^6, for people.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
