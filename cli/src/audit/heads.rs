//! Signed heads of ledgers that somebody kept, as arguments.

use std::path::PathBuf;

use clap::Args;

/// Which heads to compare with.
#[derive(Debug, Clone, Default, Args)]
pub struct Heads {
    /// A signed head (C2SP checkpoint) that somebody kept of a ledger; may be given for several.
    #[arg(long, value_name = "NOTE")]
    pub checkpoint: Vec<PathBuf>,
}
