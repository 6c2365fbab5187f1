//! When something runs again and again: every so often, or by the calendar of a time zone.
//!
//! Invariant: the runs of a schedule are a strictly rising sequence of moments that depends on nothing but its text and
//! the moment of one run: no clock, no setting of the machine.

#[cfg(feature = "calendar")]
mod calendar;
mod error;
mod period;

pub use error::ScheduleError;

#[cfg(feature = "calendar")]
use calendar::Calendar;
use period::Period;

use crate::serializable::{ReadError, Reader, Writer};
use crate::time::Time;
use std::fmt;
use std::time::Duration;

/// When a repeating timer is due: see [`Context::repeat`](crate::Context::repeat).
///
/// ```
/// use amiko_core::{Schedule, Time, minutes};
///
/// let schedule = Schedule::every(minutes(15))?;
/// assert_eq!(schedule.to_string(), "every 15m");
/// assert_eq!(schedule.next(Time::from_secs(100)), Some(Time::from_secs(1_000)));
///
/// let error = Schedule::every(minutes(0)).unwrap_err();
/// assert_eq!(error.to_string(), "expected a period of whole milliseconds, and of at least one, found 0ns");
/// # Ok::<(), amiko_core::schedule::ScheduleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Every(Period),
    #[cfg(feature = "calendar")]
    Calendar(Box<Calendar>),
}

/// What is due of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Runs that have been since the first one that is due, besides the last: at most the limit, though there may have
    /// been more.
    pub(crate) missed: u64,
    /// The first run after now; none if there is no other run.
    pub(crate) next: Option<Time>,
}

impl Schedule {
    /// Bytes of a calendar expression, and of the name of a time zone, at most.
    pub const MAX_TEXT: usize = 255;

    /// A run every so often. The first one is a period after the schedule was set, and each other a whole number of
    /// periods after the first, however late any of them was: it doesn't drift.
    ///
    /// # Errors
    /// The period isn't a whole number of milliseconds, or less than one.
    pub fn every(period: Duration) -> Result<Self, ScheduleError> {
        Period::new(period).map(|period| Self(Kind::Every(period))).ok_or(ScheduleError::Period { found: period })
    }

    /// A run at each moment that matches a cron expression, by the clocks of a time zone.
    ///
    /// The expression has five fields: minute, hour, day of the month, month, and day of the week; or six, with seconds
    /// before them. They are those of the crate [croner](https://docs.rs/croner): `*`, lists, ranges, steps, names as
    /// `MON` and `JAN`, `L` for the last, `#` for the n-th, and names as `@daily`. There is no field for a year.
    ///
    /// The zone has a name of the IANA database, as `Europe/Berlin` or `UTC`. The database is a part of the program, so
    /// every machine computes the same runs.
    ///
    /// ```
    /// use amiko_core::{Schedule, Time};
    ///
    /// let schedule = Schedule::calendar("0 9 * * MON-FRI", "Europe/Berlin")?;
    /// assert_eq!(schedule.to_string(), "0 9 * * MON-FRI in Europe/Berlin");
    /// // From Friday, 2 January 2026, 09:00 in Berlin to Monday.
    /// let friday = Time::from_secs(1_767_340_800);
    /// assert_eq!(schedule.next(friday), Some(Time::from_secs(1_767_340_800 + 3 * 86_400)));
    ///
    /// let error = Schedule::calendar("0 9 30 FEB *", "Europe/Berlin").unwrap_err();
    /// assert_eq!(error.to_string(), "expected a cron expression with a run, found \"0 9 30 FEB *\", which never has one");
    /// # Ok::<(), amiko_core::schedule::ScheduleError>(())
    /// ```
    ///
    /// # Daylight saving
    /// An expression that names one time of day, as `30 2 * * *`, runs once a day. If clocks leave that time out, it runs
    /// at the first moment after the gap, as soon as clocks show 03:00; if they show it twice, it runs the first time.
    /// Any other expression, with several times of a day, runs whenever clocks show one of them: not in the hour that
    /// is left out, and twice in the hour that comes twice.
    ///
    /// # Errors
    /// The expression isn't one, or never has a run; or there is no such zone.
    #[cfg(feature = "calendar")]
    #[cfg_attr(docsrs, doc(cfg(feature = "calendar")))]
    pub fn calendar(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        Calendar::new(expression, zone).map(|calendar| Self(Kind::Calendar(Box::new(calendar))))
    }

    /// The run that follows one at this moment; by the calendar, the first run after any moment. None if it would be
    /// later than the last moment that there is.
    pub fn next(&self, after: Time) -> Option<Time> {
        match &self.0 {
            Kind::Every(period) => period.nth(after, 1),
            #[cfg(feature = "calendar")]
            Kind::Calendar(calendar) => calendar.runs()?.next(after),
        }
    }

    /// What is due now, if the first run that is due was to be at `first`, which isn't later.
    pub(crate) fn due(&self, first: Time, now: Time, limit: u64) -> Due {
        match &self.0 {
            Kind::Every(period) => {
                let missed = period.count(now - first);
                Due { missed: missed.min(limit), next: period.nth(first, missed.saturating_add(1)) }
            }
            #[cfg(feature = "calendar")]
            Kind::Calendar(calendar) => {
                let Some(runs) = calendar.runs() else { return Due { missed: 0, next: None } };
                let (mut last, mut missed) = (first, 0);
                while missed < limit {
                    match runs.next(last) {
                        Some(run) if run <= now => (last, missed) = (run, missed + 1),
                        next => return Due { missed, next },
                    }
                }
                Due { missed, next: runs.next(now) }
            }
        }
    }

    /// Writes it as fields of an object.
    pub(crate) fn write_fields(&self, out: &mut Writer) {
        match &self.0 {
            Kind::Every(period) => {
                out.key("every");
                out.text(&period.to_string());
            }
            #[cfg(feature = "calendar")]
            Kind::Calendar(calendar) => {
                out.key("calendar");
                out.text(calendar.expression());
                out.key("zone");
                out.text(calendar.zone());
            }
        }
    }

    /// The approximate number of bytes on the heap.
    pub(crate) fn weight(&self) -> usize {
        match &self.0 {
            Kind::Every(_) => 0,
            #[cfg(feature = "calendar")]
            Kind::Calendar(calendar) => size_of::<Calendar>() + calendar.expression().len() + calendar.zone().len(),
        }
    }
}

/// `every 15m`, or `0 9 * * MON-FRI in Europe/Berlin`.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Every(period) => write!(f, "every {period}"),
            #[cfg(feature = "calendar")]
            Kind::Calendar(calendar) => write!(f, "{} in {}", calendar.expression(), calendar.zone()),
        }
    }
}

/// The fields of a schedule, as they are read.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) every: Option<String>,
    pub(crate) calendar: Option<String>,
    pub(crate) zone: Option<String>,
}

impl Fields {
    /// The schedule that they are; `input` is where its object begins.
    pub(crate) fn schedule(self, input: &Reader<'_>) -> Result<Schedule, ReadError> {
        match (self.every, self.calendar, self.zone) {
            (Some(text), None, None) => text
                .parse()
                .map(|period| Schedule(Kind::Every(period)))
                .map_err(|()| input.invalid(format!("expected a period such as \"15m\" or \"1h30m\", found {text:?}"))),
            (None, Some(calendar), Some(zone)) => Self::calendar(&calendar, &zone, input),
            _ => Err(input.invalid("expected either \"every\", or \"calendar\" and \"zone\", found something else")),
        }
    }

    #[cfg(feature = "calendar")]
    fn calendar(expression: &str, zone: &str, input: &Reader<'_>) -> Result<Schedule, ReadError> {
        Schedule::calendar(expression, zone).map_err(|error| input.invalid(error.to_string()))
    }

    #[cfg(not(feature = "calendar"))]
    fn calendar(expression: &str, zone: &str, input: &Reader<'_>) -> Result<Schedule, ReadError> {
        Err(input.invalid(format!(
            "expected a program with the feature \"calendar\" of amiko-core, which the timer {expression:?} in {zone:?} \
             needs, found one without it: build it with that feature"
        )))
    }
}
