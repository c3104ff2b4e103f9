//! The arguments of `fedtwin-lab`, and which function each command is.

use std::io::Write;

use clap::{Parser, Subcommand};

use crate::demo::command::Demo;
use crate::results::Results;
use crate::{demo, results};

/// Demonstrates and measures whole federations on this machine; for laboratories, not for hospitals.
#[derive(Debug, Parser)]
#[command(name = "fedtwin-lab", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Trains two models across thirteen hospitals on this machine, without and with privacy.
    Demo(Demo),
    /// Makes the figures of docs/RESULTS.md anew from real data.
    Results(Results),
}

/// Does what the arguments say; what it has to say goes to `out`, progress to standard error.
///
/// # Errors
/// Returns the command's error.
pub async fn run(arguments: Arguments, out: &mut impl Write) -> anyhow::Result<()> {
    match arguments.command {
        Command::Demo(arguments) => demo::command::run(&arguments, out).await,
        Command::Results(arguments) => results::run(&arguments, out).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
