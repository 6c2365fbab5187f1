//! The workflow that all sides have: it may sleep first; then come steps, one after the other, each a call to an outside that does
//! nothing.
//!
//! Invariant: all call the same outside with the same input, and keep all that it answers.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many steps it has, where nothing else is said.
pub const STEPS: u64 = 10;
/// How many of them were done before a restart.
pub const DONE: u64 = 3;

/// What one workflow does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Until when it sleeps, in milliseconds since 1970, if it does.
    pub wake: Option<u64>,
    /// How many steps come then.
    pub steps: u64,
}

impl Task {
    /// Steps, and no sleep.
    pub const STEPS: Self = Self { wake: None, steps: STEPS };

    /// One that sleeps until then, and does one step.
    pub fn sleep(wake: SystemTime) -> Self {
        let wake = wake.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        Self { wake: Some(wake), steps: 1 }
    }

    /// How long it has to sleep, if that begins now.
    pub fn sleeps(&self, now: SystemTime) -> Option<Duration> {
        let wake = UNIX_EPOCH + Duration::from_millis(self.wake?);
        Some(wake.duration_since(now).unwrap_or_default())
    }
}

/// What the outside answers, at once.
pub fn answer(step: u64) -> String {
    format!("the outside has done step {step}")
}

/// What it has answered when a workflow is over that has so many steps.
pub fn answers(steps: u64) -> Vec<String> {
    (0..steps).map(answer).collect()
}

/// The name of a workflow, where it needs one.
pub fn name(workflow: u64) -> String {
    format!("workflow-{workflow}")
}
