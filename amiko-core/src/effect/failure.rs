//! Why one attempt failed, and whether there is another.

use std::fmt;
use std::time::Duration;

/// An attempt that failed.
///
/// Any error becomes one with `?`, and is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong, for people: it is in the state until the effect is over.
    pub error: String,
    /// Whether there is another attempt.
    pub retry: Retry,
}

/// Whether there is another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After the pause of the effect's policy.
    Later,
    /// After this, as the service has asked.
    After(Duration),
    /// No: it would fail again.
    Never,
}

impl Failure {
    /// It is tried again, after the pause of the effect's policy.
    pub fn retry(error: impl fmt::Display) -> Self {
        Self { error: error.to_string(), retry: Retry::Later }
    }

    /// It is tried again after this.
    pub fn retry_after(pause: Duration, error: impl fmt::Display) -> Self {
        Self { error: error.to_string(), retry: Retry::After(pause) }
    }

    /// It isn't tried again.
    pub fn fatal(error: impl fmt::Display) -> Self {
        Self { error: error.to_string(), retry: Retry::Never }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retry(error)
    }
}
