//! End-to-end, simulation, fault and tidy tests.

pub mod simulation;
