//! serde on both sides: our classes as serde types, and serde types as fields of our classes.
//!
//! Invariant: a serde type is written only if it is read back as what it was, as far as serde lets anybody tell; and a class
//! that serde meets on its way is seen as what it is.

mod class;
mod exact;
mod json;
mod names;
mod passing;
mod read;
mod schema;
mod trace;
mod tree;

pub(crate) use class::of_serde;
pub use class::{deserialize, serialize};
pub(super) use exact::{difference, from_json, references, to_exact_json, to_tree};
pub(super) use schema::schema;
