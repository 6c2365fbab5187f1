//! What a user implements, and what the derive writes, to make a node out of objects.
//!
//! Invariant: an object is changed by its own handler only; everything else reaches it as a message.

use crate::context::Context;
use crate::engine_only::EngineOnly;
use crate::id::{Id, Object};
use crate::references::{Name, Referrers, Touched};
use crate::rejection::Rejection;
use crate::router::Event;
use crate::serializable::{
    Key, Patch, ReadError, Reader, Reference, Schema, Serializable, WriteError, Writer, write_value,
};
use crate::slices::Sliced;
use crate::table::Table;

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
pub trait Node: Serializable + Clone + Default {
    /// A message with its destination: one variant for each kind of machine.
    type Envelope: Envelope;
    /// What is said to and by peers; [`Nothing`] by default.
    type Network: Serializable + Clone;
    /// What a command is answered with; [`Nothing`] by default.
    type Reply: Serializable;
    /// What is told to whoever watches; [`Nothing`] by default.
    type Notice: Serializable;
    /// What the node was before one event.
    type Undo: Default + Send + Sync;
    /// The fields of the node that aren't tables, for a node that is a machine itself.
    type Own: Send + Sync;

    /// Hands a message to the object that it is for.
    ///
    /// # Errors
    /// There is no such object, or its handler rejects.
    fn deliver(&mut self, envelope: Self::Envelope, event: &mut Event<Self>) -> Result<(), Rejection>;

    /// Whether every table is the one that it was: a handler may change what is in it, but put no other in its place.
    fn is_intact(&self, only: &EngineOnly) -> bool;

    /// A copy of the fields that aren't tables, taken before the node's own handler changes them.
    fn own(&self) -> Self::Own;

    /// Ends an event: hands over what was before it, of which `own` was kept if the node handled a message itself.
    fn take_undo(&mut self, own: Option<Self::Own>, only: &EngineOnly) -> Self::Undo;

    /// Puts back what was before an event.
    fn roll_back(&mut self, undo: &Self::Undo, only: &EngineOnly);

    /// What an event changed.
    ///
    /// # Errors
    /// A value has no exact text.
    fn difference_since(&self, undo: &Self::Undo, patch: &mut Patch) -> Result<(), WriteError>;

    /// The kinds of its objects that can have `#[amiko(strong)]` references anywhere in them; `node` for its own fields.
    #[doc(hidden)]
    fn strong_kinds() -> Vec<&'static str>;

    /// Describes the classes of everything that is said: to its machines, to peers, to callers, to watchers.
    #[doc(hidden)]
    fn describe_messages(schema: &mut Schema);

    /// Visits every ID in the fields that aren't tables.
    #[doc(hidden)]
    fn own_references(&self, visit: &mut dyn FnMut(Reference<'_>));

    /// The same of what they were before an event; false if it didn't touch them.
    #[doc(hidden)]
    fn old_references(undo: &Self::Undo, visit: &mut dyn FnMut(Reference<'_>)) -> bool;

    /// Whether there is an object of this kind and key.
    fn contains(&self, kind: &str, key: &str) -> bool;

    /// The tables, to be written in slices.
    #[doc(hidden)]
    fn slices(&mut self, only: &EngineOnly) -> Vec<Sliced<'_>>;

    /// Visits every object of every table.
    #[doc(hidden)]
    fn visit_objects(&self, visit: &mut dyn FnMut(Touched<'_>));

    /// Visits every object that an event touched.
    #[doc(hidden)]
    fn visit_touched(&self, undo: &Self::Undo, visit: &mut dyn FnMut(Touched<'_>));

    /// The objects that have this ID in them, strong or not, and the node where its own fields have. Walks the whole node.
    fn referrers<T: Object>(&self, id: &Id<T>) -> Vec<Name> {
        let mut referrers = Referrers { kind: T::KIND, key: &id.key().encode(), found: Vec::new() };
        referrers.of_node(self);
        referrers.found
    }

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

/// A node that keeps objects of class `T` in a table: written by the derive for each table.
///
/// It is a trait of its own because the node itself is a machine without a table.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no table of `{T}`",
    note = "add `#[amiko(machines)] machines: Table<{T}>` to `{Self}`; the node's own handler reads through `self`"
)]
pub trait Keeps<T: Object>: Node {
    /// The table.
    fn table(&self) -> &Table<T>;
    /// The table, to be changed.
    fn table_mut(&mut self) -> &mut Table<T>;
}

/// A message with its destination.
pub trait Envelope: Serializable + Clone {
    /// The kind of the object that it is for.
    fn kind(&self) -> &'static str;
    /// The class of the message, if it has one.
    fn message_class(&self) -> Option<&'static str>;
}

/// A message that can't exist: what a node that has no peers says to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {}

impl Serializable for Nothing {
    const EXACT: bool = true;

    fn schema(_: &mut Schema) -> String {
        // As it is in the schemas of older programs.
        "custom".into()
    }

    fn write(&self, _: &mut Writer) -> Result<(), WriteError> {
        match *self {}
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        Err(input.expected("nothing: this node has no such messages"))
    }
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
    use crate::serializable::{read_field, take_field};
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
pub fn peek_kind<'a>(input: &Reader<'a>) -> Result<std::borrow::Cow<'a, str>, ReadError> {
    input.peek_field("kind")?.ok_or_else(|| input.expected("an envelope with a \"kind\""))
}
