//! The limits of one event, and of a node as a whole.
//!
//! Invariant: each limit has a name, a default, and an error that reports it.

use std::time::Duration;

/// The limits of one event, and of the node as a whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Steps of one event: messages delivered, objects created and removed. Default 10,000.
    pub steps: usize,
    /// Objects created in one event. Default 10,000.
    pub created: usize,
    /// Outputs of one event. Default 10,000.
    pub outputs: usize,
    /// Timers at one time. Default 1,000,000.
    pub timers: usize,
    /// Due timers that fire before one input; the others wait for the next input. A runtime that fires them in slices has a limit
    /// of its own: see [`Engine::leave_timers`](crate::Engine::leave_timers). Default 1,000.
    pub due: usize,
    /// Missed runs of a repeating timer that are counted; [`Context::missed`](crate::Context::missed) says no higher number.
    /// Default 1,000.
    pub missed: u64,
    /// Effects that aren't over, at one time. Default 100,000.
    pub effects: usize,
    /// Connections at one time. Default 100,000.
    pub connections: usize,
    /// Unconfirmed messages of one connection. Default 32,768.
    pub outbox: usize,
    /// How long a closing connection waits for the peer to confirm the rest. Default one hour.
    pub linger: Duration,
    /// Answers to commands with a key that are kept, so that such a command acts once; beyond that, the oldest are
    /// forgotten, and their commands would act again. Default 100,000.
    pub answers: usize,
    /// How long such an answer is kept. Default one day.
    pub answer_age: Duration,
    /// Bytes of such a key. Default 255.
    pub answer_key: usize,
    /// Bytes of one journal record. Default 16 MiB.
    pub record: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 10_000,
            created: 10_000,
            outputs: 10_000,
            timers: 1_000_000,
            due: 1_000,
            missed: 1_000,
            effects: 100_000,
            connections: 100_000,
            outbox: 32_768,
            linger: Duration::from_secs(3600),
            answers: 100_000,
            answer_age: Duration::from_secs(24 * 3600),
            answer_key: 255,
            record: 16 << 20,
        }
    }
}
