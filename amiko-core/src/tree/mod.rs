//! The state as a tree: tables and maps, the IDs by which objects name each other, and the node at its root.
//!
//! Invariant: whatever an event touches here can be put back as it was, at the cost of what was touched.

mod engine_only;
mod id;
mod map;
mod node;
mod references;
mod table;
mod touched;

pub use engine_only::EngineOnly;
pub use id::{Id, Keyed, NoKey, Object};
pub use map::Map;
pub use node::{Envelope, Keeps, Nothing, Tree, check_node, describe_node};
pub use references::referrers;
pub(crate) use references::{ReferenceChanges, Referrers, StrongReferences};
pub use table::{Sliced, Table, TableUndo};
pub use touched::{Name, Touched, has_strong};
