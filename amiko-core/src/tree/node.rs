//! A node as a tree: its tables, its own fields, and the changes that an event made to them.
//!
//! Invariant: application code can't end or undo an event: that requires an [`EngineOnly`].

use super::engine_only::EngineOnly;
use super::id::Object;
use super::table::{Sliced, Table};
use super::touched::Touched;
use crate::effect::{EffectSet, GivenUp, Owner, Policy};
use crate::serializable::{
    Classes, Patch, ReadError, Reader, Reference, Schema, Serializable, WriteError, Writer, schema,
};
use std::any::TypeId;
use std::path::Path;

/// A node as data: its tables, its own fields, and its messages. The derive of `Node` implements it; an engine calls
/// it.
pub trait Tree: Serializable + Clone + Default {
    /// A message with its destination: one variant for each kind of machine.
    type Envelope: Envelope;
    /// The messages to and from peers; [`Nothing`] by default.
    type Network: Serializable + Clone;
    /// Its effects: one variant for each class in `#[amiko(effects(Charge, SendMail))]`; [`Nothing`] by default.
    type Effects: EffectSet<Self::Envelope>;
    /// The notices to watchers; [`Nothing`] by default.
    type Notice: Serializable;
    /// The state of the node before one event.
    type Undo: Default + Send + Sync;
    /// The fields of the node that aren't tables, for a node that is a machine itself.
    type Own: Send + Sync;

    /// Whether there is an object of this kind and key.
    fn contains(&self, kind: &str, key: &str) -> bool;

    /// Whether every table is still the original one: a handler may change the contents of a table, but not replace
    /// the table.
    fn is_intact(&self, only: &EngineOnly) -> bool;

    /// A copy of the fields that aren't tables, taken before the node's own handler changes them.
    fn own(&self) -> Self::Own;

    /// Ends an event: returns the state before it; `own` was kept if the node handled a message itself.
    fn take_undo(&mut self, own: Option<Self::Own>, only: &EngineOnly) -> Self::Undo;

    /// Restores the state before an event.
    fn roll_back(&mut self, undo: &Self::Undo, only: &EngineOnly);

    /// The changes of an event.
    ///
    /// # Errors
    /// A value has no exact text.
    fn difference_since(&self, undo: &Self::Undo, patch: &mut Patch) -> Result<(), WriteError>;

    /// The kinds of its objects that can have `#[amiko(strong)]` references anywhere in them; `node` for its own fields.
    fn strong_kinds() -> Vec<&'static str>;

    /// Describes the classes of all messages: to its machines, to peers, to callers, to watchers.
    fn describe_messages(schema: &mut Schema);

    /// Visits every ID in the fields that aren't tables.
    fn own_references(&self, visit: &mut dyn FnMut(Reference<'_>));

    /// The same for their state before an event; false if the event didn't touch them.
    fn old_references(undo: &Self::Undo, visit: &mut dyn FnMut(Reference<'_>)) -> bool;

    /// The tables, for writing in slices.
    fn slices(&mut self, only: &EngineOnly) -> Vec<Sliced<'_>>;

    /// Visits every object of every table.
    fn visit_objects(&self, visit: &mut dyn FnMut(Touched<'_>));

    /// Visits every object that an event touched.
    fn visit_touched(&self, undo: &Self::Undo, visit: &mut dyn FnMut(Touched<'_>));
}

/// A node that keeps objects of class `T` in a table: implemented by the derive for each table.
///
/// It is a trait of its own because the node itself is a machine without a table.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no table of `{T}`",
    note = "add `#[amiko(machines)] machines: Table<{T}>` to `{Self}`; the node's own handler reads through `self`"
)]
pub trait Keeps<T: Object>: Tree {
    /// The table.
    fn table(&self) -> &Table<T>;
    /// The table, mutably.
    fn table_mut(&mut self) -> &mut Table<T>;
}

/// A message with its destination.
pub trait Envelope: Serializable + Clone {
    /// The kind of the object that it is addressed to.
    fn kind(&self) -> &'static str;
    /// The type of what that object replies to commands.
    fn reply(&self) -> TypeId;
    /// The class of the message, if it has one.
    fn message_class(&self) -> Option<&'static str>;
}

/// A message that can't exist: the message type of a node without peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {}

impl Serializable for Nothing {
    const EXACT: bool = true;

    fn schema(_: &mut Schema) -> String {
        // The name in the schemas of older programs.
        "custom".into()
    }

    fn write(&self, _: &mut Writer) -> Result<(), WriteError> {
        match *self {}
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        Err(input.expected("nothing: this node has no such messages"))
    }
}

impl<V> EffectSet<V> for Nothing {
    fn class_name(&self) -> &'static str {
        match *self {}
    }

    fn is_ordered(&self) -> bool {
        match *self {}
    }

    fn policy(&self) -> Policy {
        match *self {}
    }

    fn given_up(&self, _: Owner<'_>, _: GivenUp) -> Option<V> {
        match *self {}
    }
}

/// The schema of a node, as [`schema::describe`], with the classes of all messages to its machines and to and from
/// the outside: those that timers and outboxes hold are on disk as well.
pub fn describe_node<N: Tree>() -> String {
    schema_of::<N>().text()
}

/// The counterpart of [`schema::check`] for a node: compares the text of [`describe_node`] with a checked-in file.
///
/// # Errors
/// As [`schema::check`].
pub fn check_node<N: Tree>(lock: impl AsRef<Path>) -> Result<(), String> {
    schema::compare(&schema_of::<N>(), lock.as_ref())
}

/// What those need to know of a node, its messages and its effects who look into its files without having its classes.
pub fn classes_of_node<N: Tree>() -> Classes {
    let mut schema = Schema::with_marks();
    N::schema(&mut schema);
    N::describe_messages(&mut schema);
    Classes::new(schema.into_marks())
}

fn schema_of<N: Tree>() -> Schema {
    let mut schema = Schema::default();
    N::schema(&mut schema);
    N::describe_messages(&mut schema);
    schema
}
