//! Set-up, demo, tests, checks and benchmarks of this workspace.
fn main() {}
