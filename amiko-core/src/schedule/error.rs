//! What is wrong with a schedule.
//!
//! Invariant: the text says what was expected, and what was found.

use std::fmt;
use std::time::Duration;

/// A schedule that can't be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A period that isn't a whole number of milliseconds, or less than one.
    Period {
        /// The period.
        found: Duration,
    },
    /// A text that isn't a cron expression.
    Expression {
        /// The text.
        found: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A cron expression that no moment matches, such as that of 30 February.
    Never {
        /// The expression.
        found: String,
    },
    /// A time zone that isn't known.
    Zone {
        /// Its name.
        found: String,
    },
    /// An expression, or the name of a zone, that is too long.
    TooLong {
        /// The limit in bytes.
        limit: usize,
        /// The length in bytes.
        found: usize,
    },
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Period { found } => {
                write!(f, "expected a period of whole milliseconds, and of at least one, found {found:?}")
            }
            Self::Expression { found, reason } => {
                write!(f, "expected a cron expression such as \"0 9 * * MON-FRI\", found {found:?}: {reason}")
            }
            Self::Never { found } => {
                write!(f, "expected a cron expression with a run, found {found:?}, which never has one")
            }
            Self::Zone { found } => {
                write!(f, "expected a time zone of the IANA database such as \"Europe/Berlin\", found {found:?}")
            }
            Self::TooLong { limit, found } => {
                write!(f, "expected a cron expression and a time zone of at most {limit} bytes each, found {found}")
            }
        }
    }
}

/// So a handler may return it with `?`, which rejects the event.
impl std::error::Error for ScheduleError {}
