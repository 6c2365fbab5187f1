//! A past version of a directory, read-only.
//!
//! Invariant: it never writes, and needs neither the lock nor write permission.

use std::io;
use std::path::{Path, PathBuf};

use super::error::{OpenError, RecoverError, StoreError};
use super::files::Files;
use super::vfs::{OsVfs, Vfs};
use super::{Recovered, Recovery, Store, Usage, Work, recovery};
use crate::time::Time;

/// A read-only [`Store`]: one version of a directory, which another process may be using.
///
/// An engine on it has the state of that version, and accepts no event; nor does it need a snapshot.
///
/// ```
/// use amiko_core::store::{Archive, Directory, Retention, DirectorySettings};
/// use amiko_core::{engine::Settings, prelude::*};
///
/// #[derive(Clone, Default, Serializable, Node)]
/// #[amiko(machine)]
/// struct Counter { value: u64 }
///
/// #[derive(Clone, Serializable)]
/// struct Add { amount: u64 }
///
/// impl StateMachine for Counter {
///     type Node = Self;
///     type Message = Add;
///     fn handle(&mut self, add: Add, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
///         self.value += add.amount;
///         Ok(())
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let mut settings = DirectorySettings::default();
/// settings.retention = Retention::Forever;
/// let mut engine = Engine::<Counter>::open(Directory::open_with(path, settings)?, Settings::default())?;
/// for amount in [7, 10] {
///     engine.send(&Id::new(()), Add { amount }, Time::from_secs(1))?;
/// }
/// engine.sync()?;
///
/// let past: Engine<Counter, Archive> = Engine::open(Directory::open_at(path, 1)?, Settings::default())?;
/// assert_eq!(past.node().value, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Archive<V: Vfs = OsVfs> {
    files: Files<V>,
    version: Option<u64>,
    sequence: Option<u64>,
}

/// A newer snapshot may take the place of files after they were listed, and before they were opened: so often they are
/// listed anew at the most.
const ATTEMPTS: usize = 10;

/// The [`Work`] of an [`Archive`]: there is none.
#[derive(Debug)]
pub enum NoWork {}

impl Work for NoWork {
    type Done = Self;

    fn run(self) -> Self {
        self
    }
}

impl<V: Vfs> Archive<V> {
    /// A version of the store in a directory on another file system than the operating system's; the newest one if
    /// none is given.
    ///
    /// # Errors
    /// [`OpenError::Io`] if there is no such directory.
    pub fn open_with_vfs(path: impl AsRef<Path>, version: Option<u64>, vfs: V) -> Result<Self, OpenError> {
        let directory: PathBuf = path.as_ref().to_owned();
        if let Err(source) = vfs.list(&directory) {
            return Err(OpenError::Io { action: "list", path: directory, source });
        }
        Ok(Self { files: Files { vfs, directory }, version, sequence: None })
    }

    fn ready(&self) -> Result<u64, StoreError> {
        self.sequence.ok_or(StoreError::NotRecovered)
    }
}

impl<V: Vfs> Store for Archive<V> {
    type Work = NoWork;

    fn recover(&mut self, visitor: &mut dyn Recovery) -> Result<Recovered, RecoverError> {
        if self.sequence.is_some() {
            return Err(RecoverError::NotFresh);
        }
        let mut attempts = 1;
        let replay = loop {
            let outcome = match self.version {
                Some(version) => recovery::until(&self.files, version, visitor),
                None => recovery::newest(&self.files, visitor),
            };
            match outcome {
                // Nothing was handed over: all files are opened first.
                Err(RecoverError::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound && attempts < ATTEMPTS =>
                {
                    attempts += 1;
                }
                other => break other?,
            }
        };
        self.sequence = Some(replay.recovered.sequence);
        Ok(replay.recovered)
    }

    fn append(&mut self, _: u64, _: &str) -> Result<(), StoreError> {
        self.ready().and(Err(StoreError::ReadOnly))
    }

    fn begin_sync(&mut self) -> Result<Option<NoWork>, StoreError> {
        self.ready().map(|_| None)
    }

    fn end_sync(&mut self, done: NoWork) -> Result<(), StoreError> {
        match done {}
    }

    fn begin_snapshot(&mut self, _: u64, _: Time) -> Result<(), StoreError> {
        self.ready().map(drop)
    }

    fn write_snapshot(&mut self, _: &str) -> Result<(), StoreError> {
        self.ready().map(drop)
    }

    fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        self.ready().map(drop)
    }

    /// Nothing is ever to be compacted.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}
