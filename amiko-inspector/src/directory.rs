//! The timeline of a directory, running or not.
//!
//! Invariant: nothing is written, and no lock is taken.

use crate::timeline::{Timeline, TimelineError};
use amiko_core::serializable::Classes;
use amiko_core::store::{self, Archive, OpenError, OsVfs, RecoverError, Recovery, Refused, Store, StoreError, walk};
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::SystemTime;

/// Why a directory can't be shown.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError {
    /// It can't be opened.
    Open(OpenError),
    /// Its files can't be read back.
    Recover(RecoverError),
    /// What is said of its classes can't be read.
    Classes(StoreError),
    /// What is in it isn't what a node writes.
    Timeline(TimelineError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Recover(error) => error.fmt(f),
            Self::Classes(error) => error.fmt(f),
            Self::Timeline(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open(error) => error.source(),
            Self::Recover(error) => error.source(),
            Self::Classes(error) => error.source(),
            Self::Timeline(error) => error.source(),
        }
    }
}

/// The document that files lead to.
#[derive(Default)]
struct Base {
    version: u64,
    document: String,
    records: Vec<(u64, String)>,
}

impl Recovery for Base {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        (self.version, self.document) = (sequence, document.to_owned());
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        self.records.push((sequence, record.to_owned()));
        Ok(())
    }
}

/// What programs have said of their classes.
pub(crate) const CLASSES: &str = "classes.json";

/// Files with their sizes and times.
pub(crate) type Files = Vec<(String, u64, Option<SystemTime>)>;

/// Reads a directory, as far back as it is kept; `progress` hears of each event. What the program itself says of its classes
/// counts as well as what is said in the directory.
pub(crate) fn load(
    path: &Path,
    program: Option<Classes>,
    limit: usize,
    progress: impl Fn(u64),
) -> Result<Timeline, LoadError> {
    let said = store::classes(path).map_err(LoadError::Classes)?;
    let mut classes = program.unwrap_or_default();
    classes.merge(said.unwrap_or_default());
    let walked = walk(path, 0, |_, _| ControlFlow::Break(())).map_err(LoadError::Recover)?;
    let oldest = walked.first.map(|first| first.saturating_sub(1));
    match oldest.map(|oldest| begin(path, Some(oldest), &classes, limit)) {
        Some(Ok(mut timeline)) => {
            let from = timeline.versions().1 + 1;
            records(path, from, |records| {
                records.iter().for_each(|(version, _)| progress(*version));
                timeline.push_all(records.iter().map(|(version, record)| (*version, record.as_str())))
            })?;
            Ok(timeline)
        }
        // The snapshot before the oldest record isn't there, so that only the newest version can be shown.
        None | Some(Err(_)) => begin(path, None, &classes, limit),
    }
}

fn begin(path: &Path, version: Option<u64>, classes: &Classes, limit: usize) -> Result<Timeline, LoadError> {
    let mut archive = Archive::open_with_vfs(path, version, OsVfs).map_err(LoadError::Open)?;
    let mut base = Base::default();
    archive.recover(&mut base).map_err(LoadError::Recover)?;
    let timeline = Timeline::new(classes.clone(), base.version, &base.document, limit);
    let mut timeline = timeline.map_err(LoadError::Timeline)?;
    for (version, record) in base.records {
        timeline.push(version, &record).map_err(LoadError::Timeline)?;
    }
    Ok(timeline)
}

/// Hands over the records from a version on, some hundred at a time.
pub(crate) fn records(
    path: &Path,
    from: u64,
    mut take: impl FnMut(&[(u64, String)]) -> Result<(), TimelineError>,
) -> Result<(), LoadError> {
    const TOGETHER: usize = 256;
    let (mut records, mut outcome) = (Vec::new(), Ok(()));
    walk(path, from, |version, record| {
        records.push((version, record.to_owned()));
        if records.len() == TOGETHER {
            outcome = take(&records);
            records.clear();
        }
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .map_err(LoadError::Recover)?;
    outcome.and_then(|()| take(&records)).map_err(LoadError::Timeline)
}

/// The files that say what there is: they are only read again if they have changed.
pub(crate) fn signature(path: &Path) -> Files {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let sized = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let (name, data) = (entry.file_name().into_string().ok()?, entry.metadata().ok()?);
        (name.ends_with(".jsonl") || name == CLASSES).then(|| (name, data.len(), data.modified().ok()))
    });
    let mut sized: Vec<_> = sized.collect();
    sized.sort();
    sized
}

/// The files of the node, with their sizes in bytes.
pub(crate) fn files(path: &Path) -> Vec<(String, u64)> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let sized = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let ours = name.ends_with(".json") || name.ends_with(".jsonl");
        ours.then(|| Some((name, entry.metadata().ok()?.len())))?
    });
    let mut files: Vec<_> = sized.collect();
    files.sort();
    files
}
