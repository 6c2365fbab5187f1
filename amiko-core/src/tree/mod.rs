//! The state as a tree: tables and maps, the IDs by which objects name each other, and the node at its root.
//!
//! Invariant: everything that an event touches here can be restored, at a cost proportional to what it touched.

pub(crate) mod engine_only;
pub(crate) mod id;
mod map;
mod node;
mod references;
pub(crate) mod table;
pub(crate) mod touched;

pub(crate) use engine_only::EngineOnly;
pub use id::{Id, Object};
pub use map::Map;
pub use node::{Envelope, Keeps, Nothing, Tree, check_node, classes_of_node, describe_node};
pub use references::referrers;
pub(crate) use references::{ReferenceChanges, Referrers, StrongReferences};
pub(crate) use table::{EngineTable, Sliced};
pub use table::{Index, Table, TableUndo};
pub use touched::Name;
pub(crate) use touched::{Touched, has_strong};
