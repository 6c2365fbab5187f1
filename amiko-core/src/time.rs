//! Time as it comes in with an event.
//!
//! Invariant: nothing in this crate reads a clock.

use crate::serializable::{Kept, Key, Patch, ReadError, Reader, Schema, Serializable, WriteError, Writer};
use std::borrow::Cow;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

crate::serializable::of_serde!([] Time);

/// A moment: milliseconds since the beginning of 1970 in UTC, without leap seconds. In JSON it is that number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment this many milliseconds after the beginning of 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment this many seconds after the beginning of 1970.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the beginning of 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the beginning of 1970.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }
}

impl From<SystemTime> for Time {
    /// The moment that a clock shows, in whole milliseconds. A moment before 1970 is the beginning of 1970.
    ///
    /// ```
    /// # use amiko_core::prelude::*;
    /// # use std::time::{Duration, SystemTime, UNIX_EPOCH};
    /// let now = Time::from(SystemTime::now());
    /// assert_eq!(Time::from(UNIX_EPOCH + Duration::from_micros(1_999)), Time::from_millis(1));
    /// assert_eq!(Time::from(UNIX_EPOCH - Duration::from_secs(1)), Time::from_millis(0));
    /// # assert!(now > Time::from_secs(1_700_000_000));
    /// ```
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// The later moment, saturating at the last one.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Time {
    type Output = Duration;

    /// How long after `earlier`; zero if it is before that.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The pause after this many failures in a row: doubled each time up to a limit, then shortened at random by up to a half, so
/// that what has failed at once isn't tried again at once.
pub(crate) fn back_off(first: Duration, limit: Duration, failures: u32, random: u64) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let doubled = first.saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX));
    let longest = doubled.min(limit);
    let share = (random & 0xFFFF) as f64 / f64::from(u16::MAX);
    longest - (longest / 2).mul_f64(share)
}

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many minutes.
pub const fn minutes(minutes: u64) -> Duration {
    secs(minutes.saturating_mul(60))
}

/// So many hours.
pub const fn hours(hours: u64) -> Duration {
    minutes(hours.saturating_mul(60))
}

impl Serializable for Time {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        self.0.write(out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        u64::read(input).map(Self)
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        self.0.difference(&old.0, patch)
    }

    #[inline]
    fn same(&self, old: &Self) -> bool {
        self.0 == old.0
    }

    #[inline]
    fn weight(&self, _: Kept) -> usize {
        0
    }

    fn schema(_: &mut Schema) -> String {
        "time".into()
    }
}

impl Key for Time {
    const EXACT: bool = true;

    fn schema_name() -> String {
        "time".into()
    }

    fn encode(&self) -> Cow<'_, str> {
        self.0.encode()
    }

    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        self.0.with_text(lend)
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        u64::decode(text).map(Self)
    }
}
