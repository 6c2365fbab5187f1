//! The workflow that both sides have: steps, one after the other, each a call to an outside that does nothing.
//!
//! Invariant: both call the same outside with the same input, and keep all that it answers.

/// How many steps it has.
pub const STEPS: u64 = 10;
/// How many of them were done before a restart.
pub const DONE: u64 = 3;

/// What the outside answers, at once.
pub fn answer(step: u64) -> String {
    format!("the outside has done step {step}")
}

/// What it has answered when a workflow is over.
pub fn answers() -> Vec<String> {
    (0..STEPS).map(answer).collect()
}
