//! A report as one self-contained page: no scripts, no fonts, nothing to fetch.

use fedtwin_attack::report::{AttackReport, CanaryReport, Control, RecordsUsed};
use fedtwin_privacy::ledger::{BudgetReport, CAP_AND_SPEND};

use super::chart;
use super::facts::{Mechanism, Promise, Report, Total, TradeOff, What};
use super::style::STYLE;
use crate::markup::{escape, push};
use crate::words::{kind_name, stage_name};

/// Renders a report.
#[must_use]
pub fn render(report: &Report) -> String {
    let Report { federation, site, cohort, study, plan, .. } = report;
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>Privacy of {study} at {site}</title><style>{STYLE}</style>\
         <h1>Privacy of study <code>{study}</code> at {site}</h1>\
         <p class=meta>Cohort {cohort} of federation {federation} \u{b7} {} \u{b7} plan <code>{plan}</code></p>",
        stage_name(report.stage)
    );
    if !report.publishable {
        page.push_str(
            "<p class=bad>Not for publication: what attacks found is of this hospital's own patients, without noise. \
             Without <code>--attack</code> the page can be shown to anybody.</p>",
        );
    }
    promise(&mut page, report);
    page.push_str("<section class=columns><div>");
    heading(&mut page, 1, "How it is kept", "algorithms and parameters");
    report.mechanisms.iter().for_each(|mechanism| kept(&mut page, mechanism));
    page.push_str("</div><div>");
    risk(&mut page, report);
    page.push_str("</div></section><section class=columns><div>");
    heading(&mut page, 1, "All studies on this cohort", "spending over all purposes");
    total(&mut page, &report.total, &report.promise);
    page.push_str("</div><div>");
    heading(&mut page, 2, "What attacks found", "a lower bound beside the claim");
    match &report.attacks {
        Some(attacks) => attacked(&mut page, attacks),
        None => {
            page.push_str("<p>Not stated: no report of <code>fedtwin-site audit attack</code> was given.</p>")
        }
    }
    page.push_str("</div></section>");
    rests_on(&mut page, report);
    page.push_str("</html>\n");
    page
}

/// The top of the pyramid: the numbers, the unit, and against whom.
fn promise(page: &mut String, report: &Report) {
    let Promise { patients, delta, epsilon_planned, epsilon_spent, .. } = &report.promise;
    page.push_str("<section>");
    heading(page, 0, "What is promised", "epsilon, unit of privacy, trust");
    match report.promise.broken() {
        Some(why) => push(
            page,
            format_args!(
                "<p class=bad>No promise holds for this cohort: {why}. The numbers below are of this study's \
                 noise alone.</p>"
            ),
        ),
        None => push(
            page,
            format_args!(
                "<p>Unit: one patient at this site, with all records and in all rounds. Relation: the \
                 patient's contribution becomes zero; that the cohort has {} patients is public.</p>",
                patients.map_or("so many".to_owned(), |patients| patients.to_string())
            ),
        ),
    }
    let class = if epsilon_planned.is_some() { "main" } else { "none" };
    push(
        page,
        format_args!(
            "<div class=tiles><div class=\"tile {class}\"><span>epsilon of the whole plan</span><b>{}</b><span class=note>{}; \
             {} for what was opened so far</span></div>",
            shown(*epsilon_planned),
            delta.map_or("no budget states a delta".to_owned(), |delta| format!("delta {delta}")),
            shown(*epsilon_spent)
        ),
    );
    for (name, epsilon, whom) in [
        ("alone", report.trust.alone, "everybody else colludes"),
        ("coordinator", report.trust.coordinator, "sees the site's own sums; charged"),
        ("model users", report.trust.model_users, "see models, took no part"),
    ] {
        push(
            page,
            format_args!(
                "<div class=tile><span>{name}</span><b>{}</b><span class=note>{whom}</span></div>",
                shown(epsilon)
            ),
        );
    }
    page.push_str("</div></section>");
}

fn kept(page: &mut String, mechanism: &Mechanism) {
    let Mechanism { purpose, what, attempts_planned, attempts_spent, attempts_failed, releases } = mechanism;
    push(page, format_args!("<dl><dt>purpose<dd><b>{purpose}</b>"));
    match what {
        What::Unbounded(reason) => {
            push(page, format_args!("<dt>mechanism<dd class=bad>no noise: {}", escape(reason)));
        }
        What::Noised(noised) => {
            let sampling = match noised.sampling.is_one() {
                true => "all patients in every sum".to_owned(),
                false => format!("Poisson: each patient in a sum with probability {}", noised.sampling),
            };
            let clip = noised.clip.map_or(String::new(), |clip| format!("L2 norm {clip}, that is "));
            push(
                page,
                format_args!(
                    "<dt>mechanism<dd>sum over patients + discrete Gaussian noise, sigma 2<sup>{}</sup> grid units\
                     <dt>sampling<dd>{sampling}\
                     <dt>clip<dd>{clip}{} grid units for each patient, checked in integers\
                     <dt>noise multiplier<dd>{:.4}, with the noise of {} site{} in each sum\
                     <dt>sums<dd>{} in each release",
                    noised.m,
                    noised.c_int,
                    noised.noise_multiplier,
                    noised.noise_shares,
                    if noised.noise_shares == 1 { "" } else { "s" },
                    noised.sums,
                ),
            );
        }
    }
    push(
        page,
        format_args!(
            "<dt>releases<dd>{releases} made, {attempts_spent} charged, {attempts_planned} in the plan; \
             {attempts_failed} attempts used up without a release</dl>"
        ),
    );
}

/// The curve and what it means for a test.
fn risk(page: &mut String, report: &Report) {
    page.push_str(&chart::curve(&report.curve, &report.promise));
    let Some(TradeOff { mu, delta0, true_positives }) = &report.trade_off else {
        page.push_str("<p>No curve: nothing bounds what the whole plan reveals.</p>");
        return;
    };
    let certified =
        if *delta0 > 0.0 { format!(", but for a probability of {delta0:e}") } else { String::new() };
    push(
        page,
        format_args!(
            "<p>Whole plan: <b>{mu:.4}</b>-Gaussian (mu){certified}. The best test for whether one patient was in:</p>\
             <table><tr><th>wrongly suspected<th class=n>found at most<th class=n>by guessing</tr>"
        ),
    );
    for rates in true_positives {
        let [wrong, found] = [rates.false_positives, rates.true_positives_max].map(|rate| rate * 100.0);
        push(page, format_args!("<tr><td>{wrong} %<td class=n>{found:.2} %<td class=n>{wrong} %</tr>"));
    }
    page.push_str("</table>");
}

fn total(page: &mut String, total: &Total, promise: &Promise) {
    let delta = promise.delta.map_or(String::new(), |delta| format!(" at delta {delta}"));
    let spent = match (promise.broken(), total.spent) {
        (Some(why), _) => format!("<span class=bad>{why}</span>"),
        (None, Some(spent)) => format!("epsilon <b>{}</b> spent", shown(Some(spent))),
        (None, None) => "<span class=bad>unbounded</span>".to_owned(),
    };
    push(
        page,
        format_args!(
            "<p>{spent} of a cap of {}{delta}, by {} studies. {CAP_AND_SPEND}</p>",
            shown(Some(total.cap)),
            total.studies
        ),
    );
    let share = |epsilon: f64| if total.cap > 0.0 { (epsilon / total.cap * 100.0).min(100.0) } else { 0.0 };
    push(
        page,
        format_args!(
            "<div class=bar><i style=\"width:{:.1}%\"></i><i style=\"width:{:.1}%\"></i></div>\
             <table><tr><th>purpose<th class=n>spent<th class=n>reserved<th class=n>left<th class=n>cap</tr>",
            share(total.spent.unwrap_or(total.cap)),
            share(total.reserved)
        ),
    );
    for BudgetReport { purpose, spent, reserved, left, total, .. } in &total.budgets {
        let [spent, reserved, left, cap] =
            [spent, reserved, left, total].map(|amount| shown(Some(amount.epsilon)));
        push(
            page,
            format_args!(
                "<tr><td>{purpose}<td class=n>{spent}<td class=n>{reserved}<td class=n>{left}<td class=n>{cap}</tr>"
            ),
        );
    }
    page.push_str("</table>");
    if let Some(kind) = total.kind {
        push(
            page,
            format_args!(
                "<p class=note>Budget kind: {}. The cap holds also for studies that were chosen after seeing \
                 earlier results. Epsilons do not add up; the amounts behind them do.</p>",
                kind_name(kind)
            ),
        );
    }
}

fn attacked(page: &mut String, attacks: &AttackReport) {
    let records = match &attacks.records {
        RecordsUsed::Synthetic => "invented records of the plan's schema".to_owned(),
        RecordsUsed::Cohort(cohort) => format!("the site's own cohort {cohort}"),
    };
    push(page, format_args!("<p class=note>On {records}, at the site.</p><dl>"));
    if let Some(canaries) = attacks.canaries.done() {
        push(
            page,
            format_args!(
                "<dt>canaries<dd>epsilon at least <b>{:.3}</b> of {:.3} claimed for {} sums; mu at least {:.3} of {:.3} {}",
                canaries.epsilon_low_gaussian,
                canaries.claim.epsilon,
                canaries.claim.steps,
                canaries.bounds.mu,
                canaries.claim.mu,
                held(canaries.holds && is_within(canaries))
            ),
        );
    }
    for (name, holds) in [
        ("neighbours", attacks.neighbours.done().map(|part| part.holds)),
        ("sampling", attacks.sampling.done().map(|part| part.holds)),
        ("retries", attacks.attempts.done().map(|part| part.holds)),
        ("membership", attacks.membership.done().map(|part| part.holds)),
    ] {
        if let Some(holds) = holds {
            push(page, format_args!("<dt>{name}<dd>{}", held(holds)));
        }
    }
    if let Some(inversion) = attacks.inversion.done() {
        let noised = inversion.with_noise.map_or("-".to_owned(), |found| format!("{:.2}", found.correlation));
        push(
            page,
            format_args!(
                "<dt>inversion<dd>correlation with the record {noised}, {:.2} without noise",
                inversion.without_noise.correlation
            ),
        );
    }
    let controls = controls(attacks);
    let caught = controls.iter().filter(|control| control.caught).count();
    let missed: Vec<_> =
        controls.iter().filter(|control| !control.caught).map(|control| control.bug.to_string()).collect();
    push(page, format_args!("<dt>controls<dd>{caught} of {} planted bugs caught", controls.len()));
    if !missed.is_empty() {
        push(page, format_args!(" <span class=bad>missed: {}</span>", escape(&missed.join(", "))));
    }
    page.push_str("</dl>");
    for finding in &attacks.findings {
        push(page, format_args!("<p class=bad>{}</p>", escape(finding)));
    }
}

/// Compares the figures, whatever the report says of them.
fn is_within(canaries: &CanaryReport) -> bool {
    let CanaryReport { claim, bounds, epsilon_low, epsilon_low_gaussian, epsilon_low_one_run, .. } = canaries;
    let epsilons = [epsilon_low, epsilon_low_gaussian, epsilon_low_one_run];
    bounds.mu <= claim.mu && epsilons.into_iter().all(|low| *low <= claim.epsilon)
}

fn controls(attacks: &AttackReport) -> Vec<Control> {
    let parts = [
        attacks.canaries.done().map(|part| &part.controls),
        attacks.neighbours.done().map(|part| &part.controls),
        attacks.sampling.done().map(|part| &part.controls),
        attacks.attempts.done().map(|part| &part.controls),
    ];
    parts.into_iter().flatten().flatten().copied().collect()
}

/// The base of the pyramid: code, randomness, and the ledger that all numbers are from.
fn rests_on(page: &mut String, report: &Report) {
    let ledger = &report.ledger;
    page.push_str("<section>");
    heading(page, 2, "What it rests on", "implementation, randomness, records");
    let verified = if ledger.verified {
        "<span class=good>every signature verified with the site's key</span>"
    } else {
        "<span class=bad>signatures not verified</span>"
    };
    push(
        page,
        format_args!(
            "<dl><dt>ledger<dd>{} entries, {verified}<dt>root<dd><code>{}</code><dt>head<dd><code>{}</code>",
            ledger.entries, ledger.root, ledger.head
        ),
    );
    for span in &ledger.unprotected {
        push(page, format_args!("<dt>trainer<dd><span class=bad>{}</span>", escape(span)));
    }
    page.push_str("<dt>witnesses<dd>");
    if ledger.checkpoints.is_empty() {
        page.push_str("no checkpoint was given: that the ledger was not rolled back is not shown");
    }
    for checkpoint in &ledger.checkpoints {
        let names = match checkpoint.witnesses.as_slice() {
            [] => "nobody".to_owned(),
            names => names.join(", "),
        };
        push(
            page,
            format_args!(
                "continues the checkpoint of {} entries, cosigned by {} ",
                checkpoint.entries,
                escape(&names)
            ),
        );
    }
    let tuning = report.tuning.as_deref().map_or("not stated".to_owned(), escape);
    push(
        page,
        format_args!(
            "<dt>tuning<dd>{tuning}<dt>randomness<dd>{}<dt>code<dd>made by {}; the ledger does not name the site's build</dl></section>",
            report.code.randomness, report.code.report_by
        ),
    );
}

fn heading(page: &mut String, layer: usize, title: &str, about: &str) {
    push(page, format_args!("<h2>{}<span>{title} <small>{about}</small></span></h2>", chart::pyramid(layer)));
}

fn held(holds: bool) -> &'static str {
    if holds { "<span class=good>within the claim</span>" } else { "<span class=bad>beyond the claim</span>" }
}

/// Writes an epsilon with three decimals, rounded up.
fn shown(epsilon: Option<f64>) -> String {
    epsilon.map_or("-".to_owned(), |epsilon| format!("{:.3}", (epsilon * 1000.0).ceil() / 1000.0))
}
