//! A second state that follows the journal: for tests.
//!
//! Invariant: it has read nothing but records, so its contents are those that a restart would give.

use super::document::{Document, read_record};
use super::history::Undo;
use super::{Engine, EventError};
use crate::machine::Node;
use crate::panics::catch;
use crate::serializable::{Patch, Polymorphic, Reader, WriteError, Writer};
use crate::store::Store;
use crate::tree::Touched;
use std::collections::HashMap;

/// The second state, and the objects that are too long to be compared each time.
pub(super) struct Shadow<N: Node> {
    document: Document<N>,
    /// Bytes of all records so far.
    read: usize,
    /// For each long object: the length of its text, and the length of the records at its last comparison.
    long: HashMap<String, (usize, usize)>,
}

impl<N: Node> Shadow<N> {
    /// Whether an object is compared now. A long one is compared only when the records have grown by its own length,
    /// so that comparing costs no more than reading them.
    fn looks_at(&self, name: &str) -> bool {
        self.long.get(name).is_none_or(|(length, then)| self.read - then >= *length)
    }
}

impl<N: Node, S: Store> Engine<N, S> {
    /// Reads the record of the event back, if [`Settings::check_records`](super::Settings) is set, and compares the
    /// result with the state. The cost is proportional to what the event touched, plus all of the node's own fields
    /// if it touched those.
    pub(super) fn check_record(&mut self, undo: &Undo<N>) -> Result<Option<Box<Shadow<N>>>, EventError> {
        let Some(mut shadow) = self.shadow.take() else { return Ok(None) };
        let refused = |reason: String| EventError::Write(WriteError::unreadable(reason));
        let read = read_record(&mut shadow.document, &mut Reader::new(self.patch.whole()));
        shadow.read += self.patch.whole().len();
        read.map_err(|error| refused(format!("its record isn't read back: {}", error.reason())))?;
        drop(shadow.document.state.take_undo(None, &self.only));
        drop(shadow.document.beside.take_undo(&self.only));
        self.compare_objects(&mut shadow, undo).map_err(refused)?;
        if N::old_references(&undo.state, &mut |_| {}) {
            let own = shadow.document.state.take_undo(Some(self.node.own()), &self.only);
            let mut patch = Patch::new();
            shadow.document.state.difference_since(&own, &mut patch).map_err(EventError::Write)?;
            if patch.operations() > 0 {
                return Err(refused(format!("its record leads to other fields of the node: {}", patch.to_json())));
            }
        }
        Ok(Some(shadow))
    }

    /// Compares the objects that the event has touched.
    fn compare_objects(&self, shadow: &mut Shadow<N>, undo: &Undo<N>) -> Result<(), String> {
        let dispatcher = &self.event.dispatcher;
        let here =
            texts::<N>(&self.node, &undo.state, shadow, |visit| dispatcher.visit_touched(&undo.dispatcher, visit));
        let Document { state, beside } = &shadow.document;
        let there = texts::<N>(state, &undo.state, shadow, |visit| beside.visit_touched(&undo.dispatcher, visit));
        if let Some(((name, here), (_, there))) = here.iter().zip(&there).find(|(here, there)| here != there) {
            return Err(format!("its record leads to another {name}: expected {here}, found {there}"));
        }
        /// An object of at most this many bytes is compared each time.
        const SHORT: usize = 64 << 10;
        for (name, text) in here.into_iter().filter(|(_, text)| text.len() > SHORT) {
            shadow.long.insert(name, (text.len(), shadow.read));
        }
        Ok(())
    }

    /// Starts over after an event was undone. If that panics, the next undone event tries again: until then nothing
    /// is compared.
    pub(super) fn try_to_renew_shadow(&mut self) {
        if self.settings.check_records && self.shadow.is_none() {
            drop(catch(|| self.renew_shadow()));
        }
    }

    /// Starts over with the present state.
    pub(super) fn renew_shadow(&mut self) {
        if self.settings.check_records && self.shadow.is_none() {
            let mut document = self.to_document();
            // From now on its tables record what is touched, as those of the engine do.
            drop(document.state.take_undo(None, &self.only));
            drop(document.beside.take_undo(&self.only));
            self.shadow = Some(Box::new(Shadow { document, read: 0, long: HashMap::new() }));
        }
    }
}

/// The names of the objects that an event has touched and that are to be compared, with their texts.
fn texts<N: Node>(
    node: &N,
    undo: &N::Undo,
    shadow: &Shadow<N>,
    beside: impl FnOnce(&mut dyn FnMut(Touched<'_>)),
) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut visit = |touched: Touched<'_>| {
        let name = format!("{} {}", touched.kind, touched.key.escape_debug());
        if shadow.looks_at(&name) {
            texts.push((name, touched.new.map_or_else(|| "nothing".into(), text_of)));
        }
    };
    node.visit_touched(undo, &mut visit);
    beside(&mut visit);
    texts
}

fn text_of(object: &dyn Polymorphic) -> String {
    let mut text = Writer::new();
    match object.write_object(&mut text) {
        Ok(()) => text.into_string(),
        Err(error) => format!("<{error}>"),
    }
}
