//! The command line of researchers, auditors and the certificate authority.
//!
//! Each command is a function of its arguments that returns what it has to say; [`cli`] parses the
//! arguments and prints. Nothing here loads a hospital's data: what a site does, its own program does.

pub mod audit;
pub mod ca;
pub mod calibration;
pub mod cli;
pub mod client;
pub mod demo;
mod markup;
pub mod results;
pub mod revocation;
pub mod simulate;
pub mod study;
pub mod table;
