//! Claims: what a study may do for one purpose, block by block, and what each block costs.

use serde::{Deserialize, Serialize};

use crate::accountant::GaussianEvent;
use crate::ledger::budget::{BudgetKind, Delta};
use crate::ledger::cost::Cost;

/// What a study may do for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The attempts that are paid for, repeated rounds included; each makes one release or none.
    pub attempts_max: u32,
    /// The parts in which the attempts are spent.
    pub blocks: u32,
    /// What they cost.
    pub spend: Spend,
}

/// What a claim costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Spend {
    /// A known amount.
    Priced {
        /// What one attempt does.
        event: GaussianEvent,
        /// The cost of a block.
        block: Cost,
        /// The cost of a last block with fewer attempts; nothing where there is none.
        rest: Cost,
    },
    /// No bound exists: nothing about the cohort is private from here on.
    Unbounded {
        /// Why, as the site's policy calls it.
        reason: String,
    },
}

/// The number of a block of attempts, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlockId(pub u32);

impl Claim {
    /// Prices attempts of `event` block by block, rounded up, for a budget of this kind at this delta.
    #[must_use]
    pub fn priced(event: GaussianEvent, attempts_max: u32, blocks: u32, terms: (BudgetKind, Delta)) -> Self {
        let (shape, (kind, delta)) = (Shape::new(attempts_max, blocks), terms);
        let price = |attempts| if attempts == 0 { Cost::NONE } else { kind.price(&event, attempts, delta) };
        let spend = Spend::Priced { event, block: price(shape.attempts), rest: price(shape.rest) };
        Self { attempts_max, blocks, spend }
    }

    /// Makes a claim that no cost bounds.
    #[must_use]
    pub fn unbounded(reason: &str, attempts_max: u32, blocks: u32) -> Self {
        Self { attempts_max, blocks, spend: Spend::Unbounded { reason: reason.to_owned() } }
    }

    /// Returns the attempts in a block: equal shares, of which the last may be smaller or empty.
    #[must_use]
    pub fn attempts_in(&self, block: BlockId) -> u32 {
        let Shape { attempts, full, rest } = self.shape();
        match block.0.cmp(&full) {
            std::cmp::Ordering::Less => attempts,
            std::cmp::Ordering::Equal => rest,
            std::cmp::Ordering::Greater => 0,
        }
    }

    /// Returns the cost of a block; an unbounded one has none that could be subtracted.
    #[must_use]
    pub fn cost_in(&self, block: BlockId) -> Cost {
        match &self.spend {
            Spend::Priced { block: cost, rest, .. } => match block.0.cmp(&self.shape().full) {
                std::cmp::Ordering::Less => *cost,
                std::cmp::Ordering::Equal => *rest,
                std::cmp::Ordering::Greater => Cost::NONE,
            },
            Spend::Unbounded { .. } => Cost::NONE,
        }
    }

    /// Returns the cost of all blocks.
    #[must_use]
    pub fn total(&self) -> Cost {
        match &self.spend {
            Spend::Priced { block, rest, .. } => block.times(self.shape().full).plus(*rest),
            Spend::Unbounded { .. } => Cost::NONE,
        }
    }

    /// Says whether the numbers fit together: at least one attempt in each block, and a cost for each
    /// block that has attempts and for no other.
    #[must_use]
    pub(crate) fn is_whole(&self) -> bool {
        let costs_fit = match &self.spend {
            Spend::Priced { event, block, rest } => {
                event.steps > 0 && block.nano > 0 && (*rest == Cost::NONE) == (self.shape().rest == 0)
            }
            Spend::Unbounded { .. } => true,
        };
        self.blocks > 0 && self.blocks <= self.attempts_max && costs_fit
    }

    fn shape(&self) -> Shape {
        Shape::new(self.attempts_max, self.blocks)
    }
}

/// How attempts are divided into blocks.
struct Shape {
    /// Attempts in a full block.
    attempts: u32,
    /// The number of full blocks.
    full: u32,
    /// Attempts in the block after them.
    rest: u32,
}

impl Shape {
    fn new(attempts_max: u32, blocks: u32) -> Self {
        let attempts = attempts_max.div_ceil(blocks.max(1)).max(1);
        Self { attempts, full: attempts_max / attempts, rest: attempts_max % attempts }
    }
}
