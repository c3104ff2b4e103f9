//! Where the coordinator is, as arguments of every command that calls it.

use std::path::PathBuf;

use clap::Args;
use fedtwin_research::client::Address;

/// Where the coordinator is and who calls it.
#[derive(Debug, Clone, Args)]
pub struct AddressArguments {
    /// The coordinator's address.
    #[arg(long, value_name = "HOST:PORT")]
    coordinator: String,
    /// The folder with the caller's credentials.
    #[arg(long, value_name = "DIR")]
    credentials: PathBuf,
    /// The DNS name or IP address in the coordinator's certificate.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    server_name: String,
    /// The federation's revocation list; a coordinator that is in it is not believed.
    #[arg(long, value_name = "REVOKED.PEM")]
    revoked: Option<PathBuf>,
}

impl From<AddressArguments> for Address {
    fn from(arguments: AddressArguments) -> Self {
        let AddressArguments { coordinator, credentials, server_name, revoked } = arguments;
        Self { coordinator, credentials, server_name, revoked }
    }
}
