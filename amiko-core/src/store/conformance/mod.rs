//! The requirements on any [`Store`], as rules that a store's tests can check.
//!
//! A [`Subject`] defines how a store is made and how it crashes; [`check_all`] then checks it against every rule, and
//! [`rules`] returns the rules, to report each of them.
//!
//! Invariant: a rule requires nothing that [`Store`] doesn't promise. A store may keep more than was synced, and a
//! crash may keep any prefix of the rest.
//!
//! ```
//! use amiko_core::store::{Memory, conformance};
//! use std::error::Error;
//!
//! struct InMemory;
//!
//! impl conformance::Subject for InMemory {
//!     type Store = Memory;
//!     fn fresh(&mut self) -> Result<Memory, Box<dyn Error>> {
//!         Ok(Memory::new())
//!     }
//!     fn crash(&mut self, store: Memory) -> Result<Memory, Box<dyn Error>> {
//!         Ok(store.crash())
//!     }
//! }
//!
//! conformance::check_all(&mut InMemory)?;
//! # Ok::<(), conformance::Violation>(())
//! ```

mod arguments;
mod records;
mod snapshots;
mod syncs;
mod trial;

use super::Store;
use std::error::Error;
use std::fmt;
use trial::Breach;

/// A kind of store that is checked against the rules: how one is made, and how it crashes.
///
/// Each rule begins with a fresh store. Two of the functions aren't possible with every kind of store; without them,
/// the rules that need them pass unchecked.
pub trait Subject {
    /// The store.
    type Store: Store;

    /// A store that was never used: opened, and not recovered. Two of them have nothing in common.
    ///
    /// # Errors
    /// Whatever prevents it; it is reported as what was found.
    fn fresh(&mut self) -> Result<Self::Store, Box<dyn Error>>;

    /// Ends a store without warning, and opens what a restart finds: everything that was synced, and any prefix of
    /// the rest.
    ///
    /// # Errors
    /// Whatever prevents it; it is reported as what was found.
    fn crash(&mut self, store: Self::Store) -> Result<Self::Store, Box<dyn Error>>;

    /// A fresh store whose buffers hold this many bytes, if that can be set.
    ///
    /// # Errors
    /// Whatever prevents it; it is reported as what was found.
    fn limited(&mut self, bytes: u64) -> Result<Option<Self::Store>, Box<dyn Error>> {
        let _ = bytes;
        Ok(None)
    }

    /// Makes the next sync of a store that has something to do fail. Returns whether that is possible.
    fn fail_next_sync(&mut self, store: &mut Self::Store) -> bool {
        let _ = store;
        false
    }
}

/// One requirement on every store.
#[derive(Debug)]
pub struct Rule<S: Subject> {
    name: &'static str,
    check: fn(&mut S) -> Result<(), Breach>,
}

/// A rule that a store has broken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The name of the rule.
    pub rule: &'static str,
    /// What the store should have done.
    pub expected: String,
    /// What it did.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, expected, found } = self;
        write!(f, "{rule}: expected {expected}, found {found}")
    }
}

impl Error for Violation {}

impl<S: Subject> Rule<S> {
    /// The requirement, in words joined by `_`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Checks a store against the rule.
    ///
    /// # Errors
    /// The first deviation of the store.
    pub fn check(&self, subject: &mut S) -> Result<(), Violation> {
        let violation = |Breach { expected, found }| Violation { rule: self.name, expected, found };
        (self.check)(subject).map_err(violation)
    }
}

/// Every rule, the simple ones first: a store that breaks one often breaks some later ones as well.
///
/// ```
/// use amiko_core::store::{Memory, conformance};
/// # use std::error::Error;
/// # struct InMemory;
/// # impl conformance::Subject for InMemory {
/// #     type Store = Memory;
/// #     fn fresh(&mut self) -> Result<Memory, Box<dyn Error>> {
/// #         Ok(Memory::new())
/// #     }
/// #     fn crash(&mut self, store: Memory) -> Result<Memory, Box<dyn Error>> {
/// #         Ok(store.crash())
/// #     }
/// # }
///
/// for rule in conformance::rules() {
///     match rule.check(&mut InMemory) {
///         Ok(()) => println!("{}: holds", rule.name()),
///         Err(violation) => println!("{violation}"),
///     }
/// }
/// ```
#[must_use]
pub fn rules<S: Subject>() -> Vec<Rule<S>> {
    macro_rules! rules {
        ($($module:ident: $($name:ident)+;)+) => {
            vec![$($(Rule { name: stringify!($name), check: $module::$name }),+),+]
        };
    }
    rules! {
        records:
            an_empty_store_recovers_nothing
            recovery_comes_first_and_once
            records_come_back_as_they_were_given
            synced_records_survive
            unsynced_records_survive_only_as_a_beginning
            what_was_recovered_stays
            a_visitor_may_refuse;
        syncs:
            nothing_to_do_is_no_work
            work_covers_what_was_given_before_it
            there_is_one_sync_at_a_time
            an_end_needs_a_beginning
            dropped_work_acknowledges_nothing
            a_write_is_not_forgotten_by_the_sync_after_it
            a_failed_sync_ends_it;
        arguments:
            records_are_checked
            snapshots_are_checked
            usage_is_what_a_recovery_reads
            the_record_buffer_is_limited
            the_snapshot_buffer_is_limited;
        snapshots:
            a_snapshot_replaces_what_it_covers
            an_unfinished_snapshot_changes_nothing
            a_snapshot_is_given_up_for_another
            a_snapshot_covers_records_that_are_not_synced
            a_snapshot_may_end_while_a_sync_is_under_way
            the_last_snapshot_of_a_sync_counts
            any_order_of_calls_is_survived;
    }
}

/// Checks a store against every rule.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_all<S: Subject>(subject: &mut S) -> Result<(), Violation> {
    rules().iter().try_for_each(|rule| rule.check(subject))
}
