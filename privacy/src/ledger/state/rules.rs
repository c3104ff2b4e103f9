//! The rules that an entry must keep, as questions to the state before it.

use super::{FAILURES_MAX, LedgerState};
use crate::ledger::body::{AttemptBegun, BlockOpened, Body, Released, StudyClosed, StudyReserved};
use crate::ledger::budget::{BudgetOpened, BudgetRaised, Purpose};
use crate::ledger::claim::{Claim, Spend};
use crate::ledger::violation::{Shortfall, Violation};

impl LedgerState {
    /// Says whether the rules allow an entry.
    ///
    /// # Errors
    /// Names the rule that it would break.
    pub fn check(&self, body: &Body) -> Result<(), Violation> {
        if let Body::Opened(_) = body {
            return if self.entries == 0 { Ok(()) } else { Err(Violation::OpenedTwice) };
        }
        if self.entries == 0 {
            return Err(Violation::NotOpened);
        }
        match body {
            Body::Opened(_) | Body::StudyRefused(_) | Body::KeyChanged(_) | Body::MirrorConfirmed(_) => {
                Ok(())
            }
            Body::BudgetOpened(budget) => self.check_budget(budget),
            Body::BudgetRaised(raise) => self.check_raise(raise),
            Body::StudyReserved(reserved) => self.check_reservation(reserved),
            Body::BlockOpened(block) => self.check_block(block),
            Body::AttemptBegun(begun) => self.check_begin(begun),
            Body::Released(release) => self.check_release(release),
            Body::AttemptRefused(refused) => self.running(&refused.study).map(drop),
            Body::StudyClosed(closed) => self.check_close(closed),
            Body::Trainer(trainer) if trainer.protection == self.protection() => {
                Err(Violation::SameProtection)
            }
            Body::Trainer(_) => Ok(()),
        }
    }

    fn check_budget(&self, budget: &BudgetOpened) -> Result<(), Violation> {
        let BudgetOpened { cohort, purpose, amount_nano, .. } = budget;
        check_amount(*amount_nano)?;
        let Some(state) = self.cohorts.get(cohort) else { return Ok(()) };
        if state.budgets.contains_key(purpose) {
            return Err(Violation::BudgetExists { cohort: cohort.clone(), purpose: *purpose });
        }
        match state.budgets.values().next() {
            Some(other) if !same_terms(&other.opened, budget) => Err(Violation::OtherTerms(cohort.clone())),
            Some(_) | None => Ok(()),
        }
    }

    fn check_raise(&self, raise: &BudgetRaised) -> Result<(), Violation> {
        let BudgetRaised { cohort, purpose, amount_nano, .. } = raise;
        check_amount(*amount_nano)?;
        let budget = self.budget(cohort, *purpose);
        let budget =
            budget.ok_or_else(|| Violation::NoBudget { cohort: cohort.clone(), purpose: *purpose })?;
        let before = budget.amount_nano();
        if *amount_nano > before {
            return Ok(());
        }
        Err(Violation::NotARaise { cohort: cohort.clone(), purpose: *purpose, amount_nano: before })
    }

    fn check_reservation(&self, reserved: &StudyReserved) -> Result<(), Violation> {
        let StudyReserved { study, plan, cohort, claims } = reserved;
        if self.studies.contains_key(study) {
            return Err(Violation::StudyExists(study.clone()));
        }
        if self.plans.contains(plan) {
            return Err(Violation::PlanExists(*plan));
        }
        if claims.is_empty() {
            return Err(Violation::NoClaim(study.clone()));
        }
        for (purpose, claim) in claims {
            self.check_claim(reserved, *purpose, claim)?;
        }
        let asked_ppm = reserved.total().delta_ppm;
        let left_ppm = self.cohorts.get(cohort).map_or(0, |state| state.slack_left_ppm());
        if asked_ppm > left_ppm {
            let (cohort, study) = (cohort.clone(), study.clone());
            return Err(Violation::SlackUsed { cohort, study, asked_ppm, left_ppm });
        }
        Ok(())
    }

    fn check_claim(
        &self,
        reserved: &StudyReserved,
        purpose: Purpose,
        claim: &Claim,
    ) -> Result<(), Violation> {
        let StudyReserved { study, cohort, .. } = reserved;
        if !claim.is_whole() {
            return Err(Violation::Blocks { attempts_max: claim.attempts_max, blocks: claim.blocks });
        }
        match claim.spend {
            Spend::Priced { .. } => {}
            Spend::Unbounded { .. } => return Ok(()),
        }
        let budget = self.budget(cohort, purpose);
        let budget = budget.ok_or_else(|| Violation::NoBudget { cohort: cohort.clone(), purpose })?;
        let asked = claim.total();
        if asked.nano <= budget.amount_nano() - budget.used().nano {
            return Ok(());
        }
        Err(Violation::OverBudget(Box::new(Shortfall {
            study: study.clone(),
            budget: budget.opened.clone(),
            amount_nano: budget.amount_nano(),
            asked,
            spent: budget.spent,
            reserved: budget.reserved,
        })))
    }

    fn check_block(&self, block: &BlockOpened) -> Result<(), Violation> {
        let study = self.running(&block.study)?;
        let (claim, progress) = study.claim(block.purpose)?;
        let next = progress.next_block();
        if block.block != next {
            return Err(Violation::BlockOrder { asked: block.block.0, next: next.0 });
        }
        let attempts = claim.attempts_in(next);
        if attempts == 0 {
            return Err(Violation::NoBlockLeft(block.study.clone()));
        }
        let expected = claim.cost_in(next);
        if block.attempts == attempts && block.cost == expected {
            Ok(())
        } else {
            Err(Violation::WrongAmount { expected })
        }
    }

    fn check_begin(&self, begun: &AttemptBegun) -> Result<(), Violation> {
        let study = self.running(&begun.study)?;
        let (_, progress) = study.claim(begun.purpose)?;
        if progress.is_past((begun.round, begun.attempt)) {
            return Err(Violation::Replayed { round: begun.round.0, attempt: begun.attempt.0 });
        }
        // Keys only go up: what has not released anything by now never will.
        if study.failed() >= FAILURES_MAX {
            return Err(Violation::TooManyFailed(begun.study.clone()));
        }
        match progress.current() {
            Some(_) => Ok(()),
            None => Err(Violation::NotPaid(begun.study.clone())),
        }
    }

    fn check_release(&self, release: &Released) -> Result<(), Violation> {
        let (_, progress) = self.running(&release.study)?.claim(release.purpose)?;
        if progress.under_way() == Some((release.round, release.attempt)) {
            return Ok(());
        }
        Err(Violation::NotBegun { round: release.round.0, attempt: release.attempt.0 })
    }

    fn check_close(&self, closed: &StudyClosed) -> Result<(), Violation> {
        let expected = self.running(&closed.study)?.unspent();
        if closed.refunded == expected { Ok(()) } else { Err(Violation::WrongAmount { expected }) }
    }
}

/// Says whether amounts of two budgets add up: everything but the purpose and the amount is the same.
pub(crate) fn same_terms(one: &BudgetOpened, other: &BudgetOpened) -> bool {
    let terms =
        |budget: &BudgetOpened| (budget.patients, budget.unit, budget.relation, budget.kind, budget.delta);
    terms(one) == terms(other)
}

fn check_amount(amount_nano: u64) -> Result<(), Violation> {
    if (1..=AMOUNT_NANO_MAX).contains(&amount_nano) { Ok(()) } else { Err(Violation::Amount(amount_nano)) }
}

/// A divergence or mu squared of a million; sums over all purposes stay far below 2^64.
const AMOUNT_NANO_MAX: u64 = 1_000_000_000_000_000;
