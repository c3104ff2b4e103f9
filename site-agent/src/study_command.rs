//! `fedtwin-site study`: list the studies in the ledger, and close one that nobody will end any more.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use fedtwin_daemon::clock;
use fedtwin_plan::StudyId;
use fedtwin_privacy::ledger::{Remark, Stage};

use crate::budget_command::Place;
use crate::closings::{Closing, Closings};

/// What to do about studies.
#[derive(Debug, Subcommand)]
pub enum StudyAction {
    /// List all studies of the ledger: cohort, how far they are, what they have set aside and used up.
    List,
    /// Close a study here: what it never began is given back. What it has released stays spent.
    Close(Close),
}

/// A study to close.
#[derive(Debug, Args)]
pub struct Close {
    /// The study, by its plan's `study.id`.
    study: StudyId,
    /// Who closes it.
    #[arg(long)]
    who: Remark,
    /// Why, in the words of whoever decided.
    #[arg(long)]
    why: Remark,
}

/// Runs the command and writes to `out` what there is to say.
///
/// # Errors
/// Refuses a study that is not running.
pub fn run(place: Place<'_>, action: StudyAction, out: &mut dyn Write) -> anyhow::Result<()> {
    match action {
        StudyAction::List => list(place, out),
        StudyAction::Close(Close { study, who, why }) => close(place, &Closing { study, who, why }, out),
    }
}

fn list(place: Place<'_>, out: &mut dyn Write) -> anyhow::Result<()> {
    for cohort in place.ledger()?.report() {
        for study in &cohort.studies {
            writeln!(
                out,
                "{}: cohort {}, {}, epsilon {:.4} reserved, {} attempts used, {} of them without a release",
                study.study,
                cohort.cohort,
                format!("{:?}", study.stage).to_lowercase(),
                study.reserved.epsilon,
                study.attempts,
                study.failed,
            )?;
        }
    }
    Ok(())
}

fn close(place: Place<'_>, closing: &Closing, out: &mut dyn Write) -> anyhow::Result<()> {
    let study = &closing.study;
    let report = place.ledger()?.report();
    let known = report.iter().flat_map(|cohort| &cohort.studies).find(|known| known.study == *study);
    match known
        .with_context(|| format!("the ledger has no study {study}: see `fedtwin-site study list`"))?
        .stage
    {
        Stage::Reserved | Stage::Running => {}
        Stage::Committed | Stage::Aborted => bail!("study {study} is closed already"),
    }
    let now = clock::now();
    let ledger = place.open_ledger(now)?;
    let closings = Closings::of(&place.state());
    closings.ask(closing)?;
    let Some(mut ledger) = ledger else {
        return Ok(writeln!(
            out,
            "the running agent closes it before it begins an attempt or considers a study, or when it next connects"
        )?);
    };
    closings.enter(&mut ledger, now)?;
    Ok(writeln!(out, "closed; what it never began is given back: see `fedtwin-site budget`")?)
}
