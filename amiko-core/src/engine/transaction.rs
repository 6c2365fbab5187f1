//! One event from its beginning to a new version, or back to the previous one.
//!
//! Invariant: whatever fails in here, including handlers, checks and the store, the previous version stands, bit for
//! bit.

use super::cause::Cause;
use super::history::Undo;
use super::{Engine, EventError, Rejected, document};
use crate::event::{Event, Output, Request};
use crate::machine::{Node, router};
use crate::observe::{EventWatch, Outcome};
use crate::panics::catch;
use crate::rejection::Rejection;
use crate::store::Store;
use crate::time::Time;
use crate::tree::{ReferenceChanges, Touched};
use crate::version::Version;

impl<N: Node, S: Store> Engine<N, S> {
    /// Runs an event that begins with `begin`: commits it, or restores the previous state.
    pub(super) fn run(
        &mut self,
        now: Time,
        request: Option<Request>,
        cause: &Cause<N>,
        begin: impl FnOnce(&mut Event<N>),
    ) -> Result<Version, EventError> {
        let (watch, before) = (EventWatch::begin(cause.name()), self.version);
        let outcome = self.run_unwatched(now, request, cause, begin);
        let seen = match &outcome {
            Ok(version) if *version == before => Outcome::Unchanged,
            Ok(version) => Outcome::Committed { version: version.0, bytes: self.record },
            Err(EventError::Rejected(rejection)) => Outcome::Rejected { reason: rejection.class(), text: rejection },
            Err(error @ (EventError::Poisoned { .. } | EventError::Store(_))) => Outcome::Failed { text: error },
            Err(error) => Outcome::Rejected { reason: "record", text: error },
        };
        let (messages, first) = (self.event.traces.len(), self.event.traces.first());
        watch.end(cause.name(), messages, first.map(|trace| (trace.kind, trace.class)), seen);
        outcome
    }

    fn run_unwatched(
        &mut self,
        now: Time,
        request: Option<Request>,
        cause: &Cause<N>,
        begin: impl FnOnce(&mut Event<N>),
    ) -> Result<Version, EventError> {
        let outcome = match self.handle(now, request, begin)? {
            Ok(()) => self.commit(cause, None),
            Err(rejection) => {
                let undo = self.take_undo();
                self.roll_back(&undo);
                self.note(&rejection);
                Err(EventError::Rejected(rejection))
            }
        };
        if let Err(EventError::Rejected(rejection)) = &outcome
            && self.settings.journal_rejected
            && matches!(cause, Cause::Command { .. })
        {
            self.record_rejected(cause, rejection)?;
        }
        outcome
    }

    /// Gives a rejected command, which was undone, a record, if there is room for it in one.
    fn record_rejected(&mut self, cause: &Cause<N>, rejection: &Rejection) -> Result<(), EventError> {
        match self.commit(cause, Some(&rejection.to_string())) {
            Err(error @ (EventError::Store(_) | EventError::Poisoned { .. })) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Begins an event and lets the machines handle it. After the outer error the engine can't continue.
    pub(super) fn handle(
        &mut self,
        now: Time,
        request: Option<Request>,
        begin: impl FnOnce(&mut Event<N>),
    ) -> Result<Result<(), Rejection>, EventError> {
        let (node, event, only, next) = (&mut self.node, &mut self.event, &self.only, self.version.next());
        #[cfg(feature = "sim")]
        crate::machine::phases::coverage::begin_event();
        // The state is restored as a whole when a handler panics, so no half-done change is visible.
        let handled = catch(|| {
            event.begin(now, next, request);
            begin(event);
            router::run(node, event)
        });
        let outcome = match handled {
            Ok(outcome) => outcome,
            Err(text) => Err(panicked("a handler", &text).with_chain(event.last_chain())),
        };
        if !node.is_intact(only) {
            // The contents of the old table are gone from memory, but still on disk.
            return Err(
                self.poison("a handler put another table in the place of one of the node's, or panicked inside one")
            );
        }
        Ok(outcome)
    }

    /// Checks the changes of an event, appends them to the store, and makes them a version.
    pub(super) fn commit(&mut self, cause: &Cause<N>, rejected: Option<&str>) -> Result<Version, EventError> {
        let undo = self.take_undo();
        match self.log(cause, rejected, &undo) {
            Ok(false) => {}
            Ok(true) => {
                self.tell_effects(&undo);
                self.version = self.version.next();
                #[cfg(feature = "sim")]
                crate::machine::phases::coverage::end_event(rejected.is_none());
                if self.settings.deliveries > 0 && rejected.is_none() {
                    self.deliveries.push(self.version, self.event.deliveries());
                }
                self.history.push(undo, self.version, self.event.now, &mut self.patch);
            }
            Err(error) => {
                self.roll_back(&undo);
                match &error {
                    // It was noted already.
                    _ if rejected.is_some() => {}
                    EventError::Rejected(rejection) => self.note(rejection),
                    EventError::Store(_) => {}
                    other => self.note(&Rejection::new(other.to_string())),
                }
                return Err(error);
            }
        }
        self.seal();
        self.compact();
        Ok(self.version)
    }

    /// Seals the outputs of the event.
    pub(super) fn seal(&mut self) {
        if self.event.outputs.is_empty() {
            return;
        }
        for output in &self.event.outputs {
            match output {
                Output::Transmit { connection, index, .. } => {
                    let versions = self.unreleased.entry(connection.clone()).or_default();
                    if versions.back().is_none_or(|(version, _)| *version < self.version) {
                        versions.push_back((self.version, *index));
                    }
                }
                // A new one of the same name would start counting from 0.
                Output::Closed { connection } => drop(self.unreleased.remove(connection)),
                _ => {}
            }
        }
        if self.event.outputs.iter().any(|output| !matches!(output, Output::Confirm { .. })) {
            self.awaited = self.version;
        }
        self.sealed.seal(self.version, self.event.outputs.drain(..));
    }

    /// Appends the difference to the journal, if there is one.
    fn log(&mut self, cause: &Cause<N>, rejected: Option<&str>, undo: &Undo<N>) -> Result<bool, EventError> {
        self.guarded(|engine| {
            if rejected.is_none() {
                engine.node.check(&undo.state).map_err(EventError::Rejected)?;
            }
            engine.begin_record(cause, rejected)?;
            engine.find_difference(undo)
        })?;
        // The others change what they use up.
        let is_command = matches!(cause, Cause::Command { .. });
        if self.patch.operations() == 0 && !(rejected.is_some() && is_command) {
            return Ok(false);
        }
        self.append(rejected.is_some() && !is_command, undo)?;
        Ok(true)
    }

    /// Guards application code that isn't a handler and changes nothing: its check, and how its objects are written.
    pub(super) fn guarded<T>(
        &mut self,
        check: impl FnOnce(&mut Self) -> Result<T, EventError>,
    ) -> Result<T, EventError> {
        match catch(|| check(self)) {
            Ok(outcome) => outcome,
            Err(text) => Err(EventError::Rejected(panicked("a check", &text))),
        }
    }

    /// The changes of an event, after every check.
    pub(super) fn try_difference(&mut self, undo: &Undo<N>) -> Result<String, EventError> {
        self.guarded(|engine| {
            engine.node.check(&undo.state).map_err(EventError::Rejected)?;
            engine.patch.clear();
            engine.find_difference(undo)
        })?;
        let changes = self.check_references(undo)?;
        self.references.revert(changes);
        Ok(self.patch.to_json())
    }

    fn check_references(&mut self, undo: &Undo<N>) -> Result<ReferenceChanges, EventError> {
        let dispatcher = &self.event.dispatcher;
        let beside = |visit: &mut dyn FnMut(Touched<'_>)| dispatcher.visit_touched(&undo.dispatcher, visit);
        self.references.check(&self.node, &undo.state, beside).map_err(EventError::Rejected)
    }

    fn find_difference(&mut self, undo: &Undo<N>) -> Result<(), EventError> {
        let patch = &mut self.patch;
        patch
            .within_field("/state", |patch| self.node.difference_since(&undo.state, patch))
            .and_then(|()| self.event.dispatcher.difference_since(&undo.dispatcher, patch))
            .map_err(EventError::unwritten)
    }

    /// Begins the record of the next version; the operations of its patch follow.
    pub(super) fn begin_record(&mut self, cause: &Cause<N>, rejected: Option<&str>) -> Result<(), EventError> {
        // A record that only uses up an input is small, and is always accepted.
        let is_command = matches!(cause, Cause::Command { .. });
        let limit = if rejected.is_some() && !is_command { usize::MAX } else { self.settings.limits.record };
        document::begin_record(&mut self.patch, self.version.next(), self.event.now, cause, rejected, limit)
            .map_err(EventError::unwritten)
    }

    /// Appends the record to the journal.
    pub(super) fn append(&mut self, used_up: bool, undo: &Undo<N>) -> Result<(), EventError> {
        let limit = self.settings.limits.record;
        let found = self.patch.end_inside(document::RECORD_END).len();
        if found > limit && !used_up {
            return Err(EventError::TooLong { limit });
        }
        let shadow = if self.shadow.is_some() { self.guarded(|engine| engine.check_record(undo))? } else { None };
        let changes = self.check_references(undo)?;
        self.record = found;
        let record = self.patch.whole();
        if let Err(error) = self.store.append(self.version.next().0, record) {
            self.references.revert(changes);
            return Err(EventError::Store(error));
        }
        self.shadow = shadow;
        Ok(())
    }

    pub(super) fn take_undo(&mut self) -> Undo<N> {
        let own = self.event.own.take();
        Undo { state: self.node.take_undo(own, &self.only), dispatcher: self.event.dispatcher.take_undo(&self.only) }
    }

    pub(super) fn roll_back(&mut self, undo: &Undo<N>) {
        self.node.roll_back(&undo.state, &self.only);
        self.event.dispatcher.roll_back(&undo.dispatcher, &self.only);
        self.event.outputs.clear();
        self.try_to_renew_shadow();
    }

    pub(super) fn note(&mut self, rejection: &Rejection) {
        let rejection = rejection.clone();
        self.rejections.push_back(Rejected { time: self.event.now, version: self.version, rejection });
        while self.rejections.len() > self.settings.rejections {
            self.rejections.pop_front();
        }
    }

    pub(super) fn poison(&mut self, reason: &'static str) -> EventError {
        self.poisoned = Some(reason);
        EventError::Poisoned { reason }
    }
}

#[cold]
pub(super) fn panicked(who: &str, text: &str) -> Rejection {
    Rejection::of_panic(format!("{who} panicked: {text}"))
}
