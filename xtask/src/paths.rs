//! Where the checkout is, and where fetched things are kept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Holds the folders that every command works in.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The checkout's root.
    pub(crate) root: PathBuf,
    /// This project's folder in the user's cache.
    pub(crate) cache: PathBuf,
}

impl Paths {
    /// Finds the folders from the environment.
    pub(crate) fn from_env() -> Result<Self, Error> {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the checkout's root");
        let cache =
            cache_folder(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")).ok_or_else(|| {
                Error::Environment(
                    "neither XDG_CACHE_HOME nor HOME is set: no place to keep libtorch".to_owned(),
                )
            })?;
        Ok(Self { root: root.to_owned(), cache })
    }

    /// Names the link in the checkout that leads to libtorch; `.cargo/config.toml` sets LIBTORCH to it.
    pub(crate) fn link(&self) -> PathBuf {
        self.root.join(".libtorch")
    }

    /// Names the folder of cargo's build outputs.
    pub(crate) fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |folder| self.root.join(folder))
    }
}

/// Chooses the cache folder as the XDG base directory specification says: a relative XDG_CACHE_HOME does not count.
fn cache_folder(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |folder: OsString| Some(PathBuf::from(folder)).filter(|path| path.is_absolute());
    let base = xdg.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".cache")))?;
    Some(base.join("fedtwin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_lies_in_xdg_cache_home_or_else_in_home() {
        let check = |xdg: Option<&str>, home: Option<&str>, expected: Option<&str>| {
            assert_eq!(cache_folder(xdg.map(Into::into), home.map(Into::into)), expected.map(PathBuf::from));
        };
        check(Some("/c"), Some("/home/a"), Some("/c/fedtwin"));
        check(None, Some("/home/a"), Some("/home/a/.cache/fedtwin"));
        check(Some(""), Some("/home/a"), Some("/home/a/.cache/fedtwin"));
        check(Some("relative"), Some("/home/a"), Some("/home/a/.cache/fedtwin"));
        check(None, None, None);
    }
}
