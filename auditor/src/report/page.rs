//! A report as one self-contained page: no scripts, no fonts, nothing to fetch.

use fedtwin_page::chart::{Bar, Bars};
use fedtwin_page::frame;
use fedtwin_page::table::{Column, Row, Table};
use fedtwin_privacy::ledger::{BudgetReport, CAP_AND_SPEND};
use maud::{Markup, html};

use super::attacked::attacked;
use super::chart;
use super::facts::{NoisedFacts, Promise, PurposeFacts, StudyFacts, Total, TradeOff, What};
use crate::words::{kind_name, stage_name};

/// Renders a report.
#[must_use]
pub fn render(report: &StudyFacts) -> String {
    let StudyFacts { federation, site, cohort, study, plan, .. } = report;
    let body = html! {
        h1 { "Privacy of study " code { (study) } " at " (site) }
        p class="meta" {
            "Cohort " (cohort) " of federation " (federation) " \u{b7} " (stage_name(report.stage)) " \u{b7} plan "
            code { (plan) }
        }
        @if !report.publishable {
            p class="bad" {
                "Not for publication: what attacks found is of this hospital's own patients, without noise. Without "
                code { "--attack" } " the page can be shown to anybody."
            }
        }
        (promise(report))
        section class="columns" {
            div {
                (heading(1, "How it is kept", "algorithms and parameters"))
                @for mechanism in &report.mechanisms { (kept(mechanism)) }
            }
            div { (risk(report)) }
        }
        section class="columns" {
            div {
                (heading(1, "All studies on this cohort", "spending over all purposes"))
                (total(&report.total, &report.promise))
            }
            div {
                (heading(2, "What attacks found", "a lower bound beside the claim"))
                @match &report.attacks {
                    Some(attacks) => (attacked(attacks)),
                    None => p {
                        "Not stated: no report of " code { "fedtwin-site audit attack" } " was given."
                    },
                }
            }
        }
        (rests_on(report))
    };
    frame::page(&format!("Privacy of {study} at {site}"), &body)
}

/// The top of the pyramid: the numbers, the unit, and against whom.
fn promise(report: &StudyFacts) -> Markup {
    let Promise { patients, delta, epsilon_planned, epsilon_spent, .. } = &report.promise;
    let patients = patients.map_or("so many".to_owned(), |patients| patients.to_string());
    let delta = delta.map_or("no budget states a delta".to_owned(), |delta| format!("delta {delta}"));
    let others = [
        ("alone", report.trust.alone, "everybody else colludes"),
        ("coordinator", report.trust.coordinator, "sees the site's own sums; charged"),
        ("model users", report.trust.model_users, "see models, took no part"),
    ];
    html! {
        section {
            (heading(0, "What is promised", "epsilon, unit of privacy, trust"))
            @match report.promise.broken() {
                Some(why) => p class="bad" {
                    "No promise holds for this cohort: " (why) ". The numbers below are of this study's noise alone."
                },
                None => p {
                    "Unit: one patient at this site, with all records and in all rounds. Relation: the patient's \
                     contribution becomes zero; that the cohort has " (patients) " patients is public."
                },
            }
            div class="tiles" {
                div class={ "tile " (if epsilon_planned.is_some() { "main" } else { "none" }) } {
                    span { "epsilon of the whole plan" }
                    b { (shown(*epsilon_planned)) }
                    span class="note" { (delta) "; " (shown(*epsilon_spent)) " for what was opened so far" }
                }
                @for (name, epsilon, whom) in others {
                    div class="tile" { span { (name) } b { (shown(epsilon)) } span class="note" { (whom) } }
                }
            }
        }
    }
}

fn kept(mechanism: &PurposeFacts) -> Markup {
    let PurposeFacts { purpose, what, attempts_planned, attempts_spent, attempts_failed, releases } =
        mechanism;
    html! {
        dl {
            dt { "purpose" }
            dd { b { (purpose.to_string()) } }
            @match what {
                What::Unbounded(reason) => {
                    dt { "mechanism" }
                    dd class="bad" { "no noise: " (reason) }
                }
                What::Noised(what) => (noised(what)),
            }
            dt { "releases" }
            dd {
                (releases) " made, " (attempts_spent) " charged, " (attempts_planned) " in the plan; " (attempts_failed)
                " attempts used up without a release"
            }
        }
    }
}

fn noised(
    NoisedFacts { sampling, clip, c_int, m, noise_shares, noise_multiplier, sums }: &NoisedFacts,
) -> Markup {
    let sampled = match sampling.is_one() {
        true => "all patients in every sum".to_owned(),
        false => format!("Poisson: each patient in a sum with probability {sampling}"),
    };
    let clip = clip.map_or(String::new(), |clip| format!("L2 norm {clip}, that is "));
    let plural = if *noise_shares == 1 { "" } else { "s" };
    html! {
        dt { "mechanism" }
        dd { "sum over patients + discrete Gaussian noise, sigma 2" sup { (m) } " grid units" }
        dt { "sampling" }
        dd { (sampled) }
        dt { "clip" }
        dd { (clip) (c_int) " grid units for each patient, checked in integers" }
        dt { "noise multiplier" }
        dd { (format!("{noise_multiplier:.4}")) ", with the noise of " (noise_shares) " site" (plural) " in each sum" }
        dt { "sums" }
        dd { (sums) " in each release" }
    }
}

/// The curve and what it means for a test.
fn risk(report: &StudyFacts) -> Markup {
    let Some(TradeOff { mu, delta0, true_positives }) = &report.trade_off else {
        return html! {
            (chart::curve(&report.curve, &report.promise))
            p { "No curve: nothing bounds what the whole plan reveals." }
        };
    };
    let percent = |rate: f64| format!("{} %", rate * 100.0);
    let rows = true_positives.iter().map(|rates| {
        let (wrong, found) = (percent(rates.false_positives), rates.true_positives_max * 100.0);
        let cells = vec![html! { (wrong) }, html! { (format!("{found:.2} %")) }, html! { (wrong) }];
        Row { cells, is_total: false }
    });
    let table = Table {
        caption: "The best test for whether one patient was in".to_owned(),
        columns: vec![
            Column::text("wrongly suspected"),
            Column::number("found at most"),
            Column::number("by guessing"),
        ],
        rows: rows.collect(),
    };
    html! {
        (chart::curve(&report.curve, &report.promise))
        p {
            "Whole plan: " b { (format!("{mu:.4}")) } "-Gaussian (mu)"
            @if *delta0 > 0.0 { ", but for a probability of " (format!("{delta0:e}")) }
            "."
        }
        (table)
    }
}

fn total(total: &Total, promise: &Promise) -> Markup {
    let delta = promise.delta.map_or(String::new(), |delta| format!(" at delta {delta}"));
    let rows = total.budgets.iter().map(|BudgetReport { purpose, spent, reserved, left, total, .. }| {
        let amounts = [spent, reserved, left, total].map(|amount| shown(Some(amount.epsilon)));
        let cells = std::iter::once(purpose.to_string()).chain(amounts).map(|cell| html! { (cell) });
        Row { cells: cells.collect(), is_total: false }
    });
    let names = ["spent", "reserved", "left", "cap"].map(Column::number);
    let table = Table {
        caption: "Epsilons by purpose".to_owned(),
        columns: std::iter::once(Column::text("purpose")).chain(names).collect(),
        rows: rows.collect(),
    };
    html! {
        p {
            @match (promise.broken(), total.spent) {
                (Some(why), _) => span class="bad" { (why) },
                (None, Some(spent)) => { "epsilon " b { (shown(Some(spent))) } " spent" },
                (None, None) => span class="bad" { "unbounded" },
            }
            " of a cap of " (shown(Some(total.cap))) (delta) ", by " (total.studies) " studies. " (CAP_AND_SPEND)
        }
        (shares(total).draw())
        (table)
        @if let Some(kind) = total.kind {
            p class="note" {
                "Budget kind: " (kind_name(kind)) ". The cap holds also for studies that were chosen after seeing earlier \
                 results. Epsilons do not add up; the amounts behind them do."
            }
        }
    }
}

/// Divides each budget in what is spent, reserved and left, by the amounts, which add up.
fn shares(total: &Total) -> Bars {
    #[expect(clippy::cast_precision_loss, reason = "a share on a page")]
    let bar = |budget: &BudgetReport| {
        let cap = budget.total.nano.max(1) as f64;
        let amounts = [&budget.spent, &budget.reserved, &budget.left];
        Bar {
            name: budget.purpose.to_string(),
            shares: amounts.map(|amount| amount.nano as f64 / cap).into(),
            note: format!("cap {}", shown(Some(budget.total.epsilon))),
        }
    };
    Bars {
        title: "Shares of each budget's amount".to_owned(),
        parts: ["spent", "reserved", "left"].map(str::to_owned).into(),
        bars: total.budgets.iter().map(bar).collect(),
    }
}

/// The base of the pyramid: code, randomness, and the ledger that all numbers are from.
fn rests_on(report: &StudyFacts) -> Markup {
    let ledger = &report.ledger;
    let nobody = || "nobody".to_owned();
    html! {
        section {
            (heading(2, "What it rests on", "implementation, randomness, records"))
            dl {
                dt { "ledger" }
                dd {
                    (ledger.entries) " entries, "
                    @if ledger.verified {
                        span class="good" { "every signature verified with the site's key" }
                    } @else {
                        span class="bad" { "signatures not verified" }
                    }
                }
                dt { "root" }
                dd { code { (ledger.root) } }
                dt { "head" }
                dd { code { (ledger.head) } }
                @for span in &ledger.unprotected {
                    dt { "trainer" }
                    dd { span class="bad" { (span) } }
                }
                dt { "witnesses" }
                dd {
                    @if ledger.checkpoints.is_empty() {
                        "no checkpoint was given: that the ledger was not rolled back is not shown"
                    }
                    @for checkpoint in &ledger.checkpoints {
                        @let names = &checkpoint.witnesses;
                        "continues the checkpoint of " (checkpoint.entries) " entries, cosigned by "
                        (if names.is_empty() { nobody() } else { names.join(", ") }) " "
                    }
                }
                dt { "tuning" }
                dd { (report.tuning.as_deref().unwrap_or("not stated")) }
                dt { "randomness" }
                dd { (report.code.randomness) }
                dt { "code" }
                dd { "made by " (report.code.report_by) "; the ledger does not name the site's build" }
            }
        }
    }
}

fn heading(layer: usize, title: &str, about: &str) -> Markup {
    html! { h2 { (chart::pyramid(layer)) span { (title) " " small { (about) } } } }
}

/// Writes an epsilon with three decimals, rounded up.
fn shown(epsilon: Option<f64>) -> String {
    epsilon.map_or("-".to_owned(), |epsilon| format!("{:.3}", (epsilon * 1000.0).ceil() / 1000.0))
}
