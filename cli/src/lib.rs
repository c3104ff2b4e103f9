//! The command line of researchers, auditors and the certificate authority.
//!
//! Each command is a function of its arguments that returns what it has to say; [`cli`] parses the
//! arguments and prints. Nothing here loads a hospital's data: what a site does, its own program does.

mod address;
pub mod audit;
pub mod ca;
pub mod cli;
pub mod revocation;
pub mod simulate;
#[cfg(test)]
mod testing;
