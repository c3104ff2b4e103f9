//! Words for what ledgers have as values.

use fedtwin_privacy::ledger::{BudgetKind, Stage};

/// Writes what a budget adds up, in a word.
#[must_use]
pub fn kind_name(kind: BudgetKind) -> String {
    match kind {
        BudgetKind::Gdp => "gdp".to_owned(),
        BudgetKind::Rdp { order_milli } => format!("rdp of order {order_milli}"),
    }
}

/// Returns the word for how far a study is.
#[must_use]
pub fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Reserved => "reserved",
        Stage::Running => "running",
        Stage::Committed => "committed",
        Stage::Aborted => "aborted",
    }
}
