//! Configuration files: TOML, read once at the start, refused with file and line.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fedtwin_plan::text_file::{Check, TextError, parse};
use serde::de::DeserializeOwned;

/// Loads and checks a configuration file; paths in it stay as they are written.
///
/// # Errors
/// Refuses a file that cannot be read, that everybody on the machine may write, or that says something impossible.
pub fn load<T: DeserializeOwned + Check>(path: &Path) -> Result<T, ConfigError> {
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing(path.to_owned()),
        _ => ConfigError::Unreadable { path: path.to_owned(), source },
    };
    if std::fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o002 != 0 {
        return Err(ConfigError::Writable(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(parse(&path.display().to_string(), &text)?)
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error("{0} does not exist; write it or name another configuration file")]
    Missing(PathBuf),
    /// Whoever has an account on the machine could change it.
    #[error("everybody on this machine may write {0}, which says whom this program believes: chmod o-w {0}")]
    Writable(PathBuf),
    /// The file cannot be read as text.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The text is refused.
    #[error(transparent)]
    Text(#[from] TextError),
}

#[cfg(test)]
mod tests {
    use fedtwin_plan::text_file::Problem;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Port {
        port: u16,
    }

    impl Check for Port {
        fn check(&self) -> Result<(), Problem> {
            if self.port == 0 { Err(Problem::new("port", "is 0, expected 1 to 65535")) } else { Ok(()) }
        }
    }

    #[test]
    fn refusals_name_the_file_and_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.toml");
        let error = |path: &Path| load::<Port>(path).unwrap_err().to_string();
        assert!(
            error(&path).ends_with("site.toml does not exist; write it or name another configuration file")
        );
        std::fs::write(&path, "\nport = 0").unwrap();
        assert!(error(&path).ends_with("site.toml:2: port is 0, expected 1 to 65535"));
        std::fs::write(&path, [0xff]).unwrap();
        assert!(error(&path).ends_with("site.toml cannot be read"));
        std::fs::write(&path, "port = 7").unwrap();
        assert_eq!(load::<Port>(&path).unwrap().port, 7);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
        assert!(error(&path).contains("everybody on this machine may write"));
    }
}
