//! What is the same for both cohorts: chance, models, time, and what is compared of a ledger.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use fedtwin_plan::{Digest, SiteName};
use fedtwin_privacy::ledger::Purpose;
use fedtwin_privacy::noise::FastNoise;
use fedtwin_privacy::random::{NoRandomness, RandomSource};
use fedtwin_privacy::release::Release;
use fedtwin_proto::domain::{AttemptKey, Invitation};
use fedtwin_site_agent::attempt_error::AttemptError;
use fedtwin_site_agent::computation::Computation;
use fedtwin_trainer::Trainer;

use crate::Fault;
use crate::schedule::Invite;
use crate::trainer::{Odd, Scripted};

pub(crate) fn loading(odd: Odd, patient: u32) -> (Option<Duration>, bool) {
    let mut trainer = Scripted::new(odd, patient);
    let loads = trainer.load("", Path::new("")).is_ok();
    (trainer.took, loads)
}

/// Computes with the chance that belongs to the attempt, so that both cohorts have the same.
pub(crate) fn compute(
    computation: Computation,
    trainer: &mut Scripted,
    fault: Option<Fault>,
) -> Result<Release, AttemptError> {
    let scores = computation.purpose == Purpose::Metrics;
    if fault == Some(Fault::NoNumberDeclines) && scores && trainer.odd == Odd::NotANumber {
        return Err(AttemptError::Ended);
    }
    let mut chance = Chance(u64::from(computation.key.attempt) * 7919 + u64::from(computation.key.round));
    let computed = catch_unwind(AssertUnwindSafe(|| computation.run(trainer, &FastNoise, &mut chance)));
    Ok(computed.map_err(|_panicked| AttemptError::Ended)??)
}

pub(crate) fn invitation(invite: Invite, members: BTreeSet<SiteName>) -> Invitation {
    let Invite { round, attempt, closes_in_ms, other_clip, model, .. } = invite;
    Invitation {
        key: AttemptKey { study: "s".parse().unwrap(), round, attempt },
        model: Digest::of(&[model]),
        closes_in: Duration::from_millis(closes_in_ms),
        clip: if other_clip { 2.0 } else { 1.0 }.try_into().unwrap(),
        members,
    }
}

/// How long a model takes to be fetched, and whether it is there.
pub(crate) fn fetching(model: Digest) -> (u64, bool) {
    (u64::from(model.0[0]) * 8, !model.0[1].is_multiple_of(16))
}

/// The ledger's entries with their times, without hashes, signatures and digests of noise.
pub(crate) fn without_chance(text: &str) -> Vec<String> {
    let line = |line: &str| {
        let json = line.split('\t').next().unwrap_or_default();
        let mut entry: serde_json::Value = serde_json::from_str(json).unwrap();
        let fields = entry.as_object_mut().unwrap();
        fields.retain(|name, _| name == "time" || name == "sequence" || name == "body");
        if let Some(digest) = fields.get_mut("body").and_then(|body| body.get_mut("digest")) {
            *digest = "noise".into();
        }
        entry.to_string()
    };
    text.lines().map(line).collect()
}

/// Splitmix64: an attempt's own chance.
pub(crate) struct Chance(pub(crate) u64);

impl RandomSource for Chance {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed >> 56) as u8;
        }
        Ok(())
    }
}
