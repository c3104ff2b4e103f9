//! End-to-end, simulation, fault and tidy tests.

pub mod fake_coordinator;
pub mod flood;
pub mod hand_made;
pub mod relay;
pub mod script;
pub mod simulation;
pub mod testbed;
pub mod vector_study;
pub mod watch;
