//! Operations on a node and its tables that only an engine may call: ending an event, undoing it, and writing it in
//! slices.
//!
//! Invariant: code outside this crate has an [`EngineOnly`] only for the duration of an engine's call, and only to
//! pass it on.

use std::sync::atomic::{AtomicU64, Ordering};

/// Proof that an engine is the caller. No other code can create or keep one, so no handler can empty a table's undo
/// log or roll back the node behind the engine's back.
#[derive(Debug)]
pub struct EngineOnly {
    /// Counted from 1. It tells the tables of one engine from those of another.
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
