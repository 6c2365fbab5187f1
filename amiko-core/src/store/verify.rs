//! Checking all files of a directory, and saying everything that is wrong with them.
//!
//! Invariant: nothing here changes a file of the store; every record is read once, and whatever is found is either named
//! as damage or is what a crash leaves behind.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{OpenError, Place, RecoverError, with_sources};
use super::files::{Files, Inventory};
use super::journal::Opened;
use super::vfs::{Access, OsVfs, Vfs, VfsFile};
use super::{Recovery, Refused, Torn, journal, recovery, snapshot};
use crate::time::Time;

/// Reads the texts of the files while they are checked: a [`Recovery`] that can report its state.
pub trait Inspection: Recovery {
    /// Checks the last text handed over against the rules that hold for every version.
    ///
    /// # Errors
    ///
    /// Which rule it broke; lower case, no full stop.
    fn check(&mut self) -> Result<(), String>;

    /// Compares the state so far with this document, a snapshot as of `sequence`.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the first place where they differ.
    fn compare(&self, sequence: u64, document: &str) -> Result<(), Refused>;

    /// The state so far, as the document of a snapshot as of `sequence`.
    ///
    /// # Errors
    ///
    /// Why it can't be written; lower case, no full stop.
    fn document(&self, sequence: u64) -> Result<String, String>;
}

/// The contents of a directory, and its problems.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Every file of the store, in the order of what is in them; what was never finished comes last.
    pub files: Vec<FileReport>,
    /// Everything that isn't as it should be, in the order of the files.
    pub findings: Vec<Finding>,
    /// The last version of which there is a trace.
    pub newest: u64,
}

impl Report {
    /// Whether nothing is damaged: what a crash leaves behind isn't damage.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(Finding::is_harmless)
    }
}

/// One file of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// The first and the last version in it, as far as it can be read; none for a journal without records.
    pub versions: Option<(u64, u64)>,
    /// Its size in bytes, with what is preallocated.
    pub bytes: u64,
    /// When the snapshot was, or the last event before the journal, if that is known.
    pub time: Option<Time>,
}

/// What a file of a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A document.
    Snapshot,
    /// A part of the journal.
    Journal,
    /// What was never finished.
    Leftover,
}

/// A problem, or a trace of a crash.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finding {
    /// A file is missing, can't be read, or isn't as it was written.
    Damage(RecoverError),
    /// A snapshot isn't the document that the journal before it leads to.
    Differs {
        /// The snapshot.
        path: PathBuf,
        /// The line of the first difference, from 1.
        line: u64,
        /// Its offset in bytes from the start of the file.
        byte: u64,
        /// What was expected and what was found.
        reason: String,
    },
    /// A version breaks a rule of the application.
    Rule {
        /// The file that has the version.
        path: PathBuf,
        /// The version.
        version: u64,
        /// Which rule.
        reason: String,
    },
    /// The end of the journal that a crash left half-written: opening the store cuts it off.
    Torn(Torn),
    /// A file that a crash kept from being finished: opening the store removes it.
    Leftover {
        /// The file.
        path: PathBuf,
    },
    /// A part of the journal that a newer snapshot has replaced: opening the store removes it.
    Replaced {
        /// The file.
        path: PathBuf,
    },
}

impl Finding {
    /// Whether this is only what a crash leaves behind.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::Torn(_) | Self::Leftover { .. } | Self::Replaced { .. })
    }

    /// The file, and line (from 1) and byte (from 0) in it where they are known.
    #[must_use]
    pub fn place(&self) -> (&Path, Option<(u64, u64)>) {
        match self {
            Self::Damage(error) => error.place(),
            Self::Differs { path, line, byte, .. } => (path, Some((*line, *byte))),
            Self::Torn(torn) => (&torn.file, Some((torn.line, torn.byte))),
            Self::Rule { path, .. } | Self::Leftover { path } | Self::Replaced { path } => (path, None),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damage(error) => f.write_str(&with_sources(error)),
            Self::Differs { path, line, byte, reason } => {
                write!(f, "{}: {reason}; the journal before it leads to something else", Place(path, *line, *byte))
            }
            Self::Rule { path, version, reason } => {
                write!(f, "{}: version {version} breaks a rule: {reason}; edit the state", path.display())
            }
            Self::Torn(torn) => write!(
                f,
                "{}: found {} bytes of a write that never ended and was never acknowledged; opening cuts them off",
                Place(&torn.file, torn.line, torn.byte),
                torn.bytes_cut
            ),
            Self::Leftover { path } => {
                write!(f, "{}: found a file that a crash kept from being finished; opening removes it", path.display())
            }
            Self::Replaced { path } => {
                write!(f, "{}: found a journal that a newer snapshot has replaced; opening removes it", path.display())
            }
        }
    }
}

/// Checks every file of a store that isn't open elsewhere, without changing any: checksums, numbers, whether each
/// record can be applied, and whether each journal leads to the snapshot after it. `fresh` makes the receiver of the
/// texts: a new one for each snapshot.
///
/// [`engine::verify`](crate::engine::verify) does it with the classes of a node.
///
/// # Errors
///
/// [`OpenError::NoStore`] and [`OpenError::Io`] if there is no store (none is created); [`OpenError::Locked`] if it
/// is open elsewhere. Any other problem is in the report.
pub fn verify<I: Inspection>(path: impl AsRef<Path>, fresh: impl FnMut() -> I) -> Result<Report, OpenError> {
    verify_with_vfs(path, fresh, OsVfs)
}

/// The same on another file system than the operating system's.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_with_vfs<V: Vfs, I: Inspection>(
    path: impl AsRef<Path>,
    mut fresh: impl FnMut() -> I,
    vfs: V,
) -> Result<Report, OpenError> {
    let files = Files { vfs, directory: path.as_ref().to_owned() };
    files.expect_store()?;
    let _lock = files.lock(Access::Read)?;
    inspect(&files, &mut fresh)
}

/// Checks every file.
pub(super) fn inspect<V: Vfs, I: Inspection>(
    files: &Files<V>,
    fresh: &mut dyn FnMut() -> I,
) -> Result<Report, OpenError> {
    let (inventory, strays) = files.survey()?;
    let mut walk = Walk {
        files,
        fresh,
        report: Report::default(),
        running: None,
        base: None,
        reached: None,
        before: None,
        faulty: false,
        leading: Vec::new(),
    };
    walk.report.findings.extend(strays.into_iter().map(Finding::Damage));
    // A snapshot comes before the journal that follows it, and after the one that leads to it.
    let mut steps: Vec<(u64, bool)> = inventory.snapshots.iter().map(|sequence| (*sequence, false)).collect();
    steps.extend(inventory.segments.iter().map(|first| (first - 1, true)));
    steps.sort_unstable();
    for (sequence, journal) in steps {
        if journal {
            walk.segment(sequence.saturating_add(1), &inventory);
        } else {
            walk.snapshot(sequence);
        }
    }
    walk.end(&inventory);
    Ok(walk.report)
}

/// A way through all files, in the order of what is in them.
struct Walk<'w, V: Vfs, I> {
    files: &'w Files<V>,
    fresh: &'w mut dyn FnMut() -> I,
    report: Report,
    /// What the files so far have led to, unless something was wrong on the way.
    running: Option<I>,
    /// The last snapshot.
    base: Option<u64>,
    /// The last version so far; none if there was no file yet.
    reached: Option<u64>,
    /// The first number of the segment that led there.
    before: Option<u64>,
    /// Something is wrong in that segment, so that it is no wonder if it ends early.
    faulty: bool,
    /// Segments that nothing comes before, not even a snapshot.
    leading: Vec<u64>,
}

impl<V: Vfs, I: Inspection> Walk<'_, V, I> {
    fn snapshot(&mut self, sequence: u64) {
        let path = self.files.snapshot(sequence);
        if let Some(reached) = self.reached.filter(|reached| *reached != sequence) {
            self.running = None;
            if reached < sequence {
                self.gap(reached, sequence.saturating_add(1));
            }
        }
        match snapshot::read(self.files, sequence) {
            Ok(snapshot) => {
                // What the journal since an older snapshot has led to has to be this one.
                if let Some(Err(refused)) = self.running.take().map(|led| led.compare(sequence, snapshot.document())) {
                    let Refused { reason, byte, line } = refused;
                    self.report.findings.push(Finding::Differs { path: path.clone(), line, byte, reason });
                }
                self.replaced();
                let mut next = (self.fresh)();
                match snapshot.hand_over(&mut next) {
                    Ok(()) => {
                        if let Err(reason) = next.check() {
                            self.report.findings.push(Finding::Rule { path: path.clone(), version: sequence, reason });
                        }
                        self.running = Some(next);
                    }
                    Err(error) => self.damage(error),
                }
            }
            // What has led here without it goes on.
            Err(error) => self.damage(error),
        }
        (self.base, self.reached, self.before) = (Some(sequence), Some(sequence), None);
        self.trace(sequence);
        let time = self.files.time_of(sequence);
        self.file(path, FileKind::Snapshot, Some((sequence, sequence)), time);
    }

    fn segment(&mut self, first: u64, inventory: &Inventory) {
        let expected = match self.reached {
            Some(reached) => {
                self.leading.extend((self.base.is_none() && !inventory.snapshots.is_empty()).then_some(first));
                reached.saturating_add(1)
            }
            // A store that has never had a snapshot begins with nothing.
            None if first == 1 && inventory.snapshots.is_empty() => {
                self.running = Some((self.fresh)());
                first
            }
            None => {
                self.leading.push(first);
                first
            }
        };
        if first != expected {
            self.running = None;
            self.gap(expected - 1, first);
        }
        let last_of_all = inventory.segments.last() == Some(&first);
        let mut visitor = Checked { inspection: self.running.take(), reached: first - 1, rules: Vec::new() };
        let outcome = Opened::new(self.files, first)
            .map_err(RecoverError::from)
            .and_then(|segment| journal::replay(segment, last_of_all, None, &mut visitor));
        let Checked { inspection, mut reached, rules } = visitor;
        self.faulty = outcome.is_err();
        let path = self.files.segment(first);
        let rules = rules.into_iter().map(|(version, reason)| Finding::Rule { path: path.clone(), version, reason });
        self.report.findings.extend(rules);
        match outcome {
            Ok(replayed) => {
                self.running = inspection;
                self.report.findings.extend(replayed.torn.map(Finding::Torn));
            }
            Err(error) => {
                let place = error.place().1;
                self.damage(error);
                if let Some((line, _)) = place {
                    // Where it isn't the header, a record was there.
                    self.trace(reached.saturating_add(u64::from(line > 1)));
                    match journal::faults_after(self.files, first, line) {
                        Ok((faults, last)) => {
                            faults.into_iter().for_each(|error| self.damage(error));
                            reached = reached.max(last.unwrap_or_default());
                        }
                        Err(failure) => self.damage(failure.into()),
                    }
                }
            }
        }
        (self.reached, self.before) = (Some(reached), Some(first));
        self.trace(reached);
        let time = journal::header(self.files, first).ok().map(|header| header.time);
        self.file(path, FileKind::Journal, (reached >= first).then_some((first, reached)), time);
    }

    fn end(&mut self, inventory: &Inventory) {
        // A snapshot has always had a journal behind it.
        if let (Some(base), Some(reached), None) = (self.base, self.reached, self.before) {
            self.damage(recovery::gap(self.files, Some(base), reached, None, None));
        }
        if let Some(&first) = self.leading.first().filter(|first| **first > 1) {
            self.damage(recovery::gap(self.files, None, 0, None, Some(first)));
        }
        for name in &inventory.temporary {
            let path = self.files.directory.join(name);
            self.report.findings.push(Finding::Leftover { path: path.clone() });
            self.file(path, FileKind::Leftover, None, None);
        }
    }

    /// A good snapshot makes up for what is missing before the first segments: a crash left them there.
    fn replaced(&mut self) {
        let paths = self.leading.drain(..).map(|first| self.files.segment(first));
        self.report.findings.extend(paths.map(|path| Finding::Replaced { path }));
    }

    fn gap(&mut self, reached: u64, resumes: u64) {
        let gap = recovery::gap(self.files, self.base, reached, self.before, Some(resumes));
        if !(self.faulty && matches!(gap, RecoverError::ShortJournal { .. })) {
            self.damage(gap);
        }
    }

    fn trace(&mut self, version: u64) {
        self.report.newest = self.report.newest.max(version);
    }

    fn damage(&mut self, error: RecoverError) {
        self.report.findings.push(Finding::Damage(error));
    }

    fn file(&mut self, path: PathBuf, kind: FileKind, versions: Option<(u64, u64)>, time: Option<Time>) {
        let size = self.files.open(&path, Access::Read).ok().and_then(|file| file.size().ok());
        self.report.files.push(FileReport { path, kind, versions, bytes: size.unwrap_or_default(), time });
    }
}

/// Hands records over as long as there is somebody to take them, and checks each.
struct Checked<I> {
    inspection: Option<I>,
    reached: u64,
    /// Versions that break a rule.
    rules: Vec<(u64, String)>,
}

impl<I: Inspection> Recovery for Checked<I> {
    fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        if let Some(inspection) = &mut self.inspection {
            inspection.record(sequence, record)?;
            self.rules.extend(inspection.check().err().map(|reason| (sequence, reason)));
        }
        self.reached = sequence;
        Ok(())
    }
}
