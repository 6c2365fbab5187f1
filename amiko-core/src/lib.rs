#![doc = include_str!("../README.md")]
#![doc = ""]
//! # Where to read on
//!
//! In reading order: [`Serializable`], what an object is; [`Id`], [`Table`] and [`Map`], how objects make a tree;
//! [`StateMachine`], [`Phases`], [`Context`] and [`Node`], how they act; [`Engine`], what makes each event a transaction;
//! [`store`], what is on disk.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library prints nothing.
#![warn(clippy::print_stdout, clippy::print_stderr)]

// The derives write paths that begin with `::amiko_core`, also when they are used in here.
extern crate self as amiko_core;

mod panics;
mod per_type;
mod rejection;
mod sabotage;

pub mod serializable;
mod time;

pub mod tree;

pub mod dispatcher;
pub mod event;
pub mod machine;

pub mod engine;
pub mod store;

pub mod conversation;
#[cfg(feature = "sim")]
pub mod sim;

pub use amiko_derive::{Key, Node, Phases, Serializable, amiko};
pub use conversation::{PeerAddress, PeerAddressError, Protocol, PublicKey, Welcome};
pub use dispatcher::{Conflict, Connection, Older, Standing, Timer};
pub use engine::Engine;
pub use event::Event;
pub use machine::{Context, Hosts, Node, Phases, StateMachine};
pub use rejection::{Delivery, Rejection};
pub use serializable::{
    Change, IntoKey, Key, Patch, Pointer, ReadError, Reader, Secret, Serializable, WriteError, Writer, apply_patch,
    from_json, to_json, with_hex,
};
pub use time::{Time, secs};
pub use tree::{Envelope, Id, Keeps, Map, Name, Nothing, Object, Table, TableUndo, Tree};

/// What a user's module needs: `use amiko_core::prelude::*;`.
pub mod prelude {
    pub use crate::engine::{Engine, Settings};
    pub use crate::event::Output;
    pub use crate::store::Directory;
    pub use crate::{
        Connection, Context, Id, Key, Map, Node, Phases, Rejection, Secret, Serializable, StateMachine, Table, Time,
        amiko, from_json, secs, to_json,
    };
}

/// What the derives use. Not part of the interface: it changes without notice.
#[doc(hidden)]
pub mod derive {
    pub use crate::machine::{deliver, deliver_to_node, peek_kind, read_envelope, write_envelope};
    pub use crate::sabotage::is_sabotaged;
    pub use crate::tree::{EngineOnly, Keyed, NoKey, Sliced, Touched, Tree, has_strong};

    pub use crate::serializable::scan::differ;
    pub use crate::serializable::{
        FieldName, Flatten, Joined, Native, Parts, Probe, ProbeMap, ProbeNative, ProbeNeither, ProbeSerde,
        Registration, called_key, check_class, check_variant, check_version, deserialize, difference_with,
        free_copy_with, has_class, is_polymorphic_class, lift, lift_name, peek_name, polymorphic_classes,
        read_field_with, read_name, read_named, read_polymorphic, readable_key, replace_whole, schema_of_polymorphic,
        serialize, split_key, take_field_with, unknown_class, write_with,
    };
    pub use inventory;

    /// Whether two objects are written as the same text.
    pub fn same_text(
        one: impl FnOnce(&mut crate::Writer) -> Result<(), crate::WriteError>,
        other: impl FnOnce(&mut crate::Writer) -> Result<(), crate::WriteError>,
    ) -> bool {
        let (mut first, mut second) = (crate::Writer::new(), crate::Writer::new());
        one(&mut first).is_ok() && other(&mut second).is_ok() && first.as_str() == second.as_str()
    }

    /// The summary that is built here.
    pub fn summary_of(summarize: impl FnOnce(&mut crate::serializable::Summary)) -> String {
        let mut out = crate::serializable::Summary::default();
        summarize(&mut out);
        out.into_string()
    }

    pub use serde_core as serde;
}
