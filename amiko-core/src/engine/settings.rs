//! The settings of an engine, and every limit.
//!
//! Invariant: each limit has a name, a default, and an error that reports it.

use crate::event::Limits;

/// The source of the bytes of `Context::random`.
#[derive(Clone, Default)]
pub enum Entropy {
    /// The operating system, asked once when the engine is opened.
    #[default]
    System,
    /// This seed: the same events then draw the same bytes. For tests and simulations.
    Seed([u8; 32]),
}

/// Hides the seed: secrets are derived from it.
impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Seed(_) => "Seed(…)",
        })
    }
}

/// The settings of an engine.
///
/// ```
/// use amiko_core::engine::Settings;
/// let mut settings = Settings::default();
/// settings.history = 10;
/// settings.limits.steps = 100;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Every limit.
    pub limits: Limits,
    /// The source of randomness.
    pub entropy: Entropy,
    /// Versions that are kept in memory. Default 1,000.
    pub history: usize,
    /// Bytes of the versions that are kept in memory: their records, and the objects that their events changed or
    /// removed. A version that doesn't fit isn't kept, not even the newest. Default 64 MiB.
    pub history_bytes: usize,
    /// Rejections that are kept in memory. Default 100.
    pub rejections: usize,
    /// Deliveries that are kept in memory for [`Engine::deliveries`](super::Engine::deliveries), of the newest versions. An
    /// event that delivers more messages than this has none. Default 0: they cost a key and some 64 bytes each.
    pub deliveries: usize,
    /// Whether a rejected command gets a record too, which says why, and makes a version without changing anything. Whoever
    /// may send commands can make the journal grow then. Default: false.
    pub journal_rejected: bool,
    /// Whether every record is read back into a second state before it is kept, and the result compared with the
    /// state: for tests, since it takes the memory of another state. Default: true in a build with debug assertions.
    pub check_records: bool,
    /// A new snapshot is made when the journal is this many times as large as the last one. Default 2.
    pub snapshot_ratio: u64,
    /// No new snapshot is made for a journal smaller than this, in bytes. Default 1 MiB.
    pub snapshot_minimum: u64,
    /// Bytes of a new snapshot written for each byte that the journal grows by meanwhile: the snapshot is done when
    /// the journal has grown by the snapshot's length divided by this. Default 4.
    pub snapshot_pace: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            entropy: Entropy::System,
            history: 1_000,
            history_bytes: 64 << 20,
            rejections: 100,
            deliveries: 0,
            journal_rejected: false,
            check_records: cfg!(debug_assertions),
            snapshot_ratio: 2,
            snapshot_minimum: 1 << 20,
            snapshot_pace: 4,
        }
    }
}
