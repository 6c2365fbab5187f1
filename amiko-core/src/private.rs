//! The items that the derives' code names.
//!
//! Invariant: nothing else names it.

pub use crate::machine::envelope::{peek_kind, read_envelope, write_envelope};
pub use crate::machine::hearing::{Heard, Tie, Unheard};
pub use crate::machine::phases::expect_taken;
pub use crate::machine::router::{deliver, deliver_to_node};
pub use crate::machine::taking::{Taker, TakesAll, TakesSome};
pub use crate::sabotage::is_sabotaged;
pub use crate::serializable::codec::{
    Native, Probe, ProbeMap, ProbeNative, ProbeNeither, ProbeSerde, difference_with, free_copy_with,
};
pub use crate::serializable::derived::{
    check_class, check_variant, describe_secret_with, describe_with, has_class, peek_name, read_class, read_field_with,
    read_name, read_named, read_no_fields, references_with, summarize_with, take_field_with, unknown_class, write_with,
};
pub use crate::serializable::flatten::{FieldName, Flatten};
pub use crate::serializable::json::KeepUnknown;
pub use crate::serializable::key::{Joined, Parts, called_key, readable_key, split_key};
pub use crate::serializable::migrate::{check_version, lift, lift_name};
pub use crate::serializable::pointer::replace_whole;
pub use crate::serializable::polymorphic::{
    Registration, is_polymorphic_class, polymorphic_classes, read_polymorphic, schema_of_polymorphic,
};
pub use crate::serializable::scan::differ;
pub use crate::serializable::serde::{deserialize, serialize};
pub use crate::tree::engine_only::EngineOnly;
pub use crate::tree::id::{Keyed, NoKey};
pub use crate::tree::table::{EngineTable, Listing, Sliced};
pub use crate::tree::touched::{Touched, has_strong};
pub use {inventory, serde_core as serde};

use crate::serializable::{Summary, WriteError, Writer};

/// Whether two objects are written as the same text.
pub fn same_text(
    one: impl FnOnce(&mut Writer) -> Result<(), WriteError>,
    other: impl FnOnce(&mut Writer) -> Result<(), WriteError>,
) -> bool {
    let (mut first, mut second) = (Writer::new(), Writer::new());
    one(&mut first).is_ok() && other(&mut second).is_ok() && first.as_str() == second.as_str()
}

/// The summary that is built here.
pub fn summary_of(summarize: impl FnOnce(&mut Summary)) -> String {
    let mut out = Summary::default();
    summarize(&mut out);
    out.into_string()
}
