//! A dry run: what an event would do, without the event.
//!
//! Invariant: afterwards the engine is the same as before, except for the rejections that it remembers.

use super::{Engine, EventError};
use crate::event::Output;
use crate::machine::Node;
use crate::store::Store;
use crate::time::Time;
use std::fmt;

/// What an event would do.
pub struct DryRun<N: Node> {
    difference: String,
    outputs: Vec<Output<N>>,
}

/// Hides the changes and messages, which may contain secrets.
impl<N: Node> fmt::Debug for DryRun<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DryRun")
            .field("bytes", &self.difference.len())
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

impl<N: Node> DryRun<N> {
    /// The changes, as a JSON Patch (RFC 6902) of the document: the state of the node is under `/state`, timers are
    /// under `/timers`, connections and the messages sent over them under `/connections`.
    pub fn difference(&self) -> &str {
        &self.difference
    }

    /// The messages, replies, notices, and effects to be performed. Nothing has happened: hand none of them on.
    pub fn outputs(&self) -> impl Iterator<Item = &Output<N>> {
        self.outputs.iter()
    }
}

impl<N: Node, S: Store> Engine<N, S> {
    /// Tries a command as if it came now, and undoes everything. Due timers don't fire first.
    ///
    /// ```
    /// # use amiko_core::{Hosts, engine::Settings, prelude::*, store::Memory};
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
    /// let add = Counter::envelope(Id::<Counter>::new(()), Add { amount: 7 });
    /// let rehearsal = engine.dry_run(add, Time::from_secs(1))?;
    /// assert_eq!(rehearsal.difference(), r#"[{"op":"replace","path":"/state/value","value":7}]"#);
    /// assert_eq!(engine.node().value, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors that the command would have.
    pub fn dry_run(&mut self, envelope: N::Envelope, now: Time) -> Result<DryRun<N>, EventError> {
        self.enter(|engine| engine.rehearse(envelope, now))
    }

    fn rehearse(&mut self, envelope: N::Envelope, now: Time) -> Result<DryRun<N>, EventError> {
        let outcome = self.handle(now, None, |event| event.deliver(envelope))?;
        let undo = self.take_undo();
        let tried = match outcome {
            Ok(()) => {
                self.tell_effects(&undo);
                self.try_difference(&undo)
            }
            Err(rejection) => Err(EventError::Rejected(rejection)),
        };
        let outputs = std::mem::take(&mut self.event.outputs);
        self.roll_back(&undo);
        tried.map(|difference| DryRun { difference, outputs })
    }
}
