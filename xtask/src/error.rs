//! What can go wrong in a set-up or a check, worded for the person at the terminal.
//!
//! Written out by hand: this program has no dependencies, because it is the first thing a newcomer compiles.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Says why a command of this program stopped.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line makes no sense.
    Usage(String),
    /// Programs or libraries that must come from the system's packages are not there.
    Missing(Vec<crate::tools::Need>),
    /// This platform has no prebuilt libtorch.
    Platform {
        /// The operating system's name.
        os: &'static str,
        /// The processor's name.
        arch: &'static str,
    },
    /// The environment variables contradict each other or the disk.
    Environment(String),
    /// A program could not be started.
    Start {
        /// The command line as a person would type it.
        command: String,
        /// Why not.
        source: io::Error,
    },
    /// A program ran and reported failure.
    Failed {
        /// The command line as a person would type it.
        command: String,
        /// Its exit status in words.
        status: String,
    },
    /// A file could not be read, written or linked.
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Some steps of `ci` failed; the summary above named them.
    Steps(usize),
}

impl Error {
    /// Makes the adapter that adds the path to an input or output error.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "{what} (`cargo xtask help` lists the commands)"),
            Self::Missing(needs) => {
                for need in needs {
                    writeln!(f, "{} is missing: {}", need.name, need.why)?;
                }
                let packages: Vec<_> = needs.iter().map(|need| need.package).collect();
                write!(f, "on Debian or Ubuntu: apt-get install {}", packages.join(" "))
            }
            Self::Platform { os, arch } => write!(
                f,
                "no prebuilt libtorch is known for {os} on {arch}; install libtorch 2.13.0 and set LIBTORCH to its folder"
            ),
            Self::Environment(what) => f.write_str(what),
            Self::Start { command, source } => write!(f, "cannot start `{command}`: {source}"),
            Self::Failed { command, status } => write!(f, "`{command}` failed: {status}"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Steps(1) => f.write_str("one step failed"),
            Self::Steps(count) => write!(f, "{count} steps failed"),
        }
    }
}
