//! gRPC over mutual TLS 1.3: accepting, connecting, and the settings that both ends share.
//!
//! tonic's own TLS has no way to ask for TLS 1.3 alone nor to bound handshakes, so both ends run rustls themselves.

mod accept;
mod calls;
mod connect;
mod handshakes;
mod places;
mod tuning;

pub use accept::{ConnectionLimits, Incoming, Peer, PeerStream, accept};
pub use calls::{Answered, CountCalls, Counted, holding};
pub use connect::{ConnectError, connect};
pub use places::{Full, Place, Places};
pub use tuning::tune_server;
