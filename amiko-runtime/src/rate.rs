//! How many lines a peer may send.
//!
//! Invariant: in any time t at most `burst` + `rate` × t lines are let through; none is lost.

use std::time::Duration;
use tokio::time::Instant;

/// A token bucket, kept as the moment at which it would be full again (the generic cell rate algorithm of ATM).
pub(crate) struct Rate {
    /// The average time between two lines.
    interval: Duration,
    /// How early lines may come.
    tolerance: Duration,
    full: Instant,
}

impl Rate {
    pub(crate) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Self { interval, tolerance: interval.saturating_mul(burst.saturating_sub(1)), full: now }
    }

    /// Takes a line and returns how long it has to wait.
    pub(crate) fn take(&mut self, now: Instant) -> Duration {
        let full = self.full.max(now);
        self.full = full + self.interval;
        full.duration_since(now).saturating_sub(self.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let begin = Instant::now();
        let mut rate = Rate::new(10, 3, begin);
        let waits: Vec<u128> = (0..5).map(|_| rate.take(begin).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200]);
        // Waiting until then, and a second more, saves up no more than a burst.
        let later = begin + Duration::from_millis(5_200);
        let waits: Vec<u128> = (0..4).map(|_| rate.take(later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100]);
    }

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            per_second in 1..1_000_u32, burst in 1..50_u32, pauses in prop::collection::vec(0..50_u64, 1..200),
        ) {
            let begin = Instant::now();
            let (mut rate, mut now) = (Rate::new(per_second, burst, begin), begin);
            for (count, pause) in pauses.into_iter().enumerate() {
                now += Duration::from_millis(pause);
                now += rate.take(now);
                let allowed = f64::from(burst) + now.duration_since(begin).as_secs_f64() * f64::from(per_second);
                prop_assert!((count + 1) as f64 <= allowed + 0.001, "{} of {allowed}", count + 1);
            }
        }
    }
}
