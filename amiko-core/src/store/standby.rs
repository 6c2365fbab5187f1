//! Several machines that have one journal: one of them leads, the others follow and take over.
//!
//! Invariant: whoever leads has told the store so, durably, before it reads the end of the journal; so nobody who led before can
//! add to what it has read.

use super::{RecoverError, Recovery, Store, StoreError};
use std::time::Duration;

/// A place in a cluster: it follows the journal that a leader writes, and takes over when there is none.
///
/// The store that a cluster shares has a lease: a leader has it until it runs out, and renews it before that. It is the store's
/// own clock that tells the time of it, and the store's own fence that keeps a former leader from writing
/// ([`StoreError::Fenced`]).
///
/// All calls block; a runtime has a thread for them.
pub trait Standby: Send + 'static {
    /// The store of a leader.
    type Store: Store;

    /// Hands over what was committed since the last call: records, each one after the one before; or, for the first time and when
    /// what was handed over isn't in the journal any more, the newest snapshot and the records after it.
    ///
    /// What is handed over isn't certain: it may have been committed on a machine that is lost since, and is replaced then.
    ///
    /// # Errors
    /// As [`Store::recover`]. After [`RecoverError::Io`] it may be called again.
    fn follow(&mut self, visitor: &mut dyn Recovery) -> Result<(), RecoverError>;

    /// Waits until the journal or the lease may have changed, at most for so long.
    fn wait(&mut self, at_most: Duration);

    /// Takes over, if nobody leads. Then [`Store::recover`] hands over what [`follow`](Standby::follow) hasn't yet.
    ///
    /// # Errors
    /// [`StoreError::Io`]: nobody knows who leads. It may be called again.
    fn take_over(&mut self) -> Result<Takeover<Self::Store>, StoreError>;

    /// Gives the lease back, so that another one leads at once, and waits until that is done, or can't be done.
    fn release(store: Self::Store) {
        drop(store);
    }
}

/// What came of an attempt to take over.
#[derive(Debug)]
#[non_exhaustive]
pub enum Takeover<S> {
    /// This one leads from now on.
    Leads(S),
    /// Another one does.
    Follows(Leader),
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leader {
    /// Its name.
    pub holder: String,
    /// Where it answers, if it says so.
    pub address: Option<String>,
    /// How long its lease still runs, if it doesn't renew it.
    pub left: Duration,
}

impl Leader {
    /// A leader without an address.
    #[must_use]
    pub fn new(holder: impl Into<String>, left: Duration) -> Self {
        Self { holder: holder.into(), address: None, left }
    }

    /// The same with where it answers.
    #[must_use]
    pub fn at(mut self, address: Option<String>) -> Self {
        self.address = address;
        self
    }
}
