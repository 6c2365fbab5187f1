//! What only an engine may ask of a node and its tables: to end an event, to undo it, and to write it in slices.
//!
//! Invariant: code outside this crate has an [`EngineOnly`] only as long as a call of an engine's lasts, and only to pass
//! it on.

use std::sync::atomic::{AtomicU64, Ordering};

/// Shows that an engine is asking. Nobody else can make one, or keep one: so no handler can empty the undo log of a table,
/// or put the node back behind the engine's back.
#[derive(Debug)]
pub struct EngineOnly {
    /// Counted from 1, so that no table of one engine is taken for that of another.
    engine: u64,
}

impl EngineOnly {
    pub(crate) fn new() -> Self {
        static ENGINES: AtomicU64 = AtomicU64::new(1);
        Self { engine: ENGINES.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn engine(&self) -> u64 {
        self.engine
    }
}
