//! Checking and repairing a directory with the classes of its node.
//!
//! Invariant: files pass here exactly if an engine would open them.

use super::document::{Document, Restored, references, refused, write_document};
use crate::dispatcher::BesideUndo;
use crate::machine::Node;
use crate::serializable::{Json, Lines, Reader, Writer, from_json};
use crate::store::{self, Inspection, OpenError, Recovery, Refused, Repair, RepairError, Report};
use crate::tree::{EngineOnly, StrongReferences, Touched};
use std::path::Path;

/// Checks every file of a directory that isn't open elsewhere, without changing any: checksums and numbers, that each
/// patch of the journal applies to the objects of node `N`, that each journal leads exactly to the document of the
/// snapshot after it, strong references, and the node's own [`check`](Node::check) of each event.
///
/// ```
/// use amiko_core::{engine, prelude::*};
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
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// let mut counter = Engine::<Counter>::open(Directory::open(path)?, Settings::default())?;
/// counter.send(&Id::new(()), Add { amount: 7 }, Time::from_secs(1))?;
/// counter.sync()?;
/// drop(counter);
/// let report = engine::verify::<Counter>(path)?;
/// assert!(report.is_healthy());
/// assert_eq!((report.newest, report.files.len()), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// There is no store (none is created), or the directory is open elsewhere. Any other problem is in the report.
pub fn verify<N: Node>(path: impl AsRef<Path>) -> Result<Report, OpenError> {
    store::verify(path, Inspector::<N>::new)
}

/// Determines what can be salvaged of a directory, without changing anything: [`Repair::run`] does the repair.
///
/// ```
/// # use amiko_core::{engine, prelude::*};
/// # #[derive(Clone, Default, Serializable, Node)]
/// # #[amiko(machine)]
/// # struct Counter { value: u64 }
/// # #[derive(Clone, Serializable)]
/// # struct Add { amount: u64 }
/// # impl StateMachine for Counter {
/// #     type Node = Self;
/// #     type Message = Add;
/// #     fn handle(&mut self, add: Add, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
/// #         self.value += add.amount;
/// #         Ok(())
/// #     }
/// # }
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path();
/// # let mut counter = Engine::<Counter>::open(Directory::open(path)?, Settings::default())?;
/// # for amount in [7, 8, 9] {
/// #     counter.send(&Id::new(()), Add { amount }, Time::from_secs(1))?;
/// #     counter.sync()?;
/// # }
/// # drop(counter);
/// # let journal = path.join("journal-1.jsonl");
/// # std::fs::write(&journal, std::fs::read_to_string(&journal)?.replace("\"value\":15", "\"value\":95"))?;
/// // The second of three records is damaged.
/// let repair = engine::repair::<Counter>(path)?;
/// assert_eq!((repair.version(), repair.report().newest), (1, 3));
/// assert_eq!(repair.destination()?, Some(path.join("damaged-1")));
/// let repaired = repair.run()?;
/// assert_eq!(repaired.aside, Some(path.join("damaged-1")));
/// let counter = Engine::<Counter>::open(Directory::open(path)?, Settings::default())?;
/// assert_eq!(counter.node().value, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// There is no store, the directory is open elsewhere, or nothing can be salvaged.
pub fn repair<N: Node>(path: impl AsRef<Path>) -> Result<Repair, RepairError> {
    Repair::plan(path, Inspector::<N>::new)
}

/// The document that the files lead to, and the changes of the last one.
struct Inspector<N: Node> {
    restored: Restored<N>,
    references: StrongReferences,
    last: Last<N>,
    only: EngineOnly,
}

/// The last text that was passed in.
enum Last<N: Node> {
    /// A snapshot, or nothing.
    Whole,
    /// A record, with the state before it.
    Record {
        before: N::Undo,
        /// The same for timers and connections.
        beside: BesideUndo<N>,
        /// It only records that an input was used up, which the node's check doesn't cover.
        rejected: bool,
    },
    /// A text of another program, whose rules aren't known.
    Foreign,
}

impl<N: Node> Inspector<N> {
    fn new() -> Self {
        Self {
            restored: Restored::Nothing,
            references: StrongReferences::default(),
            last: Last::Whole,
            only: EngineOnly::new(),
        }
    }
}

impl<N: Node> Recovery for Inspector<N> {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        self.restored.snapshot(sequence, document)?;
        self.last = Last::Foreign;
        if let Restored::Typed(document) = &mut self.restored {
            drop(document.state.take_undo(None, &self.only));
            drop(document.beside.take_undo(&self.only));
            self.last = Last::Whole;
        }
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        let own = match &self.restored {
            Restored::Typed(document) => Some(document.state.own()),
            _ => None,
        };
        self.restored.record(sequence, record)?;
        if let Restored::Typed(document) = &mut self.restored {
            let rejected = Reader::new(record).peek_field("rejected").map_err(refused)?.is_some();
            let beside = document.beside.take_undo(&self.only);
            self.last = Last::Record { before: document.state.take_undo(own, &self.only), beside, rejected };
        }
        Ok(())
    }
}

impl<N: Node> Inspection for Inspector<N> {
    fn check(&mut self) -> Result<(), String> {
        let Restored::Typed(document) = &self.restored else { return Ok(()) };
        match &self.last {
            Last::Foreign => Ok(()),
            Last::Whole => {
                self.references = references(&document.state, &document.beside);
                self.references.resolve(&document.state).map_err(|rejection| rejection.to_string())
            }
            Last::Record { before, beside, rejected } => {
                let beside = |visit: &mut dyn FnMut(Touched<'_>)| document.beside.visit_touched(beside, visit);
                self.references.check(&document.state, before, beside).map_err(|rejection| rejection.to_string())?;
                if *rejected { Ok(()) } else { document.state.check(before).map_err(|rejection| rejection.to_string()) }
            }
        }
    }

    fn compare(&self, sequence: u64, document: &str) -> Result<(), Refused> {
        match &self.restored {
            Restored::Nothing => Ok(()),
            Restored::Typed(_) => same_text(&self.text(sequence)?, document),
            Restored::Foreign(json) => {
                let other = Json::parse(document).map_err(refused)?;
                let expected = if json.get("schema") == other.get("schema") {
                    // Members keep the order in which they came, and the number is that of the snapshot before.
                    let mut json = json.clone();
                    json.set("seq", Json::integer(sequence));
                    return same_text(&json.sorted().to_string(), &other.sorted().to_string());
                } else {
                    self.text(sequence)?
                };
                let ours = Json::parse(&expected).map_err(refused)?;
                // The output of a third program can't be checked against anything.
                if ours.get("schema") == other.get("schema") { same_text(&expected, document) } else { Ok(()) }
            }
        }
    }

    fn document(&self, sequence: u64) -> Result<String, String> {
        self.text(sequence).map_err(|refused| refused.reason)
    }
}

impl<N: Node> Inspector<N> {
    /// The text of the document, in the classes of this program.
    fn text(&self, sequence: u64) -> Result<String, Refused> {
        let nowhere = |reason: String| Refused { reason, line: 1, byte: 0 };
        let write = |document: &Document<N>| {
            let out = Writer::new().with_lines(Lines::PerEntry);
            let version = crate::version::Version(sequence);
            let written = write_document(out, version, &document.state, &document.beside);
            written.map(Writer::into_string).map_err(|error| nowhere(error.to_string()))
        };
        match &self.restored {
            Restored::Nothing => Err(nowhere("expected a snapshot, found none".into())),
            Restored::Typed(document) => write(document),
            Restored::Foreign(json) => write(&from_json(&json.to_string()).map_err(refused)?),
        }
    }
}

/// Reports the first place where a text differs from the expected one.
fn same_text(expected: &str, found: &str) -> Result<(), Refused> {
    /// Characters shown of each.
    const SHOWN: usize = 40;
    if expected == found {
        return Ok(());
    }
    let same = expected.bytes().zip(found.bytes()).take_while(|(one, other)| one == other).count();
    let at = (0..=same).rev().find(|at| expected.is_char_boundary(*at) && found.is_char_boundary(*at)).unwrap_or(0);
    let excerpt = |text: &str| text[at..].chars().take(SHOWN).collect::<String>().escape_debug().to_string();
    Err(Refused {
        reason: format!("expected {}, found {}", excerpt(expected), excerpt(found)),
        line: 1 + found[..at].bytes().filter(|byte| *byte == b'\n').count() as u64,
        byte: at as u64,
    })
}
