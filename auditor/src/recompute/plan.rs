//! A study's claims held against its plan: a ledger that names other noise than the plan prices something else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use fedtwin_plan::Plan;
use fedtwin_privacy::accountant::GaussianEvent;
use fedtwin_privacy::histogram::release_event;
use fedtwin_privacy::ledger::{Claim, Purpose, StudyReport};

use super::event_of;

/// What a claim may do: each attempt's mechanism, or nothing that bounds it; attempts, and the blocks they are in.
type Asked = (Option<GaussianEvent>, u32, u32);

/// Says where a study's claims are not those of its plan; one line each.
pub(super) fn differences(study: &StudyReport, plan: &Plan) -> Vec<String> {
    let of_claim = |claim: &Claim| (event_of(claim), claim.attempts_max, claim.blocks);
    let found: BTreeMap<Purpose, Asked> =
        study.claims.iter().map(|report| (report.purpose, of_claim(&report.claim))).collect();
    let asked = of_plan(plan);
    let purposes: BTreeSet<Purpose> = found.keys().chain(asked.keys()).copied().collect();
    let line = |purpose: Purpose| {
        let (found, asked) = (found.get(&purpose), asked.get(&purpose));
        let line =
            || format!("the {purpose} claim is for {}, and its plan asks for {}", words(found), words(asked));
        (found != asked).then(line)
    };
    purposes.into_iter().filter_map(line).collect()
}

fn of_plan(plan: &Plan) -> BTreeMap<Purpose, Asked> {
    // A plan without an epsilon bounds nothing, and integers that no mechanism has bound nothing either.
    let event = || GaussianEvent::of_updates(plan, plan.noise_shares(), plan.local_steps().into()).ok();
    let event = plan.calibrated.epsilon.and_then(|_| event());
    let training = (event, plan.rounds.attempts_max.get(), plan.rounds.blocks.get());
    let metrics = plan.metrics.as_ref().and(plan.calibrated.metrics.as_ref());
    let metrics = metrics.map(|noise| (Some(release_event(noise)), noise.releases, noise.releases));
    let metrics = metrics.map(|asked| (Purpose::Metrics, asked));
    [(Purpose::Training, training)].into_iter().chain(metrics).collect()
}

fn words(asked: Option<&Asked>) -> String {
    let Some((event, attempts, blocks)) = asked else { return "nothing".to_owned() };
    let mut words = format!("{attempts} attempts in {blocks} blocks ");
    match event {
        None => words.push_str("without noise"),
        Some(event) => write!(
            words,
            "with q = {}, m = {}, C_int = {}, noise of {} and {} steps each",
            event.sampling,
            event.m.get(),
            event.c_int.get(),
            match event.noise_shares.get() {
                1 => "1 site".to_owned(),
                sites => format!("{sites} sites"),
            },
            event.steps
        )
        .expect("writing to a String does not fail"),
    }
    words
}
