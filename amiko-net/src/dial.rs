//! When a peer is dialled again.
//!
//! Invariant: the pause grows with each failure up to a limit, and two nodes don't keep step.

use crate::settings::NetSettings;
use crate::socket::SocketId;
use std::time::Duration;
use tokio::task::AbortHandle;

/// A connection that this side dials.
pub(crate) struct Dial {
    pub(crate) address: String,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// The attempt under way; none while there is a socket.
    pub(crate) attempt: Option<(SocketId, AbortHandle)>,
}

impl Dial {
    pub(crate) const fn new(address: String) -> Self {
        Self { address, failures: 0, attempt: None }
    }

    /// Ends the attempt under way.
    pub(crate) fn rest(&mut self) {
        if let Some((_, task)) = self.attempt.take() {
            task.abort();
        }
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        self.rest();
    }
}

/// The pause after so many failures in a row: doubled each time, then shortened at random by up to a half.
pub(crate) fn pause(settings: &NetSettings, failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let doubled = settings.back_off_first.saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
    let longest = doubled.min(settings.back_off_limit);
    let half = longest / 2;
    longest - half.mul_f64(f64::from(u16::from_be_bytes(random())) / f64::from(u16::MAX))
}

/// Random bytes for dice and pauses; zeros where the operating system has none, which costs some attempts and no more.
pub(crate) fn random<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes,
        Err(_) => [0; LENGTH],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let settings = NetSettings::default();
        assert_eq!(pause(&settings, 0), Duration::ZERO);
        for (failures, longest) in
            [(1, 50), (2, 100), (5, 800), (10, 25_600), (11, 30_000), (33, 30_000), (u32::MAX, 30_000)]
        {
            let longest = Duration::from_millis(longest);
            let pauses: Vec<_> = (0..100).map(|_| pause(&settings, failures)).collect();
            let (least, most) = (*pauses.iter().min().unwrap(), *pauses.iter().max().unwrap());
            assert!(most <= longest && least >= longest / 2, "{least:?} to {most:?} after {failures} failures");
            // Two nodes that failed at the same moment don't try again at the same moment: the odds of this are 1 in 10^37.
            assert!(most - least > longest / 8, "{least:?} to {most:?} after {failures} failures");
        }
    }
}
