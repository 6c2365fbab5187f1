//! The records of a directory, one after the other, without the document.
//!
//! Invariant: it never writes, needs no lock, and holds one record and a few open files at a time.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::error::RecoverError;
use super::files::Files;
use super::journal::{self, Opened};
use super::recovery::gap;
use super::vfs::{OsVfs, Vfs};
use super::{Recovery, Refused, Torn};

/// So many files are open at a time, at the most: a process may open about a thousand.
const OPEN: usize = 64;

/// What [`walk`] has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Walked {
    /// The first version whose record is kept; none if there is no journal.
    pub first: Option<u64>,
    /// The last version that was handed over, or the one before the first.
    pub last: u64,
    /// The end of the journal, if a crash has torn it or somebody is writing it.
    pub torn: Option<Torn>,
}

/// Hands over the records of a directory from a version on, as far back as they are kept, in order, until the visitor breaks
/// off. Another process may be using the directory.
///
/// # Errors
/// There is no such directory; or a file can't be read, is damaged, or is missing. A file is missing, too, if it was
/// removed because its age was up, and the visitor was that slow: then what is left can be walked.
pub fn walk(
    path: impl AsRef<Path>,
    from: u64,
    visit: impl FnMut(u64, &str) -> ControlFlow<()>,
) -> Result<Walked, RecoverError> {
    walk_with_vfs(path, from, visit, OsVfs)
}

/// The same on another file system than the operating system's.
///
/// # Errors
/// As [`walk`].
pub fn walk_with_vfs<V: Vfs>(
    path: impl AsRef<Path>,
    from: u64,
    visit: impl FnMut(u64, &str) -> ControlFlow<()>,
    vfs: V,
) -> Result<Walked, RecoverError> {
    let files = Files { vfs, directory: path.as_ref().to_owned() };
    let Segments { mut opened, later, newest } = open_first(&files, from)?;
    let mut later = later.into_iter();
    let first = opened.front().map(|segment| segment.first);
    let mut visitor = Visitor { from, visit, stopped: false };
    let mut walked = Walked { first, last: first.map_or(0, |first| first.saturating_sub(1)), torn: None };
    let mut before = None;
    while let Some(segment) = opened.pop_front() {
        let number = segment.first;
        if before.is_some() && number != walked.last.saturating_add(1) {
            return Err(gap(&files, first, walked.last, before, Some(number)));
        }
        match journal::replay(segment, newest == Some(number), None, &mut visitor) {
            Ok(replayed) => (walked.last, walked.torn) = (replayed.sequence, replayed.torn),
            Err(_) if visitor.stopped => break,
            Err(error) => return Err(error),
        }
        before = Some(number);
        if let Some(next) = later.next() {
            opened.push_back(Opened::new(&files, next)?);
        }
    }
    Ok(walked)
}

/// The segments that are needed.
struct Segments<F> {
    /// The first ones.
    opened: VecDeque<Opened<F>>,
    later: Vec<u64>,
    newest: Option<u64>,
}

/// Opens the first ones before anything is handed over: what is open stays there to be read.
fn open_first<V: Vfs>(files: &Files<V>, from: u64) -> Result<Segments<V::File>, RecoverError> {
    /// A newer snapshot may take the place of files after they were listed: so often they are listed anew at the most.
    const ATTEMPTS: usize = 10;
    let mut attempts = 1;
    loop {
        let inventory = files.inventory()?;
        let newest = inventory.segments.last().copied();
        let begin = inventory.segments.partition_point(|first| *first <= from).saturating_sub(1);
        let needed = inventory.segments.get(begin..).unwrap_or_default();
        let (first, later) = needed.split_at(needed.len().min(OPEN));
        let opened = first.iter().map(|&first| Opened::new(files, first)).collect::<Result<_, _>>();
        match opened.map_err(RecoverError::from) {
            Err(RecoverError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS => {
                attempts += 1;
            }
            outcome => return Ok(Segments { opened: outcome?, later: later.to_vec(), newest }),
        }
    }
}

struct Visitor<F> {
    from: u64,
    visit: F,
    stopped: bool,
}

impl<F: FnMut(u64, &str) -> ControlFlow<()>> Recovery for Visitor<F> {
    fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        if sequence < self.from {
            return Ok(());
        }
        match (self.visit)(sequence, record) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                self.stopped = true;
                // It goes no further than `walk`.
                Err(Refused { reason: String::new(), byte: 0, line: 1 })
            }
        }
    }
}
