//! What can be set, and every limit.
//!
//! Invariant: each limit has a name, a default, and an error that says that it was reached.

use crate::event::Limits;

/// Where the bytes of `Context::random` come from.
#[derive(Clone, Default)]
pub enum Entropy {
    /// The operating system, asked once when the engine is opened.
    #[default]
    System,
    /// This seed: the same events then draw the same bytes. For tests and simulations.
    Seed([u8; 32]),
}

/// Hides the seed: secrets follow from it.
impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Seed(_) => "Seed(…)",
        })
    }
}

/// How an engine works.
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
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// Versions that are kept in memory. Default 1,000.
    pub history: usize,
    /// Bytes of the versions that are kept in memory: their records, and what their events have changed or removed. What
    /// doesn't fit isn't kept, the newest one included. Default 64 MiB.
    pub history_bytes: usize,
    /// Rejections that are kept in memory. Default 100.
    pub rejections: usize,
    /// Every record is read back into a second state before it is kept, and what it leads to is compared with the state: for
    /// tests, since it takes the memory of another state. Default: in a build with debug assertions.
    pub check_records: bool,
    /// A new snapshot is made when the journal is this many times as large as the last one. Default 2.
    pub snapshot_ratio: u64,
    /// No new snapshot is made for a journal smaller than this, in bytes. Default 1 MiB.
    pub snapshot_minimum: u64,
    /// Bytes of a new snapshot that are written for each byte that the journal grows by meanwhile: it is done when the
    /// journal has grown by its length divided by this. Default 4.
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
            check_records: cfg!(debug_assertions),
            snapshot_ratio: 2,
            snapshot_minimum: 1 << 20,
            snapshot_pace: 4,
        }
    }
}
