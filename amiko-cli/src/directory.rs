//! The files of a node: its document at a version, and its records.
//!
//! Invariant: nothing is written, and no lock is taken; the node may be running.

use crate::failure::Failure;
use crate::progress::Progress;
use amiko_core::serializable::{Classes, Json};
use amiko_core::store::{Archive, OsVfs, RecoverError, Recovery, Refused, Store, classes, walk};
use amiko_inspector::reading::Record;
use amiko_inspector::reading::{Change, Operation, Path, Tree};
use std::ops::ControlFlow;
use std::path::Path as Directory;
use std::time::SystemTime;

/// A directory, and what is hidden of it.
pub(crate) struct Source<'d> {
    path: &'d Directory,
    /// Whether everything is shown.
    secrets: bool,
    /// What is known to be secret.
    classes: Option<Classes>,
}

/// A document, and the version that it is.
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) tree: Tree,
}

/// What `--at` says.
pub(crate) enum Moment {
    Version(u64),
    /// In milliseconds since 1970.
    Time(u64),
}

impl Moment {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if let Ok(version) = text.parse() {
            return Ok(Self::Version(version));
        }
        let wrong =
            || Failure::Usage(format!("expected a version, or a time such as 2026-11-29T15:00:00Z, found {text:?}"));
        let time = humantime::parse_rfc3339_weak(text).map_err(|_| wrong())?;
        let millis = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| wrong())?.as_millis();
        Ok(Self::Time(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

impl<'d> Source<'d> {
    /// A directory, with or without its secrets. Somebody has to know what is secret in it.
    pub(crate) fn open(path: &'d Directory, secrets: bool) -> Result<Self, Failure> {
        if secrets {
            return Ok(Self { path, secrets, classes: None });
        }
        let classes = classes(path)?;
        if classes.is_none() && path.is_dir() {
            eprintln!(
                "amiko: nothing is hidden: expected `classes.json`, which says what is secret, found none; the next start of \
                 its program writes it"
            );
        }
        Ok(Self { path, secrets, classes })
    }

    /// Looks again what is secret: the program may have been replaced by another one meanwhile.
    pub(crate) fn look_again(&mut self) -> Result<(), Failure> {
        if !self.secrets {
            self.classes = classes(self.path)?;
        }
        Ok(())
    }

    /// What may be shown of what stands at a path.
    pub(crate) fn shown(&self, path: &Path, tree: &Tree) -> Json {
        let mut json = tree.to_json();
        if let Some(classes) = &self.classes {
            classes.hide_at(&path.to_string(), &mut json);
        }
        json
    }

    /// The version at a moment: the last one that isn't later.
    pub(crate) fn version_at(&self, moment: Option<&str>) -> Result<Option<u64>, Failure> {
        match moment.map(Moment::parse).transpose()? {
            None => Ok(None),
            Some(Moment::Version(version)) => Ok(Some(version)),
            Some(Moment::Time(time)) => {
                let mut found = None;
                self.records(0, |record| {
                    if record.time > time {
                        return Ok(ControlFlow::Break(()));
                    }
                    found = Some(record.version);
                    Ok(ControlFlow::Continue(()))
                })?;
                found.map(Some).ok_or_else(|| {
                    Failure::Missing(
                        "expected an event before that time, found none: it is from before the journal".into(),
                    )
                })
            }
        }
    }

    /// The document at a version, with its secrets.
    pub(crate) fn load(&self, version: Option<u64>) -> Result<State, Failure> {
        let mut archive = Archive::open_with_vfs(self.path, version, OsVfs)?;
        let mut replay = Replay::default();
        let recovered = archive.recover(&mut replay);
        if let Some((version, reason)) = replay.wrong {
            return Err(Failure::Record { version, reason });
        }
        let version = recovered?.sequence;
        let mut tree = replay.tree.ok_or_else(|| Failure::no_store(self.path))?;
        // So that it is the document of this version, and not of the snapshot that it began with.
        let number = Change::Replace(Tree::Leaf(Json::integer(version)));
        tree.apply(Operation { path: Path::parse("/seq"), change: number });
        Ok(State { version, tree })
    }

    /// The document before the first record from a version on; the oldest one that can be read, if that isn't kept.
    pub(crate) fn before(&self, from: u64) -> Result<State, Failure> {
        let mut first = None;
        self.records(from, |record| {
            first = Some(record.version);
            Ok(ControlFlow::Break(()))
        })?;
        match self.load(first.map(|first| first.saturating_sub(1))) {
            Err(Failure::Damaged(RecoverError::NotKept { oldest, .. })) => self.load(Some(oldest)),
            loaded => loaded,
        }
    }

    /// What its program says of its classes, and whether secrets are hidden. Without that, an error says `what` it would say.
    pub(crate) fn described(&self, what: &str) -> Result<(Classes, bool), Failure> {
        let described = match &self.classes {
            Some(classes) => Some(classes.clone()),
            None => classes(self.path)?,
        };
        match described {
            Some(classes) => Ok((classes, !self.secrets)),
            None if !self.path.is_dir() => Err(Failure::no_store(self.path)),
            None => Err(Failure::Missing(format!(
                "expected `classes.json`, which says {what}, found none; the next start of its program writes it"
            ))),
        }
    }

    /// Hands over the records from a version on, as far back as they are kept. Gives the last version that was seen.
    pub(crate) fn records(
        &self,
        from: u64,
        mut visit: impl FnMut(Record) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<u64, Failure> {
        let mut failure = None;
        let mut last = from.saturating_sub(1);
        let mut progress = Progress::begin();
        let walked = walk(self.path, from, |version, text| {
            last = version;
            progress.event();
            let outcome = match self.read(version, text) {
                Some(record) => visit(record),
                None => Err(Failure::Record { version, reason: "it isn't a record" }),
            };
            outcome.unwrap_or_else(|error| {
                failure = Some(error);
                ControlFlow::Break(())
            })
        });
        match (failure, walked?) {
            (Some(failure), _) => Err(failure),
            // Not even an empty journal.
            (None, walked) if walked.first.is_none() => Err(Failure::no_store(self.path)),
            (None, _) => Ok(last),
        }
    }

    fn read(&self, version: u64, text: &str) -> Option<Record> {
        let mut json = Json::parse(text).ok()?;
        if let Some(classes) = &self.classes {
            classes.hide(&mut json);
        }
        Record::of(version, json)
    }
}

/// The document that the files lead to.
#[derive(Default)]
pub(crate) struct Replay {
    pub(crate) tree: Option<Tree>,
    wrong: Option<(u64, &'static str)>,
}

impl Replay {
    fn refuse(&mut self, version: u64, reason: &'static str) -> Refused {
        self.wrong = Some((version, reason));
        Refused { reason: reason.to_owned(), byte: 0, line: 1 }
    }
}

impl Recovery for Replay {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        match Json::parse(document) {
            Ok(json) => {
                self.tree = Some(json.into());
                Ok(())
            }
            Err(_) => Err(self.refuse(sequence, "its snapshot isn't JSON")),
        }
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        let Some(record) = Record::read(sequence, record) else {
            return Err(self.refuse(sequence, "it isn't a record"));
        };
        let Some(tree) = &mut self.tree else {
            return Err(self.refuse(sequence, "there is no snapshot before it"));
        };
        if record.patch.into_iter().all(|operation| tree.apply(operation)) {
            Ok(())
        } else {
            Err(self.refuse(sequence, "its patch doesn't fit the document before it"))
        }
    }
}
