//! Events, one a line.
//!
//! Invariant: of any number of events a few are in memory at a time.

use crate::arguments::{Filter, Grep, Log};
use crate::directory::{Moment, Source};
use crate::failure::Failure;
use crate::output::{Output, Style};
use crate::phases::Moved;
use amiko_inspector::reading::Change;
use amiko_inspector::reading::Record;
use amiko_inspector::reading::{json, plain};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

/// How often `--follow` looks for new events.
const LOOK: Duration = Duration::from_millis(250);

/// The filter, as it is asked of each event.
struct Wanted<'f> {
    filter: &'f Filter,
    version: u64,
    time: u64,
    text: Option<&'f str>,
    phase: Option<Moved>,
}

impl<'f> Wanted<'f> {
    fn new(filter: &'f Filter, text: Option<&'f str>, source: &Source<'_>) -> Result<Self, Failure> {
        let (version, time) = match filter.since.as_deref().map(Moment::parse).transpose()? {
            None => (0, 0),
            Some(Moment::Version(version)) => (version, 0),
            Some(Moment::Time(time)) => (0, time),
        };
        let phase = filter.phase.as_deref().map(|asked| Moved::new(asked, source, version)).transpose()?;
        Ok(Self { filter, version, time, text, phase })
    }

    /// Each record has to be asked, in their order.
    fn is(&mut self, record: &Record) -> bool {
        let moved = self.phase.as_mut().is_none_or(|phase| phase.is(record));
        moved
            && record.time >= self.time
            && (!self.filter.rejected || record.rejected.is_some())
            && self.filter.class.as_deref().is_none_or(|class| record.class() == Some(class))
            && self.filter.object.as_deref().is_none_or(|object| record.is_about(object))
            && self.text.is_none_or(|text| json(&record.json).contains(text))
    }
}

/// `amiko log`.
pub(crate) fn log(log: &Log, secrets: bool, output: &mut Output) -> Result<(), Failure> {
    let mut source = Source::open(&log.directory, secrets)?;
    let mut wanted = Wanted::new(&log.filter, None, &source)?;
    let mut shown = Shown::new(log.patch, output)?;
    let mut next = wanted.version;
    if let Some(last) = log.last {
        let mut newest = VecDeque::new();
        next = source.records(next, |record| {
            if wanted.is(&record) {
                newest.push_back(record);
            }
            while newest.len() > last {
                newest.pop_front();
            }
            Ok(ControlFlow::Continue(()))
        })?;
        newest.iter().try_for_each(|record| shown.show(record))?;
    } else {
        next = follow(&source, next, &mut wanted, &mut shown)?;
    }
    if !log.follow {
        return shown.end();
    }
    loop {
        shown.output.flush()?;
        thread::sleep(LOOK);
        source.look_again()?;
        next = follow(&source, next + 1, &mut wanted, &mut shown)?;
    }
}

fn follow(source: &Source<'_>, from: u64, wanted: &mut Wanted<'_>, shown: &mut Shown<'_>) -> Result<u64, Failure> {
    source.records(from, |record| {
        if wanted.is(&record) {
            shown.show(&record)?;
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// `amiko grep`.
pub(crate) fn grep(grep: &Grep, secrets: bool, output: &mut Output) -> Result<(), Failure> {
    let source = Source::open(&grep.directory, secrets)?;
    let mut wanted = Wanted::new(&grep.filter, Some(&grep.text), &source)?;
    let mut shown = Shown::new(false, output)?;
    source.records(wanted.version, |record| {
        if wanted.is(&record) {
            shown.show(&record)?;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    shown.end()
}

/// What was shown so far: lines, or the beginning of an array.
struct Shown<'o> {
    output: &'o mut Output,
    patch: bool,
    count: u64,
}

impl<'o> Shown<'o> {
    fn new(patch: bool, output: &'o mut Output) -> Result<Self, Failure> {
        if output.json {
            output.raw("[")?;
        }
        Ok(Self { output, patch, count: 0 })
    }

    fn show(&mut self, record: &Record) -> Result<(), Failure> {
        let first = self.count == 0;
        self.count += 1;
        if self.output.json {
            self.output.raw(if first { "\n" } else { ",\n" })?;
            return self.output.raw(&json(&record.json));
        }
        self.output.record(record)?;
        if self.patch {
            for operation in &record.patch {
                let style = match &operation.change {
                    Change::Add(_) => Style::Added,
                    Change::Remove => Style::Removed,
                    Change::Replace(_) => Style::Dim,
                };
                let line = self.output.styled(&plain(&amiko_inspector::reading::long(operation)), style);
                self.output.line(&format!("            {line}"))?;
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        if self.output.json { self.output.raw("\n]\n") } else { Ok(()) }
    }
}
