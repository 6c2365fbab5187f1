//! Phases in the journal: who entered and left them, and how long that took.
//!
//! Invariant: memory is bounded by the phases that objects are in, and by a fixed number of buckets for each phase there is.

mod shape;
mod times;
mod tracker;

use crate::directory::Source;
use crate::failure::Failure;
use crate::output::{Output, Style};
use amiko_core::serializable::Json;
use amiko_inspector::reading::{Record, plain};
use shape::{Shape, Within};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use times::{Times, in_words};
use tracker::{Move, Tracker};

/// What stands for all phases that the enum hasn't got any more.
const UNKNOWN: &str = "(unknown)";

/// The records in which something entered a phase, or entered or left any phase of an enum.
pub(crate) struct Moved {
    tracker: Tracker,
    of: usize,
    phase: Option<usize>,
}

impl Moved {
    /// `asked` is an enum, or an enum and a phase, as `OrderPhase=Paid`.
    pub(crate) fn new(asked: &str, source: &Source<'_>, from: u64) -> Result<Self, Failure> {
        let (name, phase) = asked.split_once('=').map_or((asked, None), |(name, phase)| (name, Some(phase)));
        // What isn't there is refused before the journal is read.
        let shape = shape_of(source)?;
        let enums: Vec<&str> = shape.enums().map(|(_, name)| name).collect();
        let found = shape.enums().find(|(_, known)| *known == name);
        let (of, _) = found.ok_or_else(|| unknown("an enum of phases", &enums, name))?;
        let phases: Vec<&str> = shape.phases(of).collect();
        let place = |phase: &str| {
            let found = phases.iter().position(|known| *known == phase);
            found.ok_or_else(|| unknown(&format!("a phase of {}", plain(name)), &phases, phase))
        };
        let phase = phase.map(place).transpose()?;
        Ok(Self { tracker: Tracker::before(source, shape, from)?, of, phase })
    }

    /// Whether it is one of them. Each record has to be asked, in their order.
    pub(crate) fn is(&mut self, record: &Record) -> bool {
        let (of, phase) = (self.of, self.phase);
        let mut is = false;
        self.tracker.record(record, &mut |moved| {
            is |= match (moved, phase) {
                (Move::Entered(within), Some(phase)) => within == Within { of, phase },
                (Move::Entered(within) | Move::Left(within, _), None) => within.of == of,
                (Move::Left(..), Some(_)) => false,
            }
        });
        is
    }
}

/// Where phases are, as far as they aren't hidden.
fn shape_of(source: &Source<'_>) -> Result<Shape, Failure> {
    let (classes, hidden) = source.described("which phases there are")?;
    Shape::of(&classes, hidden)
}

fn unknown(what: &str, known: &[&str], found: &str) -> Failure {
    let known: Vec<String> = known.iter().map(|name| plain(name)).collect();
    Failure::Missing(format!("expected {what}, one of {}, found {:?}", known.join(", "), plain(found)))
}

/// What became of one phase.
#[derive(Default)]
struct Count {
    /// In it before the first record.
    before: u64,
    entered: u64,
    left: u64,
    now: u64,
    /// From entering to leaving, where both are known.
    times: Times,
}

impl Count {
    fn is_empty(&self) -> bool {
        self.before + self.entered == 0
    }
}

/// What became of each phase of each enum, and those that it hasn't got any more behind them.
struct Counts(BTreeMap<usize, Vec<Count>>);

impl Counts {
    fn new(shape: &Shape) -> Self {
        let counts = |of: usize| (0..=shape.phases(of).count()).map(|_| Count::default()).collect();
        Self(shape.enums().map(|(of, _)| (of, counts(of))).collect())
    }

    fn of(&mut self, Within { of, phase }: Within, note: impl FnOnce(&mut Count)) {
        if let Some(count) = self.0.get_mut(&of).and_then(|counts| counts.get_mut(phase)) {
            note(count);
        }
    }

    fn moved(&mut self, moved: Move, time: u64) {
        match moved {
            Move::Entered(within) => self.of(within, |count| count.entered += 1),
            Move::Left(within, since) => self.of(within, |count| {
                count.left += 1;
                // A clock that was put back has no time between.
                since.into_iter().for_each(|since| count.times.add(time.saturating_sub(since)));
            }),
        }
    }

    /// The phases of an enum that there is something to say of, by name.
    fn named<'c>(&'c self, of: usize, shape: &'c Shape) -> impl Iterator<Item = (&'c str, &'c Count)> {
        let known = shape.phases(of).map(|name| (name, true)).chain([(UNKNOWN, false)]);
        let counts = self.0.get(&of).into_iter().flatten();
        known
            .zip(counts)
            .filter(|((_, known), count)| *known || !count.is_empty())
            .map(|((name, _), count)| (name, count))
    }
}

/// `amiko stat --phases`.
pub(crate) fn stat(source: &Source<'_>, output: &mut Output) -> Result<(), Failure> {
    let mut tracker = Tracker::before(source, shape_of(source)?, 0)?;
    let mut counts = Counts::new(&tracker.shape);
    let mut before = 0_u64;
    for within in tracker.present() {
        before += 1;
        counts.of(within, |count| count.before += 1);
    }
    let begin = tracker.version;
    source.records(0, |record| {
        tracker.record(&record, &mut |moved| counts.moved(moved, record.time));
        Ok(ControlFlow::Continue(()))
    })?;
    if tracker.gap {
        let reason = "files were removed while they were read, so that records are missing: run it again";
        return Err(Failure::Missing(reason.to_owned()));
    }
    for within in tracker.present() {
        counts.of(within, |count| count.now += 1);
    }
    if output.json {
        return output.document(&document(&tracker, begin, before, &counts));
    }
    let title = output.bold(&format!("version {}", tracker.version));
    output.line(&title)?;
    output.line(&format!("{} events since version {begin}", tracker.version.saturating_sub(begin)))?;
    for (of, name) in tracker.shape.enums() {
        let name = output.styled(&plain(name), Style::Key);
        output.line(&name)?;
        table(counts.named(of, &tracker.shape), output)?;
    }
    if before > 0 {
        output.line(&format!(
            "{before} in a phase at version {begin}, before the first record that is kept: nobody knows since when, so p50 and p99 \
             leave them out"
        ))?;
    }
    Ok(())
}

fn table<'c>(phases: impl Iterator<Item = (&'c str, &'c Count)>, output: &mut Output) -> Result<(), Failure> {
    let took = |times: &Times, percent: u8| times.percentile(percent).map_or_else(|| "-".to_owned(), in_words);
    let heads = ["phase", "entered", "left", "in it now", "p50", "p99"].map(str::to_owned);
    let rows = phases.map(|(name, count)| {
        let [entered, left, now] = [count.entered, count.left, count.now].map(|number| number.to_string());
        [plain(name), entered, left, now, took(&count.times, 50), took(&count.times, 99)]
    });
    let rows: Vec<[String; 6]> = std::iter::once(heads).chain(rows).collect();
    let width = rows.iter().map(|[name, ..]| name.chars().count()).max().unwrap_or(0);
    for (number, [name, numbers @ ..]) in rows.iter().enumerate() {
        let numbers: String = numbers.iter().map(|number| format!("  {number:>9}")).collect();
        let line = format!("  {name:<width$}{numbers}");
        let line = if number == 0 { output.dim(&line) } else { line };
        output.line(&line)?;
    }
    Ok(())
}

fn document(tracker: &Tracker, begin: u64, before: u64, counts: &Counts) -> Json {
    let object = |fields: Vec<(&str, Json)>| {
        Json::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let phase = |count: &Count| {
        let took = |percent| count.times.percentile(percent).map_or(Json::Null, Json::integer);
        object(vec![
            ("before", Json::integer(count.before)),
            ("entered", Json::integer(count.entered)),
            ("left", Json::integer(count.left)),
            ("now", Json::integer(count.now)),
            ("timed", Json::integer(count.times.count())),
            ("p50", took(50)),
            ("p99", took(99)),
        ])
    };
    let phases = |of| object(counts.named(of, &tracker.shape).map(|(name, count)| (name, phase(count))).collect());
    object(vec![
        ("version", Json::integer(tracker.version)),
        ("since", Json::integer(begin)),
        ("before", Json::integer(before)),
        ("phases", object(tracker.shape.enums().map(|(of, name)| (name, phases(of))).collect())),
    ])
}
