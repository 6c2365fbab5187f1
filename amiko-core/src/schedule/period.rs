//! A period, and its text.
//!
//! Invariant: each period has one text, and reading it yields the period.

use crate::time::Time;
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

/// Whole milliseconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period(NonZeroU64);

/// The units of its text, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Period {
    pub(super) fn new(duration: Duration) -> Option<Self> {
        let millis = u64::try_from(duration.as_millis()).ok()?;
        (Duration::from_millis(millis) == duration).then(|| NonZeroU64::new(millis).map(Self))?
    }

    /// How many whole periods there are in this time.
    pub(super) fn count(self, time: Duration) -> u64 {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / self.0
    }

    /// So many periods after a moment; none if that is later than the last moment.
    pub(super) fn nth(self, first: Time, number: u64) -> Option<Time> {
        let later = self.0.get().checked_mul(number)?;
        first.as_millis().checked_add(later).map(Time::from_millis)
    }
}

/// `1d12h`, `15m`, `1s500ms`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.get();
        for (unit, millis) in UNITS {
            let count = rest / millis;
            rest %= millis;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

/// Also reads what isn't written in this way, as `90m`: people write such things.
impl FromStr for Period {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (mut rest, mut sum) = (text, 0_u64);
        while !rest.is_empty() {
            let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).ok_or(())?);
            let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
            let (_, millis) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(())?;
            let count: u64 = digits.parse().map_err(|_| ())?;
            sum = count.checked_mul(millis).and_then(|millis| sum.checked_add(millis)).ok_or(())?;
            rest = after;
        }
        NonZeroU64::new(sum).map(Self).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_period_is_written_in_the_largest_units() {
        let texts = ["15m", "1h30m", "1d", "1s500ms", "1ms", "2d3h4m5s6ms"];
        for text in texts {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!("90m".parse::<Period>().unwrap().to_string(), "1h30m");
    }

    #[test]
    fn what_is_no_period_is_refused() {
        let texts =
            ["", "0s", "m", "15", "-1m", "+1m", "1 m", "1.5s", "1y", "1mm", "\u{664}m", "99999999999999999999d"];
        for text in texts {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
        assert!(format!("{}d", u64::MAX).parse::<Period>().is_err());
    }

    proptest! {
        #[test]
        fn every_period_is_read_as_what_it_was(millis in 1..=u64::MAX, small in 1..100_000_000_u64) {
            for millis in [millis, small] {
                let period = Period::new(Duration::from_millis(millis)).unwrap();
                prop_assert_eq!(period.to_string().parse(), Ok(period));
            }
        }

        #[test]
        fn no_text_is_too_much_for_it(text in ".{0,12}", units in "[0-9dhms]{0,12}") {
            for period in [text, units].iter().filter_map(|text| text.parse::<Period>().ok()) {
                prop_assert_eq!(period.to_string().parse(), Ok(period));
            }
        }
    }
}
