//! When to dial a peer again.
//!
//! Invariant: the pause grows with each failure up to a limit, and two nodes don't dial in step.

use super::settings::ConversationSettings;
use super::{Moment, SocketId};
use crate::time::back_off;
use std::time::Duration;

/// A connection that this side dials.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) address: String,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) attempt: Attempt,
}

/// The dialling state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The connection has a socket.
    None,
    /// It begins at this moment.
    At(Moment),
    /// It is under way.
    UnderWay(SocketId),
}

/// The pause after this many failures in a row.
pub(super) fn pause(settings: &ConversationSettings, failures: u32, random: u64) -> Duration {
    back_off(settings.back_off_first, settings.back_off_limit, failures, random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let settings = ConversationSettings::default();
        assert_eq!(pause(&settings, 0, 7), Duration::ZERO);
        for (failures, longest) in
            [(1, 50), (2, 100), (5, 800), (10, 25_600), (11, 30_000), (33, 30_000), (u32::MAX, 30_000)]
        {
            let longest = Duration::from_millis(longest);
            assert_eq!(pause(&settings, failures, 0), longest);
            assert_eq!(pause(&settings, failures, u64::MAX), longest - longest / 2);
            assert!(pause(&settings, failures, 0x8000) < pause(&settings, failures, 0x4000));
        }
    }
}
