//! Copies of everything that is kept of a node: from a directory into a database, and back.
//!
//! Invariant: a copy counts once it is complete and was read back; before that, the database has nothing of it, and the directory
//! isn't there. What it is copied from isn't written by anybody meanwhile, and isn't changed.

mod database;
mod error;
mod ledger;
mod source;
mod target;

use amiko_core::serializable::Classes;
use amiko_core::store::{Kept, KeptReader, KeptWriter, classes};
use database::Database;
pub use error::CopyError;
use ledger::Ledger;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use target::Target;

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The oldest version that the copy has.
    pub first: u64,
    /// The newest one.
    pub last: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// How many records.
    pub records: u64,
    /// Bytes of both.
    pub bytes: u64,
}

/// Copies a node from a directory into a database, with everything that is kept of it; makes the tables if they aren't there.
/// `progress` is called with the version of each record.
///
/// The directory is locked meanwhile. Whoever opens both afterwards has two nodes that take themselves for the same one: open the
/// copy, and not the directory any more.
///
/// # Errors
/// The directory isn't there, is open elsewhere, or is damaged; the node in the database has something already, or is led; or the
/// database fails. Nothing is in the database then. If the answer to its commit is lost, nobody knows: it has all of it or nothing.
pub fn import(
    directory: impl AsRef<Path>,
    url: &str,
    node: &str,
    progress: impl FnMut(u64) + Send,
) -> Result<Copied, CopyError> {
    let directory = directory.as_ref();
    aside(|| import_here(directory, url, node, progress))
}

/// Copies a node that isn't led from a database into a new directory, with everything that is kept of it. `progress` is called
/// with the version of each record.
///
/// Nobody can lead the node meanwhile. Whoever leads it afterwards, and opens the directory too, has two nodes that take
/// themselves for the same one.
///
/// # Errors
/// There is no such node, it is led, or damaged; there is something in the directory already, or the disk or the database fails.
/// The directory isn't there then, or is as empty as it was.
pub fn export(
    url: &str,
    node: &str,
    directory: impl AsRef<Path>,
    progress: impl FnMut(u64) + Send,
) -> Result<Copied, CopyError> {
    export_checked(url, node, directory, |_| Ok(()), progress)
}

/// The same with a check of the whole copy, before it counts: what takes more than checksums to tell. It gets a directory that will
/// have another name, and says what is wrong with it.
///
/// # Errors
/// As [`export`]; and [`CopyError::Refused`] with what the check has said.
pub fn export_checked(
    url: &str,
    node: &str,
    directory: impl AsRef<Path>,
    check: impl FnOnce(&Path) -> Result<(), String> + Send,
    progress: impl FnMut(u64) + Send,
) -> Result<Copied, CopyError> {
    let directory = directory.as_ref();
    aside(|| export_here(url, node, directory, source::Access::Alone, check, progress))
}

/// The same of a node that may be led: as of one moment, to look at it. It writes nothing to the database, and holds nobody up.
///
/// # Errors
/// As [`export`], but it doesn't matter who leads.
pub fn export_running(
    url: &str,
    node: &str,
    directory: impl AsRef<Path>,
    progress: impl FnMut(u64) + Send,
) -> Result<Copied, CopyError> {
    let directory = directory.as_ref();
    aside(|| export_here(url, node, directory, source::Access::Shared, |_| Ok(()), progress))
}

/// On a thread of its own, because it blocks, and may be called inside an async runtime.
fn aside<T: Send>(work: impl FnOnce() -> Result<T, CopyError> + Send) -> Result<T, CopyError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("amiko-copy".to_owned()).spawn_scoped(scope, work);
        let failed =
            |source| CopyError::Io { action: "copy with a thread of", path: PathBuf::from("this process"), source };
        thread.map_err(failed)?.join().unwrap_or_else(|_| Err(failed(io::Error::other("it has panicked"))))
    })
}

fn import_here(directory: &Path, url: &str, node: &str, progress: impl FnMut(u64)) -> Result<Copied, CopyError> {
    let reader = KeptReader::open(directory)?;
    let mut database = Database::connect(url, node)?;
    let mut target = Target::begin(&mut database)?;
    let mut copied = Ledger::new(progress);
    read(&reader, |kept| {
        copied.note(&kept);
        target.take(kept)
    })?;
    let copied = copied.end(&directory.display())?;
    let classes = classes(directory).map_err(CopyError::Classes)?;
    target.end(classes.as_ref())?;

    let mut found = Ledger::new(|_| {});
    database.read(|kept| {
        found.note(&kept);
        Ok(())
    })?;
    copied.compare(&found)?;
    same_classes(classes, database.classes()?)?;
    database.commit()?;
    Ok(copied.copied)
}

fn export_here(
    url: &str,
    node: &str,
    directory: &Path,
    access: source::Access,
    check: impl FnOnce(&Path) -> Result<(), String>,
    progress: impl FnMut(u64),
) -> Result<Copied, CopyError> {
    expect_empty(directory)?;
    let mut database = Database::connect(url, node)?;
    database.begin(access)?;
    let beside = beside(directory)?;
    let mut writer = KeptWriter::create(beside.path())?;
    let mut copied = Ledger::new(progress);
    database.read(|kept| {
        copied.note(&kept);
        writer.take(kept).map_err(CopyError::Target)
    })?;
    let copied = copied.end(&format_args!("{node:?}"))?;
    let described = database.classes()?;
    if let Some(classes) = &described {
        writer.describe(classes).map_err(CopyError::Target)?;
    }
    writer.finish().map_err(CopyError::Target)?;

    let mut found = Ledger::new(|_| {});
    read(&KeptReader::open(beside.path())?, |kept| {
        found.note(&kept);
        Ok(())
    })?;
    copied.compare(&found)?;
    same_classes(described, classes(beside.path()).map_err(CopyError::Classes)?)?;
    check(beside.path()).map_err(|reason| CopyError::Refused { reason })?;
    // When it was written, for whoever looks at the files.
    for (sequence, written) in database.written()? {
        let file = File::options().write(true).open(beside.path().join(format!("snapshot-{sequence}.json")));
        file.and_then(|file| file.set_modified(written)).map_err(io_error("write", beside.path()))?;
    }
    publish(beside, directory)?;
    Ok(copied.copied)
}

/// Reads a directory; the first error of whoever takes it ends that.
fn read(reader: &KeptReader, mut take: impl FnMut(Kept<'_>) -> Result<(), CopyError>) -> Result<(), CopyError> {
    let mut outcome = Ok(());
    reader.read(|kept| {
        outcome = take(kept);
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome
}

fn same_classes(copied: Option<Classes>, found: Option<Classes>) -> Result<(), CopyError> {
    let text = |classes: Option<Classes>| classes.map(|classes| classes.to_text());
    if text(copied) == text(found) {
        return Ok(());
    }
    Err(CopyError::Differs { reason: "what is said of the classes".to_owned() })
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> CopyError {
    move |source| CopyError::Io { action, path: path.to_owned(), source }
}

/// Refuses anything but a new directory, or an empty one.
fn expect_empty(directory: &Path) -> Result<(), CopyError> {
    match fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(CopyError::Occupied { target: directory.display().to_string() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error("list", directory)(error)),
    }
}

/// A directory in the same place, for what isn't complete yet. It is removed unless it is published.
fn beside(directory: &Path) -> Result<tempfile::TempDir, CopyError> {
    let parent = parent(directory);
    fs::create_dir_all(parent).map_err(io_error("create the directory", parent))?;
    let mut prefix = OsString::from(".");
    prefix.push(directory.file_name().unwrap_or_default());
    prefix.push(".");
    let made = tempfile::Builder::new().prefix(&prefix).suffix(".tmp").tempdir_in(parent);
    made.map_err(io_error("create a directory in", parent))
}

/// Gives it its name, durably.
fn publish(beside: tempfile::TempDir, directory: &Path) -> Result<(), CopyError> {
    let failed = io_error("create the directory", directory);
    if cfg!(not(unix)) && directory.exists() {
        fs::remove_dir(directory).map_err(&failed)?;
    }
    // Where one is there already, it goes through only if that one is still empty.
    fs::rename(beside.path(), directory).map_err(&failed)?;
    let _ = beside.keep();
    if cfg!(unix) {
        let parent = parent(directory);
        File::open(parent).and_then(|parent| parent.sync_all()).map_err(io_error("sync the directory", parent))?;
    }
    Ok(())
}

fn parent(directory: &Path) -> &Path {
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
