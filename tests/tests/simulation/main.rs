//! The pure cores of both programs together, under simulated time and generated schedules.

mod attempt;
mod secure_attempt;
mod study;
