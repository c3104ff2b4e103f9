//! The part of the page about attacks on the study's releases.

use fedtwin_attack::report::{AttackReport, CanaryReport, Control, RecordsUsed};
use maud::{Markup, html};

/// Renders what attacks found, beside what is claimed.
pub(super) fn attacked(attacks: &AttackReport) -> Markup {
    let records = match &attacks.records {
        RecordsUsed::Synthetic => "invented records of the plan's schema".to_owned(),
        RecordsUsed::Cohort(cohort) => format!("the site's own cohort {cohort}"),
    };
    let parts = [
        ("neighbours", attacks.neighbours.done().map(|part| part.holds)),
        ("sampling", attacks.sampling.done().map(|part| part.holds)),
        ("retries", attacks.attempts.done().map(|part| part.holds)),
        ("membership", attacks.membership.done().map(|part| part.holds)),
    ];
    html! {
        p class="note" { "On " (records) ", at the site." }
        dl {
            @if let Some(found) = attacks.canaries.done() { (canaries(found)) }
            @for (name, holds) in parts {
                @if let Some(holds) = holds {
                    dt { (name) }
                    dd { (held(holds)) }
                }
            }
            @if let Some(inversion) = attacks.inversion.done() {
                dt { "inversion" }
                dd {
                    "correlation with the record "
                    (inversion.with_noise.map_or("-".to_owned(), |found| format!("{:.2}", found.correlation)))
                    ", " (format!("{:.2}", inversion.without_noise.correlation)) " without noise"
                }
            }
            (planted(&controls(attacks)))
        }
        @for finding in &attacks.findings { p class="bad" { (finding) } }
    }
}

fn canaries(canaries: &CanaryReport) -> Markup {
    let CanaryReport { claim, bounds, epsilon_low_gaussian, holds, .. } = canaries;
    html! {
        dt { "canaries" }
        dd {
            "epsilon at least " b { (format!("{epsilon_low_gaussian:.3}")) } " of " (format!("{:.3}", claim.epsilon))
            " claimed for " (claim.steps) " sums; mu at least " (format!("{:.3}", bounds.mu)) " of "
            (format!("{:.3}", claim.mu)) " " (held(*holds && is_within(canaries)))
        }
    }
}

fn planted(controls: &[Control]) -> Markup {
    let missed: Vec<_> =
        controls.iter().filter(|control| !control.caught).map(|control| control.bug.to_string()).collect();
    html! {
        dt { "controls" }
        dd {
            (controls.len() - missed.len()) " of " (controls.len()) " planted bugs caught"
            @if !missed.is_empty() { " " span class="bad" { "missed: " (missed.join(", ")) } }
        }
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

fn held(holds: bool) -> Markup {
    html! {
        @if holds { span class="good" { "within the claim" } } @else { span class="bad" { "beyond the claim" } }
    }
}
