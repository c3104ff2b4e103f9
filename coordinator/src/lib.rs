//! The coordinator: studies, rounds, spools and aggregation.
//!
//! [`attempt`] and [`study`] are the protocol: synchronous, without IO, clock or randomness; [`register`] knows all
//! studies, and by [`access`] and [`policy`] who may do what and how much. [`gate`] holds every call against them
//! before anything of it is read. [`driver`] is the one task that owns
//! them and performs what they ask for; [`services`] takes calls from the wire to
//! it. Updates never pass through the driver: they go to a [`spool`], and at the close of a round
//! [`aggregate`] walks over all spools. Nothing here can load a hospital's data or a tensor library.

pub mod access;
pub mod aggregate;
pub mod attempt;
pub mod average;
pub mod capacity;
pub mod config;
pub mod driver;
pub mod feed;
pub mod gate;
pub mod history;
pub mod initial;
pub mod mirror;
pub mod optimiser;
pub mod policy;
pub mod record;
pub mod refusals;
pub mod register;
pub mod secure;
pub mod server;
pub mod services;
pub mod spool;
pub mod store;
pub mod study;
pub mod study_error;
pub mod words;
