//! The outermost frame of each program: an error becomes one message for a person and an exit code.

use std::fmt::Write;
use std::process::ExitCode;

use crate::shutdown;

/// Turns a program's result into its exit code, with the chain of causes on standard error.
pub fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", describe(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Runs a tool of the terminal until it is done or stopped; dropping what runs ends every process that it started.
pub async fn run(tool: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    exit(tokio::select! {
        result = tool => result,
        signal = shutdown::signal() => signal.map_err(Into::into).and_then(|()| Err(anyhow::anyhow!("stopped on request"))),
    })
}

/// Writes an error with its causes, one a line.
#[must_use]
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, "\n  because: {error}").expect("writing to a String does not fail");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_their_effects() {
        let error = anyhow::anyhow!("the disk is full").context("the ledger was not written");
        assert_eq!(describe(error.as_ref()), "the ledger was not written\n  because: the disk is full");
    }
}
