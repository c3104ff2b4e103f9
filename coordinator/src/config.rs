//! The coordinator's configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;

use fedtwin_plan::text_file::{Check, Problem};
use serde::Deserialize;

use crate::policy::Policy;

/// What `coordinator.toml` says. Paths are relative to the folder that the file is in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// The address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The folder with the coordinator's credentials.
    pub credentials: PathBuf,
    /// The federation's revocation list, read before every handshake and every plan: with this line nobody is believed
    /// without a list that holds.
    pub revoked: Option<PathBuf>,
    /// The folder for models, logs and spools.
    pub state: PathBuf,
    /// What researchers and sites may use up.
    #[serde(default)]
    pub policy: Policy,
}

impl Check for CoordinatorConfig {
    fn check(&self) -> Result<(), Problem> {
        self.policy.check()
    }
}
