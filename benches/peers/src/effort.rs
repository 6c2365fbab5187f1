//! How much is measured: everything, or just enough to see that everything still works.
//!
//! Invariant: figures of a smoke run mean nothing, and stand nowhere but in the folder of what is built.

use std::time::Duration;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As much as it takes.
    Full,
    /// Each thing once, on little data.
    Smoke,
}

impl Effort {
    /// How often, where so often is enough.
    pub fn rounds(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Smoke => 1,
        }
    }

    /// How long, where so long is enough.
    pub fn time(self, full: Duration) -> Duration {
        match self {
            Self::Full => full,
            Self::Smoke => Duration::from_micros(10),
        }
    }

    /// As much as it takes, but no more than this for a smoke run.
    pub fn at_most(self, full: usize, smoke: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Smoke => full.min(smoke),
        }
    }

    /// On how many things.
    pub fn count(self, full: u64) -> u64 {
        match self {
            Self::Full => full,
            Self::Smoke => (full / 100).max(100),
        }
    }
}

/// A number that the user may set in the environment.
///
/// # Panics
/// What is set is no number.
pub fn set<T: std::str::FromStr>(name: &str, default: T) -> T {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, found {text}")))
}
