//! What is called by the steps.
//!
//! Invariant: all that was called is known, and when.

use crate::process::resident;
use crate::workflow::answer;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// At which call after a restart memory is looked at again.
pub const WARM: usize = 1_000;
/// How often somebody who waits for calls looks.
const LOOK: Duration = Duration::from_millis(1);

/// The outside.
pub struct Outside {
    /// So many steps of a workflow are answered, and no further one.
    answered: u64,
    heard: Mutex<Heard>,
}

/// What it has heard.
#[derive(Clone, Default)]
pub struct Heard {
    /// When each call came.
    pub calls: Vec<SystemTime>,
    /// The bytes that the process had in memory at call number [`WARM`].
    pub resident: u64,
    /// Whether there was one that isn't answered.
    hangs: bool,
}

impl Default for Outside {
    fn default() -> Self {
        Self::until(u64::MAX)
    }
}

impl Outside {
    /// One that answers so many steps of a workflow, and no further one.
    pub fn until(answered: u64) -> Self {
        Self { answered, heard: Mutex::default() }
    }

    /// Does a step.
    pub async fn call(&self, step: u64) -> String {
        if step >= self.answered {
            self.heard.lock().expect("nobody panics").hangs = true;
            return std::future::pending().await;
        }
        let mut heard = self.heard.lock().expect("nobody panics");
        heard.calls.push(SystemTime::now());
        if heard.calls.len() == WARM {
            heard.resident = resident();
        }
        answer(step)
    }

    /// Waits for so many calls.
    pub async fn heard(&self, calls: usize) -> Heard {
        self.look(|heard| heard.calls.len() >= calls).await
    }

    /// Waits for a call that isn't answered.
    pub async fn hangs(&self) {
        self.look(|heard| heard.hangs).await;
    }

    async fn look(&self, mut is_enough: impl FnMut(&Heard) -> bool) -> Heard {
        loop {
            let found = {
                let heard = self.heard.lock().expect("nobody panics");
                is_enough(&heard).then(|| heard.clone())
            };
            if let Some(heard) = found {
                return heard;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
