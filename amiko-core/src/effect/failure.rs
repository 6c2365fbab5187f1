//! Why one attempt failed, and whether there is another.

use std::fmt;
use std::time::Duration;

/// An attempt that failed.
///
/// Any error becomes one with `?`, and is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong. It is kept in the state, heard by the owner if the effect is given up, logged, and shown: no secret belongs
    /// into it. At most [`Failure::MAX_TEXT`] bytes are kept.
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
    /// Bytes of the text that are kept; what is longer is cut off, and ends with `…`.
    pub const MAX_TEXT: usize = 4_096;

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

/// The text of a failure as it is kept.
pub(crate) fn kept(text: &str) -> String {
    let limit = Failure::MAX_TEXT;
    if text.len() <= limit {
        return text.to_owned();
    }
    let room = limit - '…'.len_utf8();
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= room).last().unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
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
