//! The report of an audit in words.

use std::io::{self, Write};

use fedtwin_attack::claim::ClaimedCost;
use fedtwin_attack::membership::Inference;
use fedtwin_attack::report::{AttackReport, Control, Finding, RecordsUsed};

/// Writes what was found, for hospital IT and an auditor to read.
pub(super) fn write(out: &mut impl Write, report: &AttackReport) -> io::Result<()> {
    let records = match &report.records {
        RecordsUsed::Synthetic => "invented records".to_owned(),
        RecordsUsed::Cohort(name) => format!("cohort {name}"),
    };
    writeln!(out, "attacks on study {} with {records}", report.study)?;
    match &report.claim {
        None => writeln!(out, "claim       none: the plan adds no noise")?,
        Some(claim) => writeln!(out, "claim       {}", price(claim))?,
    }
    part(out, "canaries", &report.canaries, |out, found| {
        writeln!(
            out,
            "mu is at least {:.3}, epsilon at least {:.3}, or {:.3} by the bound of one run; claimed for {}",
            found.bounds.mu,
            found.epsilon_low,
            found.epsilon_low_one_run,
            price(&found.claim)
        )?;
        controls(out, &found.controls)
    })?;
    part(out, "neighbours", &report.neighbours, |out, found| {
        let pairs = found.cohorts.pairs + found.releases.pairs;
        let beyond = found.cohorts.too_far + found.releases.too_far;
        let dependent = found.cohorts.dependent + found.releases.dependent;
        let failed = found.cohorts.failed + found.releases.failed;
        let largest = found.cohorts.largest.max(found.releases.largest);
        writeln!(
            out,
            "of {pairs} pairs {beyond} beyond the clip, {dependent} with patients who depend on each other, {failed} of which \
             one had no answer; at most {largest:.4} of the clip"
        )?;
        controls(out, &found.controls)
    })?;
    part(out, "sampling", &report.sampling, |out, found| {
        let found_words = if found.holds { "Poisson samples" } else { "no Poisson samples" };
        writeln!(out, "{found_words}, by {} of them", found.statistics.samples)?;
        controls(out, &found.controls)
    })?;
    part(out, "attempts", &report.attempts, |out, found| {
        writeln!(
            out,
            "{} of {} values of the noise of two attempts are equal",
            found.shared.equal, found.shared.values
        )?;
        controls(out, &found.controls)
    })?;
    part(out, "membership", &report.membership, |out, found| {
        writeln!(out, "{} patients, {} shadow models", found.patients, found.models)?;
        inferences(out, "without noise", &found.without_noise)?;
        inferences(out, "with the plan's", &found.with_noise)
    })?;
    part(out, "inversion", &report.inversion, |out, found| {
        let bare = &found.without_noise;
        writeln!(out, "correlation with the record {:.3} without noise", bare.correlation)?;
        match &found.with_noise {
            None => Ok(()),
            Some(noised) => writeln!(
                out,
                "            {:.3} [{:.3}, {:.3}] from {} releases with the plan's noise",
                noised.correlation, noised.low, noised.high, found.steps
            ),
        }
    })?;
    for finding in &report.findings {
        writeln!(out, "FOUND       {finding}")?;
    }
    Ok(())
}

fn part<W: Write, T>(
    out: &mut W,
    name: &str,
    outcome: &Finding<T>,
    say: impl FnOnce(&mut W, &T) -> io::Result<()>,
) -> io::Result<()> {
    write!(out, "{name:<12}")?;
    match outcome {
        Finding::Done(found) => say(out, found),
        Finding::Skipped(why) => writeln!(out, "skipped: {why}"),
    }
}

fn price(claim: &ClaimedCost) -> String {
    format!(
        "{} steps: mu {:.3}, epsilon {:.3} at delta {:e}",
        claim.steps, claim.mu, claim.epsilon, claim.delta
    )
}

fn controls(out: &mut impl Write, controls: &[Control]) -> io::Result<()> {
    for control in controls {
        let caught = if control.caught { "caught" } else { "NOT caught: this attack says nothing here" };
        writeln!(out, "            control, {}: {caught}", control.bug)?;
    }
    Ok(())
}

fn inferences(out: &mut impl Write, noise: &str, found: &[Inference]) -> io::Result<()> {
    for inference in found {
        let Some(point) = inference.points.first() else { continue };
        writeln!(
            out,
            "            {noise}, {:?} {:?}: {:.1} % [{:.1}, {:.1}] found at {:.1} % false alarms",
            inference.variant,
            inference.whom,
            100.0 * point.true_positives.value,
            100.0 * point.true_positives.low,
            100.0 * point.true_positives.high,
            100.0 * point.false_positives.value
        )?;
    }
    Ok(())
}
