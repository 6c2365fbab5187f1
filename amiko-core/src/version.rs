//! The number of a version.
//!
//! Invariant: numbers have no gaps: each committed event that changed something makes the next one.

use std::cmp::Ordering;
use std::fmt;

/// A version of a node: each committed event makes one, counted from 1. The state before the first is version 0.
///
/// ```
/// use amiko_core::Version;
///
/// let version = Version(7);
/// assert_eq!(version.next(), 8);
/// assert_eq!(version.to_string(), "7");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Version {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl PartialEq<u64> for Version {
    fn eq(&self, number: &u64) -> bool {
        self.0 == *number
    }
}

impl PartialOrd<u64> for Version {
    fn partial_cmp(&self, number: &u64) -> Option<Ordering> {
        self.0.partial_cmp(number)
    }
}
