//! What the agent tells the hospital's IT of its budgets.

use std::io::{self, Write};

use fedtwin_privacy::ledger::{Amount, CAP_AND_SPEND, CohortReport};

/// Writes what is spent, reserved and left.
///
/// # Errors
/// Fails where `out` does.
pub fn write(out: &mut dyn Write, report: &[CohortReport], json: bool) -> anyhow::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, report)?;
        writeln!(out)?;
    } else if report.is_empty() {
        writeln!(out, "no budgets: open one with `fedtwin-site budget propose`")?;
    } else {
        report.iter().try_for_each(|cohort| write_cohort(out, cohort))?;
        writeln!(out, "{CAP_AND_SPEND}")?;
    }
    Ok(())
}

fn write_cohort(out: &mut dyn Write, report: &CohortReport) -> io::Result<()> {
    writeln!(out, "cohort {}: {}", report.cohort, report.headline())?;
    let mut write_amounts = |what: &str, amounts: [Amount; 4]| {
        let [budget, spent, reserved, left] = amounts.map(|amount| amount.epsilon);
        writeln!(out, "  {what:<9} cap {budget:.4}, spent {spent:.4}, reserved {reserved:.4}, left {left:.4}")
    };
    for budget in &report.budgets {
        let amounts = [budget.total, budget.spent, budget.reserved, budget.left];
        write_amounts(&budget.purpose.to_string(), amounts)?;
    }
    if report.budgets.len() > 1 {
        write_amounts("together", [report.total, report.spent, report.reserved, report.left])?;
    }
    if let Some((kind, delta)) = report.terms() {
        writeln!(out, "  at delta {delta}; {kind} adds up, epsilons do not")?;
    }
    for study in &report.studies {
        let stage = format!("{:?}", study.stage).to_lowercase();
        let spent = if study.is_unbounded() {
            "unbounded".to_owned()
        } else {
            format!("epsilon {:.4} spent, {:.4} reserved", study.spent.epsilon, study.reserved.epsilon)
        };
        writeln!(out, "  study {}: {spent}, {} releases, {stage}", study.study, study.releases)?;
    }
    Ok(())
}
