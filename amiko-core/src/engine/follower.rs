//! A state that follows a journal that another process writes.

use super::document::{Document, Restored};
use crate::machine::Node;
use crate::serializable::ReadError;
use crate::store::{Recovery, Refused};
use crate::version::Version;

/// The state of a node as far as its journal was handed over: what a standby has in memory before it takes over, with
/// [`Engine::open_following`](super::Engine::open_following).
///
/// ```
/// use amiko_core::engine::{Follower, Settings};
/// use amiko_core::{prelude::*, store::{Memory, Store}};
/// # #[derive(Clone, Default, Serializable, Node)]
/// # #[amiko(machine)]
/// # struct Counter { value: u64 }
/// # #[derive(Clone, Serializable)]
/// # struct Add { amount: u64 }
/// # impl StateMachine for Counter {
/// #     type Node = Self;
/// #     type Message = Add;
/// #     fn handle(&mut self, add: Add, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
/// #         self.value += add.amount;
/// #         Ok(())
/// #     }
/// # }
///
/// # let mut engine = Engine::<Counter, _>::open(Memory::new(), Settings::default())?;
/// engine.send(&Id::new(()), Add { amount: 7 }, Time::from_secs(1))?;
/// engine.sync()?;
/// let mut follower = Follower::<Counter>::new();
/// engine.into_store().crash().recover(&mut follower)?;
/// assert_eq!(follower.version(), 1);
/// assert_eq!(follower.node().map(|counter| counter.value), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Follower<N: Node> {
    restored: Restored<N>,
    version: Version,
}

impl<N: Node> Follower<N> {
    /// One to which nothing was handed over yet.
    #[must_use]
    pub fn new() -> Self {
        Self { restored: Restored::Nothing, version: Version(0) }
    }

    /// The last version that was handed over.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The node, if there is one, and a program with the same classes has written it. One of other classes is migrated when it is
    /// opened.
    #[must_use]
    pub fn node(&self) -> Option<&N> {
        match &self.restored {
            Restored::Typed(document) => Some(&document.state),
            Restored::Nothing | Restored::Foreign(_) => None,
        }
    }

    pub(super) fn finish(self) -> Result<(Option<Document<N>>, bool), ReadError> {
        self.restored.finish()
    }
}

impl<N: Node> Default for Follower<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the position, and nothing of the state.
impl<N: Node> std::fmt::Debug for Follower<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("version", &self.version).finish_non_exhaustive()
    }
}

impl<N: Node> Recovery for Follower<N> {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        self.restored.snapshot(sequence, document)?;
        self.version = Version(sequence);
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        self.restored.record(sequence, record)?;
        self.version = Version(sequence);
        Ok(())
    }
}
