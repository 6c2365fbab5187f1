//! Objects that handle messages, and what a handler may ask for.
//!
//! Invariant: an object is changed by its own handler only; everything else reaches it as a message.

mod context;
mod phases;
pub(crate) mod router;

pub use context::Context;
pub use phases::Phases;
pub use router::{deliver, deliver_to_node};

use crate::event::Event;
use crate::rejection::Rejection;
use crate::serializable::{ReadError, Reader, Serializable, WriteError, Writer, read_field, take_field, write_value};
use crate::tree::{Id, Object, Tree};
use std::borrow::Cow;

/// An object that handles messages.
#[diagnostic::on_unimplemented(
    message = "`{Self}` handles no messages",
    note = "write `impl StateMachine for {Self}`, or put `#[amiko(objects)]` on its table if nobody sends messages to it"
)]
pub trait StateMachine: Object {
    /// The tree that it is part of.
    type Node: Node;
    /// What can be said to it.
    type Message: Serializable + Clone;

    /// Handles one message: changes the object, and tells others through the context.
    ///
    /// The same object, message and context must always lead to the same result: time and randomness come from the
    /// context.
    ///
    /// # Errors
    /// A rejection undoes the whole event, whatever other handlers have done in it. So does a panic, where the build
    /// unwinds; a second one while the first unwinds ends the process.
    fn handle(&mut self, message: Self::Message, cx: &mut Context<'_, Self>) -> Result<(), Rejection>;
}

/// The root of a state tree. Derive it: `#[derive(Serializable, Node)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` isn't the root of a state tree",
    note = "add `#[derive(Clone, Default, Serializable, Node)]` to `{Self}`"
)]
pub trait Node: Tree {
    /// Hands a message to the object that it is for.
    ///
    /// # Errors
    /// There is no such object, or its handler rejects.
    fn deliver(&mut self, envelope: Self::Envelope, event: &mut Event<Self>) -> Result<(), Rejection>;

    /// The application's invariants, checked before each commit: `#[amiko(check = path)]`.
    ///
    /// # Errors
    /// Names the invariant that doesn't hold; the event is undone.
    fn check(&self, _undo: &Self::Undo) -> Result<(), Rejection> {
        Ok(())
    }
}

/// A node that hosts machines of class `M`: written by the derive for each of them, and for the node itself if it is
/// one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` doesn't host machines of class `{M}`",
    note = "add `#[amiko(machines)] machines: Table<{M}>` to `{Self}`, or send to a class that it hosts"
)]
pub trait Hosts<M: StateMachine>: Node {
    /// A message with its destination.
    fn envelope(to: Id<M>, message: M::Message) -> Self::Envelope;
}

/// Writes an envelope: for the code that the derive writes.
#[doc(hidden)]
pub fn write_envelope<M: StateMachine>(out: &mut Writer, to: &Id<M>, message: &M::Message) -> Result<(), WriteError> {
    out.begin_object()?;
    out.raw("\"kind\":");
    out.string(M::KIND);
    out.raw(",\"id\":");
    to.write(out)?;
    out.raw(",\"message\":");
    write_value(message, out)?;
    out.end_object();
    Ok(())
}

/// Reads what follows the kind of an envelope: for the code that the derive writes.
#[doc(hidden)]
pub fn read_envelope<M: StateMachine>(input: &mut Reader<'_>) -> Result<(Id<M>, M::Message), ReadError> {
    const CLASS: &str = "envelope";
    let (mut id, mut message) = (None, None);
    input.begin_object()?;
    let mut kind = None::<String>;
    while let Some(key) = input.key()? {
        match &*key {
            "kind" => read_field(&mut kind, "kind", CLASS, input)?,
            "id" => read_field(&mut id, "id", CLASS, input)?,
            "message" => read_field(&mut message, "message", CLASS, input)?,
            other => input.unknown_field(other, CLASS, &["kind", "id", "message"])?,
        }
    }
    Ok((take_field(id, "id", CLASS, input)?, take_field(message, "message", CLASS, input)?))
}

/// The kind of the envelope that comes next: for the code that the derive writes.
#[doc(hidden)]
pub fn peek_kind<'a>(input: &Reader<'a>) -> Result<Cow<'a, str>, ReadError> {
    input.peek_field("kind")?.ok_or_else(|| input.expected("an envelope with a \"kind\""))
}
