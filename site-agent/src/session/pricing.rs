//! What a plan costs a cohort, by this site's own accountant, held against what the plan claims.

use std::collections::BTreeMap;

use fedtwin_plan::Plan;
use fedtwin_plan::plan::{LocalNoise, Privacy, SharedNoise};
use fedtwin_privacy::accountant::{self, GaussianEvent};
use fedtwin_privacy::histogram::release_event;
use fedtwin_privacy::ledger::{AttemptCost, ClaimRequest, Purpose};

use super::OfferError;

/// Says what a plan wants to do with the cohort, for each purpose.
pub(super) fn claims(plan: &Plan) -> Result<BTreeMap<Purpose, ClaimRequest>, OfferError> {
    let mut claims = BTreeMap::from([(Purpose::Training, training_claim(plan)?)]);
    if let Some(claim) = metrics_claim(plan)? {
        claims.insert(Purpose::Metrics, claim);
    }
    Ok(claims)
}

/// Each release of metrics is an attempt and a block of its own: what never happens is given back.
fn metrics_claim(plan: &Plan) -> Result<Option<ClaimRequest>, OfferError> {
    let Some((metrics, noise)) = plan.metrics.as_ref().zip(plan.calibrated.metrics.as_ref()) else {
        return Ok(None);
    };
    let (event, releases, delta) = (release_event(noise), noise.releases, metrics.delta.get());
    let all = GaussianEvent { steps: releases.into(), ..event };
    hold_to_claim(&all, noise.epsilon.get(), delta)?;
    let attempt = AttemptCost::Noised(event);
    Ok(Some(ClaimRequest { attempts_max: releases, blocks: releases, attempt }))
}

fn training_claim(plan: &Plan) -> Result<ClaimRequest, OfferError> {
    let (attempts_max, blocks) = (plan.rounds.attempts_max.get(), plan.rounds.blocks.get());
    Ok(ClaimRequest { attempts_max, blocks, attempt: attempt_cost(plan)? })
}

/// Prices one attempt, and holds the plan to its claim.
///
/// In mode `local` the coordinator sees this site's update by itself, so that only this site's noise counts, whatever
/// other sites add. Shared noise is seen in sums alone, in which that of `noise_shares` sites surely counts.
fn attempt_cost(plan: &Plan) -> Result<AttemptCost, OfferError> {
    let (delta, claimed) = match (&plan.privacy, plan.calibrated.epsilon) {
        (
            Privacy::Local(LocalNoise { delta, .. }) | Privacy::Shared(SharedNoise { delta, .. }),
            Some(claimed),
        ) => (delta.get(), claimed.get()),
        (Privacy::None(_), _) => return Ok(AttemptCost::Unbounded(plan.privacy.mode().to_string())),
        (Privacy::Local(_) | Privacy::Shared(_), None) => {
            return Err(OfferError::NoEpsilon);
        }
    };
    let event = |steps: u64| {
        let event = GaussianEvent::of_updates(plan, plan.noise_shares(), steps);
        event.map_err(OfferError::Calibration)
    };
    hold_to_claim(&event(plan.steps())?, claimed, delta)?;
    Ok(AttemptCost::Noised(event(plan.local_steps().into())?))
}

fn hold_to_claim(event: &GaussianEvent, claimed: f64, delta: f64) -> Result<(), OfferError> {
    let found = accountant::epsilon(std::slice::from_ref(event), delta).value;
    if found > claimed { Err(OfferError::Claim { claimed, found, delta }) } else { Ok(()) }
}
