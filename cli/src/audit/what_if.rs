//! `fedtwin audit what-if`: whether more rounds fit into what is left, and how many do.

use clap::Args;
use fedtwin_auditor::accounts::Accounts;
use fedtwin_auditor::what_if::{Alone, BudgetOutlook, Outlook, Question, ROUNDS_MAX, RoundMechanism};
use fedtwin_auditor::words::kind_name;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{CohortName, StudyId};
use fedtwin_privacy::ledger::{Delta, Purpose};

use super::sources::Sources;

/// What might be done.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("mechanism").required(true).args(["like", "noise_multiplier"]))]
pub struct WhatIf {
    /// Which ledgers; none prices the rounds alone.
    #[command(flatten)]
    pub sources: Sources,
    /// The rounds, repeated ones included.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    rounds: u32,
    /// With the sampling, the noise and the local steps of this study in the ledgers.
    #[arg(long, value_name = "STUDY")]
    like: Option<StudyId>,
    /// Or: the noise's standard deviation over the clip.
    #[arg(long, value_name = "Z", value_parser = super::events::positive)]
    noise_multiplier: Option<Positive>,
    /// With it: the probability with which each patient is in a step, like 1/20 or 0.05.
    #[arg(long, default_value = "1", value_name = "Q", conflicts_with = "like")]
    sampling: super::events::Rate,
    /// With it: noisy sums in each round.
    #[arg(long, default_value_t = 1, conflicts_with = "like", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    local_steps: u32,
    /// The parts in which a budget is charged; parts that never start are given back.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    blocks: u32,
    /// Only budgets of this cohort.
    #[arg(long)]
    cohort: Option<CohortName>,
    /// The purpose whose budget pays.
    #[arg(long, default_value = "training", value_parser = purpose)]
    purpose: Purpose,
    /// Without a ledger: the delta at which epsilon is stated.
    #[arg(long, required_unless_present_any = ["ledgers", "coordinator"], value_parser = delta)]
    delta: Option<Delta>,
    /// Without a ledger: the epsilon that may be spent.
    #[arg(long, value_parser = super::events::positive)]
    epsilon: Option<Positive>,
    /// Write JSON: {"rounds", "event", "alone", "budgets": [{"fits", "cost", "left", "left_after", "rounds_max"}]}.
    #[arg(long)]
    pub json: bool,
}

impl WhatIf {
    /// Returns what is asked.
    #[must_use]
    pub fn question(&self) -> Question {
        let mechanism = match (&self.like, self.noise_multiplier) {
            (Some(study), _) => RoundMechanism::Like(study.clone()),
            (None, multiplier) => RoundMechanism::Own {
                noise_multiplier: multiplier.expect("the arguments have one or the other"),
                sampling: self.sampling.0,
                local_steps: self.local_steps,
            },
        };
        Question {
            rounds: self.rounds,
            mechanism,
            blocks: self.blocks,
            cohort: self.cohort.clone(),
            purpose: self.purpose,
            alone: self.delta.map(|delta| (delta, self.epsilon)),
        }
    }
}

/// Writes the answer for people.
#[must_use]
pub fn text(outlook: &Outlook) -> String {
    let Outlook { rounds, event, alone, budgets } = outlook;
    let mut text = format!(
        "{rounds} rounds of {} noisy sums each: sampling {}, noise multiplier {:.4}",
        event.steps,
        event.sampling,
        event.noise_multiplier()
    );
    if let Some(Alone { delta, epsilons, rounds_max }) = alone {
        text += &format!("\nalone, at delta {delta}: {}", accounts(epsilons));
        if let Some(most) = rounds_max {
            text += &format!("\nat most {} fit", number_of(*most));
        }
    }
    for budget in budgets {
        let BudgetOutlook { site, cohort, purpose, kind, delta, cost, left, .. } = budget;
        let kind = kind_name(*kind);
        text += &format!("\n{cohort} at {site}, {purpose} budget of {kind} at delta {delta}:");
        if let Some(caution) = &budget.caution {
            text += &format!("\n  whatever fits, this cohort is {caution}");
        }
        text += &format!("\n  left       epsilon {:.4}", left.epsilon);
        text += &format!("\n  cost       epsilon {:.4} alone ({})", cost.epsilon, accounts(&budget.epsilons));
        match budget.left_after.zip(budget.cohort_after) {
            Some((after, cohort)) => {
                text += &format!(
                    "\n  it fits    epsilon {:.4} would be left, and {cohort:.4} be spent or reserved of the cohort",
                    after.epsilon
                )
            }
            None => text.push_str("\n  it does not fit"),
        }
        text += &format!("\n  at most    {}", number_of(budget.rounds_max));
    }
    text
}

fn accounts(accounts: &Accounts) -> String {
    let named = [("gdp, exactly", accounts.gdp), ("pld", accounts.pld), ("rdp", accounts.rdp)];
    let known: Vec<_> =
        named.iter().filter_map(|(name, value)| Some(format!("{:.4} by {name}", (*value)?))).collect();
    if known.is_empty() { "nothing bounds it".to_owned() } else { known.join(", ") }
}

fn number_of(rounds: u32) -> String {
    match rounds {
        1 => "1 round".to_owned(),
        ROUNDS_MAX => format!("{ROUNDS_MAX} rounds or more"),
        rounds => format!("{rounds} rounds"),
    }
}

fn purpose(text: &str) -> Result<Purpose, String> {
    [Purpose::Training, Purpose::Metrics]
        .into_iter()
        .find(|purpose| purpose.to_string() == text)
        .ok_or_else(|| "expected training or metrics".to_owned())
}

fn delta(text: &str) -> Result<Delta, String> {
    Delta::try_from(text.to_owned()).map_err(|error| error.to_string())
}
