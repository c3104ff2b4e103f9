//! Per-patient differential privacy: clip, quantise, sum, noise, account, charge.
//!
//! The unit of privacy is one patient at one site; the adjacency relation is to zero out one patient's
//! contribution, with the cohort's size declared and public. Every rounding goes towards spending more.
//!
//! The way of a release: the trainer adds one vector per patient into a [`patient_sum`]; the agent has
//! reserved the study's cost in its [`ledger`], whose claim is a [`permit`] for plain, noised or masked
//! values; it takes the [`steps`] that this asks for, makes a [`release`] of the [`protected`] values,
//! records it, and gets the receipt without which no byte leaves. What a study costs is computed by the
//! [`accountant`] from integers in the ledger's entries.
//!
//! Left out on purpose: tensors, clocks, sockets and tasks. This is the only crate that imports opendp.

pub mod accountant;
pub mod histogram;
pub mod ledger;
pub mod noise;
pub mod patient_sum;
pub mod permit;
pub mod protected;
pub mod random;
pub mod release;
pub mod sampling;
pub mod steps;
pub mod wire_integers;
