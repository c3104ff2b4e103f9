//! Whether this machine can confine trainers, and what a simulation does where it cannot.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

/// Whether this machine's kernel can confine a trainer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// It can, or no trainer is there to be confined.
    Possible,
    /// It cannot: the simulation's sites waive it, as people at a hospital would have to.
    Lacking,
}

impl Confinement {
    /// Asks the trainer; where the kernel cannot confine it, that is said on standard error.
    ///
    /// # Errors
    /// Fails where the program is there and does not start.
    pub fn of(trainer: &Path) -> anyhow::Result<Self> {
        if !trainer.exists() {
            return Ok(Self::Possible);
        }
        let asked = Command::new(trainer).arg("--check-kernel").stdin(Stdio::null()).output();
        let asked = asked.with_context(|| format!("cannot start {}", trainer.display()))?;
        if asked.status.success() {
            return Ok(Self::Possible);
        }
        let why = String::from_utf8_lossy(&asked.stderr).into_owned();
        eprintln!("this machine cannot confine trainers; they run with trainer.unprotected = true: {why}");
        Ok(Self::Lacking)
    }
}

/// Waives the protection of the trainer in a site's configuration.
pub(super) fn waived(config: String) -> String {
    const SECTION: &str = "[trainer]\n";
    let waiver = format!("{SECTION}unprotected = true\n");
    if config.contains(SECTION) { config.replace(SECTION, &waiver) } else { format!("{config}\n{waiver}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiver_goes_into_the_trainers_section_or_makes_one() {
        let with = "state = \"s\"\n[trainer]\nthreads = 1\n[policy]\n";
        assert_eq!(
            waived(with.into()),
            "state = \"s\"\n[trainer]\nunprotected = true\nthreads = 1\n[policy]\n"
        );
        assert_eq!(waived("[policy]\n".into()), "[policy]\n\n[trainer]\nunprotected = true\n");
    }
}
