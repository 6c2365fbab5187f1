//! Changing the state by hand.
//!
//! Invariant: an edit must pass the same checks as an event, and is a journal record like any other.
//! any other.

use super::cause::Cause;
use super::document::Document;
use super::history::Undo;
use super::transaction::panicked;
use super::{Engine, EventError};
use crate::machine::Node;
use crate::panics::catch;
use crate::serializable::{Json, Patch, ReadError, Reader, Serializable, WriteError, apply_patch};
use crate::store::Store;
use crate::time::Time;
use crate::tree::{Object, Table};
use crate::version::Version;
use std::collections::BTreeMap;
use std::fmt;
use std::mem;

/// Why an edited document was refused. Nothing was changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum EditError {
    /// It isn't a document of this node.
    Read(ReadError),
    /// It was made from another version than the present one, or has another format or other classes.
    Changed {
        /// The field that shows it.
        field: &'static str,
        /// The expected value.
        expected: String,
        /// The value found.
        found: String,
    },
    /// It has no exact text.
    Write(WriteError),
    /// The check of the node, or a strong reference, failed; or the store did.
    Event(EventError),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the edited document can't be read: {error}"),
            Self::Changed { field, expected, found } => {
                write!(f, "{field}: expected {expected}, which isn't to be edited, found {found}")
            }
            Self::Write(error) => write!(f, "the edited document can't be written: {error}"),
            Self::Event(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Event(error) => error.source(),
            Self::Read(_) | Self::Changed { .. } | Self::Write(_) => None,
        }
    }
}

impl<N: Node, S: Store> Engine<N, S> {
    /// Takes an edited version of [`Engine::document`], in any layout: reads it, computes the difference, passes it
    /// to `agree` (a JSON Patch, RFC 6902), and commits it as one event with the cause [`Cause::Edit`].
    ///
    /// Returns none if nothing was changed, or if `agree` returned false. Versions from before the edit are no longer
    /// in memory.
    ///
    /// ```
    /// # use amiko_core::{Version, engine::Settings, prelude::*, store::Memory};
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
    /// # let mut engine = Engine::<Counter, _>::open(Memory::new(), Settings::default())?;
    /// let edited = engine.document()?.replace(r#""value":0"#, r#""value":7"#);
    /// let patch = r#"[{"op":"replace","path":"/state/value","value":7}]"#;
    /// assert_eq!(engine.edit(&edited, Time::from_secs(1), |found| found == patch)?, Some(Version(1)));
    /// engine.sync()?;
    /// assert_eq!(engine.node().value, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EditError`]; nothing was changed.
    pub fn edit(
        &mut self,
        document: &str,
        now: Time,
        agree: impl FnOnce(&str) -> bool,
    ) -> Result<Option<Version>, EditError> {
        self.enter(|engine| Ok(engine.take_edited(document, now, agree))).map_err(EditError::Event).flatten()
    }

    fn take_edited(
        &mut self,
        document: &str,
        now: Time,
        agree: impl FnOnce(&str) -> bool,
    ) -> Result<Option<Version>, EditError> {
        // Nothing begins until all of this succeeds.
        let begun = catch(|| {
            let patch = self.edited_difference(&self.read_edited(document)?).map_err(EditError::Write)?;
            let agreed = patch.operations() > 0 && agree(&patch.to_json());
            Ok(agreed.then(|| (patch, self.node.clone(), self.node.own())))
        });
        let Some((patch, before, own)) =
            begun.unwrap_or_else(|text| Err(EditError::Event(EventError::Rejected(panicked("the edit", &text)))))?
        else {
            return Ok(None);
        };
        self.event.begin(now, self.version.next(), None);
        self.event.own = Some(own);
        let applied = self.apply_to_document(&patch.to_json());
        let undo = self.take_undo();
        let kept = applied.and_then(|()| self.keep_edit(&patch, &undo).map_err(EditError::Event));
        if let Err(error) = kept {
            self.abandon_snapshot();
            self.event.dispatcher.roll_back(&undo.dispatcher, &self.only);
            self.event.dispatcher.order_deadlines();
            self.node = before;
            drop(self.node.take_undo(None, &self.only));
            self.try_to_renew_shadow();
            return Err(error);
        }
        self.tell_effects(&undo);
        self.version = self.version.next();
        self.seal();
        self.history.clear();
        Ok(Some(self.version))
    }

    fn keep_edit(&mut self, patch: &Patch, undo: &Undo<N>) -> Result<(), EventError> {
        self.guarded(|engine| {
            engine.node.check(&undo.state).map_err(EventError::Rejected)?;
            engine.begin_record(&Cause::Edit, None)
        })?;
        self.patch.append(patch);
        self.append(false, undo)
    }

    /// Reads the edited document, and checks that it was made from this version.
    fn read_edited(&self, document: &str) -> Result<Document<N>, EditError> {
        let present = self.document().map_err(EditError::Write)?;
        for field in ["format", "seq", "schema"] {
            let (expected, found) = (member(&present, field)?, member(document, field)?);
            if expected != found {
                return Err(EditError::Changed { field, expected, found });
            }
        }
        let mut input = Reader::new(document);
        let edited = Document::read(&mut input).map_err(EditError::Read)?;
        input.end().map_err(EditError::Read)?;
        Ok(edited)
    }

    fn edited_difference(&self, edited: &Document<N>) -> Result<Patch, WriteError> {
        let mut patch = Patch::new();
        patch.field("state", &self.node, &edited.state)?;
        let (old, new) = (self.event.dispatcher.beside(), &edited.beside);
        patch.field("timers", &old.timers, &new.timers)?;
        patch.field("connections", &old.connections, &new.connections)?;
        late(&mut patch, "answers", &old.answers, &new.answers)?;
        late(&mut patch, "effects", &old.effects, &new.effects)?;
        Ok(patch)
    }

    /// Changes the state and what is beside it, with undo logs as in any event.
    fn apply_to_document(&mut self, patch: &str) -> Result<(), EditError> {
        let beside = self.event.dispatcher.take_tables();
        let mut document = Document { state: mem::take(&mut self.node), beside };
        let applied = catch(|| apply_patch(&mut document, &mut Reader::new(patch)));
        self.node = document.state;
        self.event.dispatcher.put_tables(document.beside);
        applied.map_or_else(
            |text| Err(EditError::Event(EventError::Rejected(panicked("the edit", &text)))),
            |applied| applied.map_err(EditError::Read),
        )
    }
}

/// The difference of a table that a document has no place for while it is empty.
fn late<T: Object + Clone>(
    patch: &mut Patch,
    name: &'static str,
    old: &Table<T>,
    new: &Table<T>,
) -> Result<(), WriteError> {
    if old.is_empty() && !new.is_empty() {
        patch.add(name, &BTreeMap::<String, Json>::new())?;
    }
    patch.field(name, old, new)
}

/// A field of a document, as it appears in the text.
fn member(document: &str, field: &str) -> Result<String, EditError> {
    let mut input = Reader::new(document);
    let find = |input: &mut Reader<'_>| {
        input.begin_object()?;
        while let Some(key) = input.key()? {
            let value = input.skip()?;
            if key == field {
                return Ok(value.to_owned());
            }
        }
        Ok("nothing".to_owned())
    };
    find(&mut input).map_err(EditError::Read)
}
