//! What one event may take, and a node as a whole.
//!
//! Invariant: each limit has a name, a default, and an error that says that it was reached.

use std::time::Duration;

/// What one event, and the node as a whole, may take.
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
    /// Due timers that go before one input; more than that wait for the next one. Default 1,000.
    pub due: usize,
    /// Connections at one time. Default 100,000.
    pub connections: usize,
    /// Unconfirmed messages of one connection. Default 32,768.
    pub outbox: usize,
    /// How long a connection that is to be closed waits for the peer to confirm the rest. Default one hour.
    pub linger: Duration,
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
            connections: 100_000,
            outbox: 32_768,
            linger: Duration::from_secs(3600),
            record: 16 << 20,
        }
    }
}
