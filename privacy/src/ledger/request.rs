//! What people and plans ask of a ledger, and the entries that this would be.

use std::collections::BTreeMap;

use fedtwin_plan::{CohortName, Digest, StudyId};

use crate::accountant::GaussianEvent;
use crate::ledger::body::{Body, StudyReserved};
use crate::ledger::budget::{
    Approval, BudgetKind, BudgetOpened, BudgetRaised, Delta, Purpose, Relation, Unit,
};
use crate::ledger::claim::Claim;
use crate::ledger::cost::floor;
use crate::ledger::state::{LedgerState, same_terms};
use crate::ledger::violation::Violation;

/// A budget as a person states it: one to open, or a larger one in place of the open one.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetRequest {
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// What it is for.
    pub purpose: Purpose,
    /// The cohort's declared size.
    pub patients: u32,
    /// What it adds up.
    pub kind: BudgetKind,
    /// The largest epsilon of everything for this purpose together.
    pub epsilon: f64,
    /// The delta at which it is stated.
    pub delta: Delta,
    /// Who allowed it.
    pub approval: Approval,
}

/// A study as its plan states it: proposed, and nothing set aside yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyRequest {
    /// The study, by its plan's `study.id`.
    pub study: StudyId,
    /// The digest of the plan's signed bytes.
    pub plan: Digest,
    /// The cohort, by the name that plans and the site's configuration give it.
    pub cohort: CohortName,
    /// What it wants to do, by purpose; reserved together or not at all.
    pub claims: BTreeMap<Purpose, ClaimRequest>,
}

/// What a study wants to do for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The attempts to pay for, repeated rounds included.
    pub attempts_max: u32,
    /// The parts in which they are spent.
    pub blocks: u32,
    /// What one attempt does.
    pub attempt: AttemptCost,
}

/// What one attempt costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptCost {
    /// As many noisy sums as the event has steps.
    Noised(GaussianEvent),
    /// No bound; the site's policy allows it under this name.
    Unbounded(String),
}

impl LedgerState {
    /// Returns the entry that opens a budget, or raises the one that is open.
    ///
    /// # Errors
    /// Refuses an epsilon that leaves nothing to spend, a raise that lowers or changes other terms, and terms
    /// that differ from the cohort's other budgets.
    pub fn budget_entry(&self, request: &BudgetRequest) -> Result<Body, Violation> {
        let BudgetRequest { cohort, purpose, patients, kind, epsilon, delta, approval } = request.clone();
        let opened = BudgetOpened {
            cohort,
            purpose,
            patients,
            unit: Unit::Patient,
            relation: Relation::ZeroOut,
            kind,
            delta,
            amount_nano: kind.amount(epsilon, delta),
            epsilon_micro: floor(epsilon * 1e6),
            approval,
        };
        let body = match self.budget(&opened.cohort, purpose) {
            None => Body::BudgetOpened(opened),
            Some(budget) if !same_terms(&budget.opened, &opened) => {
                return Err(Violation::OtherTerms(opened.cohort));
            }
            Some(_) => {
                let BudgetOpened { cohort, purpose, amount_nano, epsilon_micro, approval, .. } = opened;
                Body::BudgetRaised(BudgetRaised { cohort, purpose, amount_nano, epsilon_micro, approval })
            }
        };
        self.check(&body).map(|()| body)
    }

    /// Prices a study with the budgets of its cohort.
    ///
    /// # Errors
    /// Refuses a purpose that has no budget.
    pub(super) fn reservation_of(&self, request: &StudyRequest) -> Result<StudyReserved, Violation> {
        let StudyRequest { study, plan, cohort, claims } = request.clone();
        let priced = |(purpose, claim)| Ok((purpose, self.claim_of(&cohort, purpose, &claim)?));
        let claims = claims.into_iter().map(priced).collect::<Result<_, Violation>>()?;
        Ok(StudyReserved { study, plan, cohort, claims })
    }

    fn claim_of(
        &self,
        cohort: &CohortName,
        purpose: Purpose,
        request: &ClaimRequest,
    ) -> Result<Claim, Violation> {
        let ClaimRequest { attempts_max, blocks, attempt } = request;
        match attempt {
            AttemptCost::Noised(event) => {
                let budget = self.budget(cohort, purpose);
                let budget = budget.ok_or_else(|| Violation::NoBudget { cohort: cohort.clone(), purpose })?;
                let terms = (budget.opened.kind, budget.opened.delta);
                Ok(Claim::priced(*event, *attempts_max, *blocks, terms))
            }
            AttemptCost::Unbounded(reason) => Ok(Claim::unbounded(reason, *attempts_max, *blocks)),
        }
    }
}
