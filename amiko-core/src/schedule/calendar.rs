//! Runs by the calendar of a time zone.
//!
//! Invariant: its text alone decides about the runs, since the time zones are a part of the program; and each run is
//! later than the one before it.

use super::{Schedule, ScheduleError};
use crate::time::Time;
use croner::Cron;
use croner::parser::{CronParser, Year};
use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};
use std::sync::LazyLock;

/// Those that are compiled in, even if the machine has others.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// A cron expression and a time zone that exist. Only their texts are kept: what they mean takes a kilobyte, and is
/// needed when the timer fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    expression: Box<str>,
    zone: Box<str>,
}

impl Calendar {
    pub(super) fn new(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let runs = Runs::parse(expression, zone)?;
        if runs.next(Time::default()).is_none() {
            return Err(ScheduleError::Never { found: expression.into() });
        }
        Ok(Self { expression: expression.into(), zone: zone.into() })
    }

    pub(super) fn expression(&self) -> &str {
        &self.expression
    }

    pub(super) fn zone(&self) -> &str {
        &self.zone
    }

    /// What the texts mean.
    pub(super) fn runs(&self) -> Option<Runs> {
        Runs::parse(&self.expression, &self.zone).ok()
    }
}

/// An expression and a zone, ready to be asked.
pub(super) struct Runs {
    cron: Cron,
    zone: TimeZone,
}

impl Runs {
    fn parse(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let limit = Schedule::MAX_TEXT;
        let found = expression.len().max(zone.len());
        if found > limit {
            return Err(ScheduleError::TooLong { limit, found });
        }
        let invalid = |reason: String| ScheduleError::Expression { found: expression.into(), reason };
        if !expression.is_ascii() {
            return Err(invalid("it has a character that isn't ASCII".into()));
        }
        // With a year it would come to an end.
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| invalid(error.to_string()))?;
        let zone = ZONES.get(zone).map_err(|_| ScheduleError::Zone { found: zone.into() })?;
        Ok(Self { cron, zone })
    }

    /// The first run after a moment.
    pub(super) fn next(&self, after: Time) -> Option<Time> {
        /// More gaps of days aren't skipped in one search.
        const GAPS: usize = 4;
        let mut from = zoned(i64::try_from(after.as_secs()).ok()?, &self.zone)?;
        let mut inclusive = false;
        for _ in 0..GAPS {
            if let Ok(run) = self.cron.find_next_occurrence(&from, inclusive) {
                let run = u64::try_from(run.timestamp().as_second()).ok().map(Time::from_secs);
                // Whatever is found: a run that isn't later would be delivered without end.
                return run.filter(|run| *run > after);
            }
            // The search gives up in a gap of more than two hours: there are zones that once left out a whole day.
            from = self.end_of_gap(&from)?;
            inclusive = true;
        }
        None
    }

    /// The end of the gap that has the next run in it, if there is a gap there.
    fn end_of_gap(&self, from: &Zoned) -> Option<Zoned> {
        let run: DateTime = self.cron.find_next_occurrence(&from.datetime(), false).ok()?;
        let ambiguous = self.zone.to_ambiguous_timestamp(run);
        if !ambiguous.is_ambiguous() {
            return None;
        }
        let transition = self.zone.following(ambiguous.earlier().ok()?).next()?;
        Some(transition.timestamp().to_zoned(self.zone.clone())).filter(|end| end > from)
    }
}

fn zoned(second: i64, zone: &TimeZone) -> Option<Zoned> {
    Some(Timestamp::from_second(second).ok()?.to_zoned(zone.clone()))
}
