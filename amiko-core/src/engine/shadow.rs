//! A second state that follows the journal: for tests.
//!
//! Invariant: it has read nothing but records, so whatever it holds a restart would hold too.

use super::document::{Document, read_record};
use super::history::Version;
use super::{Engine, EventError};
use crate::dispatcher::DispatcherUndo;
use crate::machine::Node;
use crate::panics::catch;
use crate::references::Touched;
use crate::serializable::{Patch, Polymorphic, Reader, WriteError, Writer};
use crate::store::Store;

impl<N: Node, S: Store> Engine<N, S> {
    /// Reads the record of the event back, where [`Settings::check_records`](super::Settings) says so, and compares what it leads
    /// to with what the event has led to. Costs what the event has touched, and all of the node's own fields where it has
    /// touched them.
    pub(super) fn check_record(&mut self, undo: &Version<N>) -> Result<Option<Box<Document<N>>>, EventError> {
        let Some(mut shadow) = self.shadow.take() else { return Ok(None) };
        let refused = |reason: String| EventError::Write(WriteError::unreadable(reason));
        let read = read_record(&mut *shadow, &mut Reader::new(self.patch.whole()));
        read.map_err(|error| refused(format!("its record isn't read back: {}", error.reason())))?;
        drop(shadow.state.take_undo(None, &self.only));
        drop(shadow.take_undo_beside(&self.only));
        self.compare_objects(&shadow, undo).map_err(refused)?;
        if N::old_references(&undo.state, &mut |_| {}) {
            let own = shadow.state.take_undo(Some(self.node.own()), &self.only);
            let mut patch = Patch::new();
            shadow.state.difference_since(&own, &mut patch).map_err(EventError::Write)?;
            if patch.operations() > 0 {
                return Err(refused(format!("its record leads to other fields of the node: {}", patch.to_json())));
            }
        }
        Ok(Some(shadow))
    }

    /// Compares every object that the event has touched.
    fn compare_objects(&self, shadow: &Document<N>, undo: &Version<N>) -> Result<(), String> {
        let dispatcher = &self.event.dispatcher;
        let here = texts::<N>(&self.node, &undo.state, |visit| dispatcher.visit_touched(&undo.dispatcher, visit));
        let there = texts::<N>(&shadow.state, &undo.state, |visit| {
            DispatcherUndo::visit_touched(&undo.dispatcher, &shadow.timers, &shadow.connections, visit);
        });
        match here.iter().zip(&there).find(|(here, there)| here != there) {
            None => Ok(()),
            Some(((name, here), (_, there))) => {
                Err(format!("its record leads to another {name}: expected {here}, found {there}"))
            }
        }
    }

    /// Begins anew, after an event was undone. Where that panics, the next event that is undone tries again: until then nothing is
    /// compared.
    pub(super) fn try_to_renew_shadow(&mut self) {
        drop(catch(|| self.renew_shadow()));
    }

    /// Begins anew with the state as it is.
    pub(super) fn renew_shadow(&mut self) {
        if self.settings.check_records && self.shadow.is_none() {
            let dispatcher = &self.event.dispatcher;
            let (timers, connections) = (dispatcher.timers().clone(), dispatcher.connections().clone());
            let mut shadow = Document { state: self.node.clone(), timers, connections };
            // From now on its tables take note of what is touched, as those of the engine do.
            drop(shadow.state.take_undo(None, &self.only));
            drop(shadow.take_undo_beside(&self.only));
            self.shadow = Some(Box::new(shadow));
        }
    }
}

/// The names of all objects that an event has touched, with their texts.
fn texts<N: Node>(node: &N, undo: &N::Undo, beside: impl FnOnce(&mut dyn FnMut(Touched<'_>))) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut visit = |touched: Touched<'_>| {
        let text = touched.new.map_or_else(|| "nothing".into(), text_of);
        texts.push((format!("{} {}", touched.kind, touched.key.escape_debug()), text));
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
