//! The coordinator's configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;

use fedtwin_plan::text_file::{Check, Problem};
use serde::Deserialize;

/// What `coordinator.toml` says. Paths are relative to the folder that the file is in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// The address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The folder with the coordinator's credentials.
    pub credentials: PathBuf,
    /// The folder for models, logs and spools.
    pub state: PathBuf,
}

impl Check for CoordinatorConfig {
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }
}
