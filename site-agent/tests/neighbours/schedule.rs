//! Generated plans, records and sequences of what a coordinator says.

use std::cell::RefCell;
use std::collections::HashMap;

use fedtwin_certs::PlanSigner;
use fedtwin_plan::Plan;
use fedtwin_plan::plan::Mode;
use fedtwin_plan::signed::SignedPlan;
use proptest::prelude::*;

use crate::site::{self, PATIENTS, PlanTerms};
use crate::trainer::Odd;

/// What happens, but for what is in the cohort's records.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    pub(crate) terms: PlanTerms,
    /// The patient whose record is odd in one cohort and null in the other.
    pub(crate) patient: u32,
    pub(crate) odd: Odd,
    /// How long a message of secure aggregation takes to arrive, in milliseconds.
    pub(crate) delay_ms: u64,
    /// Messages after which one of the other sites falls silent in each attempt.
    pub(crate) silent_after: Option<u8>,
    /// What the coordinator says, each with the milliseconds since the one before.
    pub(crate) notices: Vec<(u64, Notice)>,
}

/// What a coordinator says, or what happens to the agent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Notice {
    Invite(Invite),
    OfferAgain,
    Close,
    Restart,
    /// The coordinator goes on with the sites that have answered.
    StopWaiting,
    Lie(Lie),
}

/// What an honest coordinator does not say to a site of an attempt under secure aggregation, or not at that time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lie {
    /// The last message again, as after a lost connection.
    Again,
    NobodysRoster,
    AllSurvived,
    YouAreDropped,
    NobodyConsents,
}

/// An invitation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Invite {
    pub(crate) metrics: bool,
    pub(crate) round: u32,
    pub(crate) attempt: u32,
    pub(crate) closes_in_ms: u64,
    pub(crate) other_clip: bool,
    /// Under secure aggregation, one of the sites is not invited.
    pub(crate) fewer: bool,
    pub(crate) model: u8,
}

thread_local! {
    /// Plans that were signed and verified: there are few.
    static PLANS: RefCell<HashMap<String, (Plan, PlanSigner, SignedPlan)>> = RefCell::default();
}

impl Schedule {
    pub(crate) fn plan(&self) -> (Plan, PlanSigner, SignedPlan) {
        let key = format!("{:?}", self.terms);
        PLANS.with_borrow_mut(|plans| plans.entry(key).or_insert_with(|| site::plan(self.terms)).clone())
    }
}

pub(crate) fn schedule() -> impl Strategy<Value = Schedule> {
    let notices = prop::collection::vec((0..9000_u64, notice()), 1..14);
    let silent_after = prop::option::weighted(0.3, 0..5_u8);
    (terms(), 0..PATIENTS, odd(), 0..700_u64, silent_after, notices).prop_map(
        |(terms, patient, odd, delay_ms, silent_after, notices)| Schedule {
            terms,
            patient,
            odd,
            delay_ms,
            silent_after,
            notices,
        },
    )
}

fn terms() -> impl Strategy<Value = PlanTerms> {
    let slot_s = prop_oneof![1 => Just(0_u32), 4 => 1..6_u32];
    // What noise of sampled steps costs takes long to compute.
    let patience = proptest::bool::weighted(0.05);
    let mode = prop_oneof![
        2 => Just(Mode::None),
        1 => Just(Mode::SumsOnly),
        2 => Just(Mode::Local),
        2 => Just(Mode::Shared),
    ];
    (mode, any::<bool>(), any::<bool>(), any::<bool>(), patience, slot_s).prop_map(
        |(mode, sampled, steps, metrics, patience, slot_s)| {
            let terms = PlanTerms { mode, sampled, steps, metrics, slot_s };
            let sampled = sampled && (!terms.has_noise() || patience);
            // Where the price rests on who is in a step, a plan without slots is none.
            let slot_s = if terms.has_noise() && sampled { slot_s.max(1) } else { slot_s };
            // With shared noise, a round is one sum.
            let steps = steps && mode != Mode::Shared;
            PlanTerms { sampled, steps, slot_s, ..terms }
        },
    )
}

fn odd() -> impl Strategy<Value = Odd> {
    let ms = 0..40_000_u64;
    prop_oneof![
        3 => Just(Odd::NotANumber),
        1 => Just(Odd::Fails),
        1 => Just(Odd::Ends),
        1 => Just(Odd::Panics),
        3 => ms.clone().prop_map(Odd::Slow),
        1 => Just(Odd::Silent),
        1 => Just(Odd::OtherLength),
        1 => Just(Odd::Huge),
        1 => Just(Odd::LoadFails),
        1 => ms.clone().prop_map(Odd::LoadSlow),
        1 => Just(Odd::LoadSilent),
        1 => Just(Odd::ScoreFails),
        1 => ms.prop_map(Odd::ScoreSlow),
    ]
}

fn notice() -> impl Strategy<Value = Notice> {
    let invite = (
        prop::bool::weighted(0.2),
        1..=3_u32,
        1..12_u32,
        prop_oneof![1 => 0..3000_u64, 3 => 3000..20_000_u64],
        prop::bool::weighted(0.05),
        prop::bool::weighted(0.1),
        any::<u8>(),
    )
        .prop_map(|(metrics, round, attempt, closes_in_ms, other_clip, fewer, model)| {
            Notice::Invite(Invite { metrics, round, attempt, closes_in_ms, other_clip, fewer, model })
        });
    let lie = prop_oneof![
        2 => Just(Lie::Again),
        1 => Just(Lie::NobodysRoster),
        2 => Just(Lie::AllSurvived),
        2 => Just(Lie::YouAreDropped),
        1 => Just(Lie::NobodyConsents),
    ];
    prop_oneof![
        20 => invite,
        2 => Just(Notice::OfferAgain),
        1 => Just(Notice::Close),
        2 => Just(Notice::Restart),
        3 => Just(Notice::StopWaiting),
        2 => lie.prop_map(Notice::Lie),
    ]
}
