//! How much of what others cause is logged.
//!
//! Invariant: nothing is left out uncounted, and what is kept doesn't grow: one entry for each cause.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines of a log that strangers and neighbours can cause: so many a second for each cause. One more silences the cause for a
/// while, and then one line says how many were left out.
///
/// ```
/// use amiko_runtime::{LogLimit, RuntimeSettings};
/// use std::time::{Duration, Instant};
///
/// let limit = LogLimit::new(5, Duration::from_secs(10));
/// let mut settings = RuntimeSettings::default();
/// settings.log = Some(std::sync::Arc::new(move |event| {
///     let now = Instant::now();
///     if limit.admits(event.name(), now) {
///         println!("{event}");
///     }
///     limit.due(now).iter().for_each(|sum| println!("{sum}"));    // "1,204 more refused in the last 10 s"
/// }));
/// ```
///
/// A sum is due even if nothing happens any more: a program with a thread for its log asks there, too.
#[derive(Debug)]
pub struct LogLimit {
    lines: usize,
    silence: Duration,
    causes: Mutex<BTreeMap<&'static str, Cause>>,
}

#[derive(Debug, Default)]
struct Cause {
    /// When the last lines were admitted, as many as are allowed in a second.
    admitted: VecDeque<Instant>,
    silent: Option<Silent>,
}

#[derive(Clone, Copy, Debug)]
struct Silent {
    since: Instant,
    count: u64,
}

/// How many lines of one cause were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSum {
    /// What they would have said, as named for [`LogLimit::admits`].
    pub cause: &'static str,
    /// How many.
    pub count: u64,
    /// Within how long.
    pub over: Duration,
}

impl LogLimit {
    /// At most so many lines a second of each cause, at least one; a cause that would have more is silent for so long.
    pub fn new(lines: u32, silence: Duration) -> Self {
        let lines = usize::try_from(lines).unwrap_or(usize::MAX).max(1);
        Self { lines, silence, causes: Mutex::default() }
    }

    /// Whether a line of this cause is logged now. If it isn't, it is counted.
    pub fn admits(&self, cause: &'static str, now: Instant) -> bool {
        let mut causes = self.causes();
        let cause = causes.entry(cause).or_default();
        if let Some(silent) = &mut cause.silent {
            silent.count = silent.count.saturating_add(1);
            return false;
        }
        if cause.admitted.len() == self.lines {
            let first = cause.admitted.front().copied();
            if first.is_some_and(|first| now.saturating_duration_since(first) < Duration::from_secs(1)) {
                cause.silent = Some(Silent { since: now, count: 1 });
                return false;
            }
            cause.admitted.pop_front();
        }
        cause.admitted.push_back(now);
        true
    }

    /// The sums of the causes that have been silent for long enough; they are silent no longer.
    pub fn due(&self, now: Instant) -> Vec<LogSum> {
        self.take(now, self.silence)
    }

    /// The sums of all causes that are silent: for the end of a program.
    pub fn rest(&self, now: Instant) -> Vec<LogSum> {
        self.take(now, Duration::ZERO)
    }

    fn take(&self, now: Instant, silence: Duration) -> Vec<LogSum> {
        let mut causes = self.causes();
        let silent = causes.iter_mut().filter_map(|(name, cause)| {
            let Silent { since, count } = cause.silent?;
            let over = now.saturating_duration_since(since);
            if over < silence {
                return None;
            }
            cause.silent = None;
            Some(LogSum { cause: name, count, over })
        });
        silent.collect()
    }

    fn causes(&self) -> MutexGuard<'_, BTreeMap<&'static str, Cause>> {
        // Nothing panics while it is locked; and counts are right at any moment.
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for LogSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.count.to_string();
        for (index, digit) in digits.chars().enumerate() {
            let separated = index > 0 && (digits.len() - index).is_multiple_of(3);
            write!(f, "{}{digit}", if separated { "," } else { "" })?;
        }
        let seconds = ((self.over.as_millis() + 500) / 1_000).max(1);
        write!(f, " more {} in the last {seconds} s", self.cause.replace('_', " "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn shown(sums: &[LogSum]) -> Vec<String> {
        sums.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn so_many_lines_a_second_and_then_one_that_says_how_many_more() {
        let (limit, begun) = (LogLimit::new(5, TEN), Instant::now());
        let at = |millis| begun + Duration::from_millis(millis);
        // A stranger that dials 200 times a second.
        let admitted: Vec<u64> =
            (0..2_005).map(|n| n * 5).filter(|millis| limit.admits("refused", at(*millis))).collect();
        assert_eq!(admitted, [0, 5, 10, 15, 20]);
        assert!(limit.due(at(10_024)).is_empty());
        assert_eq!(shown(&limit.due(at(10_025))), ["2,000 more refused in the last 10 s"]);
        // It isn't said twice, and the cause begins anew.
        assert!(limit.due(at(30_000)).is_empty() && limit.rest(at(30_000)).is_empty());
        assert!(limit.admits("refused", at(30_000)));
    }

    #[test]
    fn in_no_second_there_are_more_than_so_many_lines_however_they_are_spread() {
        for gap in [1, 90, 199, 200, 201, 249, 333, 999] {
            let (limit, begun) = (LogLimit::new(5, Duration::from_secs(2)), Instant::now());
            let (mut admitted, mut summed) = (Vec::new(), 0);
            let count = 60_000 / gap;
            for n in 0..count {
                let now = begun + Duration::from_millis(n * gap);
                summed += limit.due(now).iter().map(|sum| sum.count).sum::<u64>();
                if limit.admits("rejected", now) {
                    admitted.push(n * gap);
                }
            }
            for first in 0..admitted.len() {
                let second = admitted[first..].iter().take_while(|millis| **millis < admitted[first] + 1_000).count();
                assert!(second <= 5, "{second} in the second after {} ms, every {gap} ms", admitted[first]);
            }
            summed += limit.rest(begun + TEN).iter().map(|sum| sum.count).sum::<u64>();
            assert_eq!(admitted.len() as u64 + summed, count, "each is said or counted");
            assert_eq!(summed == 0, gap >= 200, "every {gap} ms");
        }
    }

    #[test]
    fn a_cause_silences_no_other() {
        let (limit, now) = (LogLimit::new(1, TEN), Instant::now());
        for cause in ["refused", "dial_failed", "disconnected"] {
            assert!(limit.admits(cause, now) && !limit.admits(cause, now));
        }
        assert!(!limit.admits("refused", now));
        let said = shown(&limit.rest(now + Duration::from_millis(1_500)));
        let expected = ["1 more dial failed in the last 2 s", "1 more disconnected in the last 2 s"];
        assert_eq!(said[..2], expected);
        assert_eq!(said[2], "2 more refused in the last 2 s");
    }
}
