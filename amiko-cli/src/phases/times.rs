//! How long things took, in a bounded form.
//!
//! Invariant: a percentile is at most 1 part in [`PARTS`] from the time that it stands for.

use std::collections::BTreeMap;

/// Each power of two is divided into so many buckets: times below twice as many milliseconds are exact.
const PARTS: u64 = 128;

/// Times in milliseconds: at most 7,424 buckets, however many there are.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// By the lowest time that belongs to each.
    buckets: BTreeMap<u64, Bucket>,
    count: u64,
}

/// What it stands for is the mean of its times: equal ones are exact.
#[derive(Debug, Default)]
struct Bucket {
    count: u64,
    sum: u128,
}

impl Times {
    pub(super) fn add(&mut self, millis: u64) {
        // The digits after those that count.
        let rest = millis.checked_ilog2().unwrap_or(0).saturating_sub(PARTS.ilog2());
        let bucket = self.buckets.entry(millis >> rest << rest).or_default();
        bucket.count += 1;
        bucket.sum += u128::from(millis);
        self.count += 1;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The least time that so many of a hundred are within; none, if there is no time.
    pub(super) fn percentile(&self, percent: u8) -> Option<u64> {
        let rank = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen = 0;
        let reached = self.buckets.values().find(|bucket| {
            seen += u128::from(bucket.count);
            seen >= rank
        })?;
        u64::try_from(reached.sum / u128::from(reached.count)).ok()
    }
}

/// A time with three digits that say something.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn in_words(millis: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let (unit, name) = match millis {
        ..SECOND => return format!("{millis} ms"),
        SECOND..MINUTE => (SECOND, "s"),
        MINUTE..HOUR => (MINUTE, "min"),
        HOUR..DAY => (HOUR, "h"),
        DAY.. => (DAY, "d"),
    };
    let number = millis as f64 / unit as f64;
    match number {
        100.0.. => format!("{number:.0} {name}"),
        10.0.. => format!("{number:.1} {name}"),
        _ => format!("{number:.2} {name}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what fails here fails the test")]
mod tests {
    use super::*;

    fn times(all: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::default();
        all.into_iter().for_each(|millis| times.add(millis));
        times
    }

    #[test]
    fn percentiles_are_exact_below_a_quarter_of_a_second_and_close_above() {
        assert_eq!(times([]).percentile(50), None);
        assert_eq!(times([0]).percentile(99), Some(0));
        let small = times(1..=200);
        assert_eq!([50, 99, 100].map(|percent| small.percentile(percent)), [Some(100), Some(198), Some(200)]);
        for most in [1_000, 123_456_789, u64::MAX / 200] {
            let all: Vec<u64> = (1..=200).map(|part| most / 200 * part).collect();
            let found = times(all.iter().copied());
            for percent in [1, 50, 99, 100] {
                let exact = all[usize::from(percent) * 2 - 1];
                let found = found.percentile(percent).unwrap();
                assert!(found.abs_diff(exact) <= exact / PARTS, "{found} {exact}");
            }
        }
        // Equal ones are what they are.
        assert_eq!(times([900_001; 3]).percentile(50), Some(900_001));
        assert_eq!(times([1, 900_001]).percentile(99), Some(900_001));
        assert_eq!(times([u64::MAX]).percentile(50), Some(u64::MAX));
    }

    #[test]
    fn any_number_of_times_takes_a_bounded_number_of_buckets() {
        let mut times = Times::default();
        for power in 0..64 {
            for part in 0..1_000 {
                times.add((1_u64 << power).saturating_add((1_u64 << power) / 1_000 * part));
            }
        }
        assert!(times.buckets.len() <= 7_424, "{}", times.buckets.len());
    }

    #[test]
    fn three_digits_are_shown() {
        let shown = [0, 999, 1_500, 59_990, 900_000, 5_400_000, 129_600_000, 86_400_000 * 400].map(in_words);
        assert_eq!(shown, ["0 ms", "999 ms", "1.50 s", "60.0 s", "15.0 min", "1.50 h", "1.50 d", "400 d"]);
    }
}
