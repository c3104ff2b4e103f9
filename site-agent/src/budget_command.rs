//! `fedtwin-site budget`: show, propose and confirm. Only people at the site can open or raise a budget.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use fedtwin_audit_log::{LogError, PublicKey, entries};
use fedtwin_certs::{Credentials, LogSigner};
use fedtwin_cohort::CohortFile;
use fedtwin_daemon::clock;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{CohortName, Timestamp};
use fedtwin_privacy::accountant::Order;
use fedtwin_privacy::ledger::body::Protection;
use fedtwin_privacy::ledger::rekey::other_key;
use fedtwin_privacy::ledger::witness::compare;
use fedtwin_privacy::ledger::{
    Body, BudgetKind, CohortReport, Delta, Ledger, LedgerError, LedgerState, Owner, Purpose, Remark,
};

use crate::config::SiteConfig;
use crate::proposals::{Proposal, Proposals};
use crate::session::kept::Kept;
use crate::session::ledger_path;
use crate::{report, state_folder};

/// What to do about budgets; without an action they are shown.
#[derive(Debug, Args)]
pub struct BudgetArguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Propose to open a budget, or to raise the open one; prints a code and what it would allow.
    Propose(Propose),
    /// Confirm a proposal by its code: it goes into the ledger for ever.
    Confirm(Confirm),
}

#[derive(Debug, Args)]
struct Propose {
    /// The cohort, by the name that plans and the site's configuration give it.
    #[arg(long)]
    cohort: CohortName,
    /// What the budget is for.
    #[arg(long, value_enum, default_value = "training")]
    purpose: PurposeName,
    /// What the budget adds up: gdp (mu squared, for most uses) or rdp (Renyi divergence at --order).
    #[arg(long, value_enum, default_value = "gdp")]
    kind: KindName,
    /// The Renyi order of kind rdp, from 1.01 to 1024.
    #[arg(long, required_if_eq("kind", "rdp"))]
    order: Option<f64>,
    /// The largest epsilon of all studies together, for this purpose.
    #[arg(long)]
    epsilon: f64,
    /// The delta at which epsilon is stated.
    #[arg(long)]
    delta: f64,
    /// Who proposes it.
    #[arg(long)]
    who: Remark,
    /// Why, in the words of whoever decided.
    #[arg(long)]
    why: Remark,
    /// Print the code alone, for scripts.
    #[arg(long)]
    code_only: bool,
}

#[derive(Debug, Args)]
struct Confirm {
    /// The code that `budget propose` printed.
    code: String,
    /// Who confirms it, if somebody else than who proposed it.
    #[arg(long)]
    who: Option<Remark>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PurposeName {
    Training,
    Metrics,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindName {
    Gdp,
    Rdp,
}

/// Where a command works: the configuration, its folder and who the site is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The configuration.
    pub config: &'a SiteConfig,
    /// The folder that its paths start from.
    pub base: &'a Path,
    /// The site's credentials.
    pub credentials: &'a Arc<Credentials>,
}

impl Place<'_> {
    pub(crate) fn state(&self) -> PathBuf {
        self.base.join(&self.config.state)
    }

    pub(crate) fn owner(&self) -> anyhow::Result<Owner> {
        let identity = self.credentials.identity();
        let site = identity.site().with_context(|| format!("{identity} is not a site"))?;
        Ok(Owner { federation: identity.federation.clone(), site })
    }

    /// Replays the ledger, which the running agent may hold; the state is that of a new one where there is
    /// none yet.
    pub(crate) fn ledger(&self) -> anyhow::Result<LedgerState> {
        let path = ledger_path(&self.state());
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut state = LedgerState::default();
                state.apply(&Body::Opened(self.owner()?), None)?;
                return Ok(state);
            }
            other => other.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        let key = PublicKey(*self.credentials.identity_key().public().as_bytes());
        let read = entries::<Body>(BufReader::new(file), &key);
        let (entries, _summary) = read.map_err(|source| other_key(LogError::Altered { path, source }))?;
        LedgerState::replay(entries.iter().map(|entry| (&entry.body, entry.stamp)))
            .map_err(|(sequence, violation)| anyhow::anyhow!("entry {sequence} breaks a rule: {violation}"))
    }

    /// Opens the ledger to write to it; there is none where the running agent holds it.
    ///
    /// # Errors
    /// As [`Ledger::open`] and [`compare`](Self::compare).
    pub(crate) fn open_ledger(&self, now: Timestamp) -> anyhow::Result<Option<Ledger>> {
        let state = self.state();
        state_folder::open(&state)?;
        let signer = Box::new(LogSigner(Arc::clone(self.credentials)));
        let ledger = match Ledger::open(&ledger_path(&state), &self.owner()?, signer, now) {
            Err(LedgerError::Log(LogError::Locked(_))) => return Ok(None),
            other => other?,
        };
        self.compare(&ledger)?;
        Ok(Some(ledger))
    }

    /// Says in the ledger that trainers run unprotected from now on, before one is started that no study asks for.
    ///
    /// # Errors
    /// As [`open_ledger`](Self::open_ledger), and where a running agent holds a ledger that does not say so.
    pub(crate) fn note_waiver(&self, now: Timestamp) -> anyhow::Result<()> {
        let protection = self.config.trainer.protection();
        if protection == Protection::Required || self.ledger()?.protection() == protection {
            return Ok(());
        }
        let ledger = self.open_ledger(now)?;
        let mut ledger = ledger.context(
            "the running agent holds the ledger, which is to say that trainers run unprotected: stop it first",
        )?;
        Ok(ledger.set_protection(protection, now)?)
    }

    /// Compares the ledger with the checkpoints that this site keeps of it and that people name: an entry in one that
    /// was rolled back would fork it.
    pub(crate) fn compare(&self, ledger: &Ledger) -> anyhow::Result<()> {
        let (_kept, signed) = Kept::open(&self.state(), (self.base, &self.config.ledger), ledger)?;
        Ok(signed.iter().try_for_each(|checkpoint| compare(ledger.leaves(), checkpoint))?)
    }

    fn patients(&self, cohort: &CohortName) -> anyhow::Result<u32> {
        for config in &self.config.cohorts {
            let file = CohortFile::load(&self.base.join(&config.file))?;
            if file.name() == cohort {
                return Ok(file.patients());
            }
        }
        bail!("the configuration has no cohort {cohort}")
    }
}

/// Runs the command and writes to `out` what there is to say.
///
/// # Errors
/// Refuses what the ledger would not take, with the reason.
pub fn run(place: Place<'_>, arguments: BudgetArguments, out: &mut dyn Write) -> anyhow::Result<()> {
    match arguments.action {
        None => report::write(out, &place.ledger()?.report(), arguments.json),
        Some(Action::Propose(arguments)) => propose(place, arguments, out),
        Some(Action::Confirm(Confirm { code, who })) => confirm(place, &code, who, out),
    }
}

fn propose(place: Place<'_>, arguments: Propose, out: &mut dyn Write) -> anyhow::Result<()> {
    let Propose { cohort, purpose, kind, order, epsilon, delta, who, why, code_only } = arguments;
    let proposal = Proposal {
        patients: place.patients(&cohort)?,
        cohort,
        purpose: match purpose {
            PurposeName::Training => Purpose::Training,
            PurposeName::Metrics => Purpose::Metrics,
        },
        kind: match kind {
            KindName::Gdp => BudgetKind::Gdp,
            KindName::Rdp => BudgetKind::Rdp { order_milli: order_of(order)? },
        },
        epsilon: Positive::try_from(epsilon).map_err(|error| anyhow::anyhow!("--epsilon: {error}"))?.get(),
        delta: Delta::try_from(delta)?,
        who,
        why,
        time: clock::now(),
    };
    let before = place.ledger()?;
    let after = proposal.preview(&before)?;
    state_folder::open(&place.state())?;
    let code = Proposals::of(&place.state(), place.credentials).propose(&proposal)?;
    if code_only {
        return Ok(writeln!(out, "{code}")?);
    }
    describe(out, &proposal, (&before, &after))?;
    writeln!(out, "Nothing has changed yet. To enter it in the ledger, for ever:\n")?;
    Ok(writeln!(out, "  fedtwin-site --config FILE budget confirm {code}\n")?)
}

fn order_of(order: Option<f64>) -> anyhow::Result<Order> {
    let order = order.filter(|order| (1.01..=1024.0).contains(order));
    let order = order.context("--order: expected an order from 1.01 to 1024")?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked above")]
    Ok(Order::try_from((order * 1000.0).round() as u32)?)
}

/// Says in plain words what a proposal allows, and what the totals would then be.
fn describe(
    out: &mut dyn Write,
    proposal: &Proposal,
    (before, after): (&LedgerState, &LedgerState),
) -> anyhow::Result<()> {
    let Proposal { cohort, purpose, patients, kind, epsilon, delta, who, why, time: _ } = proposal;
    let report = |state: &LedgerState| state.report().into_iter().find(|report| report.cohort == *cohort);
    let open =
        |report: &CohortReport| report.budgets.iter().find(|budget| budget.purpose == *purpose).cloned();
    let now = report(before);
    let verb = match now.as_ref().and_then(open) {
        Some(budget) => format!("raise, from epsilon {:.4},", budget.total.epsilon),
        None => "open".to_owned(),
    };
    writeln!(out, "{who} proposes to {verb} the {purpose} budget of cohort {cohort}: {why}")?;
    writeln!(
        out,
        "All {purpose} releases of all studies together may then tell of each of the {patients} patients no more \
         than epsilon {epsilon} at delta {delta} (the patient's own contributions made zero)."
    )?;
    writeln!(out, "It adds up {kind}. It is never lowered; kind and delta stay for ever.")?;
    if delta.value() * f64::from(*patients) > 1.0 {
        writeln!(
            out,
            "Warning: delta {delta} is above 1 in {patients} patients. Publishing one patient's whole record would \
             meet such a delta; choose less, and about 1 in {} is common.",
            10 * u64::from(*patients)
        )?;
    }
    for (when, report) in [("Now", now), ("Then", report(after))] {
        let total = report.map_or("no budget".to_owned(), |report| report.headline());
        writeln!(out, "{when:>5}, all purposes together: {total}")?;
    }
    Ok(())
}

fn confirm(place: Place<'_>, code: &str, who: Option<Remark>, out: &mut dyn Write) -> anyhow::Result<()> {
    let now = clock::now();
    let ledger = place.open_ledger(now)?;
    let proposals = Proposals::of(&place.state(), place.credentials);
    let proposal = proposals.confirm(code, who)?;
    let Some(mut ledger) = ledger else {
        return Ok(writeln!(
            out,
            "confirmed; the running agent enters it before it considers its next study, or when it next \
             starts: see `fedtwin-site budget`"
        )?);
    };
    for entered in proposals.enter(&mut ledger, now)? {
        if let Some(reason) = entered.refused {
            bail!("the ledger refused {}: {reason}", entered.code);
        }
    }
    let report = ledger.state().report().into_iter().find(|report| report.cohort == proposal.cohort);
    let headline = report.map_or(String::new(), |report| report.headline());
    Ok(writeln!(out, "entered; cohort {}: {headline}", proposal.cohort)?)
}
