//! Documents and records, without the classes of their node.
//!
//! Invariant: what is shown is what is in the files, and can be shown on any screen.

mod record;
mod text;
mod tree;

pub use record::{Mark, Record, long};
pub use text::{json, plain, time};
pub use tree::{Change, Map, Operation, Path, Tree};
