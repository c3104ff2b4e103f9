//! The programs and libraries that the build takes from the system.

use crate::error::Error;
use crate::shell::succeeds;
use crate::wheels::PYTHON;

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
    let missing: Vec<_> = needs
        .iter()
        .copied()
        .filter(|need| !succeeds(need.probe.0, need.probe.1))
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::Missing(missing))
    }
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
    why: "libtorch comes from the Python package index",
    package: "python3-pip",
    probe: (PYTHON, &["-m", "pip", "--version"]),
};

const PKG_CONFIG: Need = Need {
    name: "pkg-config",
    why: "opendp finds the system's OpenSSL with it",
    package: "pkg-config",
    probe: ("pkg-config", &["--version"]),
};

const OPENSSL: Need = Need {
    name: "OpenSSL with its headers",
    why: "opendp draws its noise from OpenSSL's random numbers",
    package: "libssl-dev",
    probe: ("pkg-config", &["--exists", "openssl"]),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_needs_are_named_at_once_with_their_packages() {
        let absent = |package| Need {
            package,
            probe: ("a-program-that-nobody-has", &[]),
            ..CXX
        };
        let message = require(&[absent("g++"), absent("libssl-dev")])
            .unwrap_err()
            .to_string();
        assert!(
            message.ends_with("apt-get install g++ libssl-dev"),
            "{message}"
        );
    }
}
