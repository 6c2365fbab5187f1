//! When an effect is tried again, and for how long.
//!
//! Invariant: the pause grows with each failure up to a limit, and effects that fail together aren't tried again together.

use crate::time::back_off;
use std::time::Duration;

/// How often and how long an effect is tried. It isn't part of the state: a new version of a program may have another.
///
/// ```
/// use amiko_core::effect::Policy;
/// use std::time::Duration;
///
/// let policy = Policy { attempts: 3, ..Policy::default() };
/// assert_eq!(policy.total, Duration::from_secs(24 * 3600));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Failures after which the effect is given up. Default: none are too many, and `total` decides.
    pub attempts: u32,
    /// Pause after the first failure; it doubles with each, and is shortened at random by up to a half. Default 1 s.
    pub first: Duration,
    /// The longest such pause. Default 5 min.
    pub limit: Duration,
    /// How long one attempt may take; then it counts as failed. Default 30 s.
    pub attempt: Duration,
    /// How long after it was asked for the effect is given up, also if it waited for others of its owner. A pause that would end
    /// later gives it up at once. Default one day.
    pub total: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: u32::MAX,
            first: Duration::from_secs(1),
            limit: Duration::from_secs(300),
            attempt: Duration::from_secs(30),
            total: Duration::from_secs(24 * 3600),
        }
    }
}

impl Policy {
    /// The pause after this many failures in a row.
    pub fn pause(&self, failures: u32, random: u64) -> Duration {
        back_off(self.first, self.limit, failures, random)
    }
}
