//! What an attempt is bound to: sites that differ in any of it derive other masks.

use std::collections::BTreeSet;

use fedtwin_plan::digest::RunningDigest;
use fedtwin_plan::numbers::Positive;
use fedtwin_plan::{Digest, Plan, SiteName, StudyId, WireBits};

/// What all sites of an attempt must agree on.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The signed plan.
    pub plan: Digest,
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The round, from 1.
    pub round: u32,
    /// The attempt, counted over the whole study and never used twice.
    pub attempt: u32,
    /// The model that the vectors belong to.
    pub model: Digest,
    /// The clip of the gradients in the vectors: sites that scale by other clips do not add up.
    pub clip: Positive,
    /// The sites of the attempt.
    pub members: BTreeSet<SiteName>,
    /// Vectors without which nothing is opened: what the plan's noise is calibrated for.
    pub survivors_min: usize,
    /// Values of a vector.
    pub values: u64,
    /// The width of a value.
    pub bits: WireBits,
}

/// Which attempt at which round, among whom.
#[derive(Debug, Clone)]
pub struct AttemptPlace {
    /// The round, from 1.
    pub round: u32,
    /// The attempt, counted over the whole study.
    pub attempt: u32,
    /// The round's global model.
    pub model: Digest,
    /// The round's clip.
    pub clip: Positive,
    /// The sites that are invited.
    pub members: BTreeSet<SiteName>,
}

impl Context {
    /// Returns the context of an attempt under a signed plan with that digest; nothing where the plan is without
    /// secure aggregation.
    #[must_use]
    pub fn of(plan: &Plan, digest: Digest, place: AttemptPlace) -> Option<Self> {
        if !plan.privacy.is_secure() {
            return None;
        }
        let AttemptPlace { round, attempt, model, clip, members } = place;
        Some(Self {
            plan: digest,
            study: plan.study.id.clone(),
            round,
            attempt,
            model,
            clip,
            members,
            survivors_min: plan.rounds.sites_min.size(),
            values: plan.update_values() as u64,
            bits: plan.calibrated.modulus_bits,
        })
    }

    /// Returns a digest of everything, under which adverts are signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Without `..`: what is added to the context is in its digest, or this does not compile.
        let Self { plan, study, round, attempt, model, clip, members, survivors_min, values, bits } = self;
        let mut running = RunningDigest::new();
        running.update(b"fedtwin/secagg-context/v3\0");
        running.update(&plan.0);
        running.update(&model.0);
        let numbers = [
            (*round).into(),
            (*attempt).into(),
            clip.get().to_bits(),
            *survivors_min as u64,
            *values,
            bits.bytes() as u64,
            members.len() as u64,
        ];
        numbers.iter().for_each(|number: &u64| running.update(&number.to_le_bytes()));
        // Names have no zero byte, so that each ends where it ends.
        for name in [study.as_str()].into_iter().chain(members.iter().map(SiteName::as_str)) {
            running.update(name.as_bytes());
            running.update(&[0]);
        }
        running.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Federation, names};

    #[test]
    fn each_part_changes_the_digest() {
        let context = Federation::new(&["a", "b", "c"], 3).context;
        let others = [
            Context { plan: Digest::of(b"other"), ..context.clone() },
            Context { study: "hearts".parse().unwrap(), ..context.clone() },
            Context { round: 2, attempt: 1, ..context.clone() },
            Context { attempt: 3, ..context.clone() },
            Context { model: Digest::of(b"other"), ..context.clone() },
            Context { clip: 1.0_f64.next_up().try_into().unwrap(), ..context.clone() },
            Context { members: names(&["a", "b", "d"]), ..context.clone() },
            Context { members: names(&["a", "bc", "d"]), ..context.clone() },
            Context { survivors_min: 2, ..context.clone() },
            Context { values: 11, ..context.clone() },
            Context { bits: WireBits::B32, ..context.clone() },
        ];
        let mut digests: Vec<_> = others.iter().chain([&context]).map(Context::digest).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), 12);
    }
}
