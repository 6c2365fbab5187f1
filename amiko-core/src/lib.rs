#![doc = include_str!("../README.md")]
#![doc = ""]
//! # Where to read on
//!
//! In reading order: [`Serializable`] defines an object; [`Id`], [`Table`] and [`Map`] make objects into a tree;
//! [`StateMachine`], [`Phases`], [`Context`] and [`Node`] define how they act; [`Engine`] makes each event a
//! transaction; [`store`] keeps the state on disk.

#![cfg_attr(docsrs, feature(doc_cfg))]
// A library prints nothing.
#![warn(clippy::print_stdout, clippy::print_stderr)]

// The derives emit paths that begin with `::amiko_core`, also inside this crate.
extern crate self as amiko_core;

pub mod observe;
mod panics;
mod per_type;
mod rejection;
mod sabotage;
mod version;

pub mod serializable;
mod time;

pub mod effect;
pub mod schedule;

pub mod tree;

pub mod dispatcher;
pub mod event;
pub mod machine;

pub mod engine;
pub mod store;

pub mod calls;
pub mod conversation;
#[cfg(feature = "sim")]
pub mod sim;

pub use amiko_derive::{Key, Node, Phases, Serializable, amiko};
pub use conversation::{Acceptance, Draw, PeerAddress, PeerAddressError, Protocol, PublicKey};
pub use dispatcher::{Conflict, Connection, Pending, ResumePoint, Timer};
pub use effect::{Effect, Performed};
pub use engine::Engine;
pub use machine::{Context, History, Hosts, Node, Performs, Phase, Phased, Phases, StateMachine};
pub use rejection::Rejection;
pub use schedule::Schedule;
pub use serializable::{
    Change, IntoKey, Key, Patch, Pointer, ReadError, Reader, Secret, Serializable, WriteError, Writer, apply_patch,
    from_json, to_json,
};
pub use time::{Time, hours, minutes, secs};
pub use tree::{Envelope, Id, Keeps, Map, Object, Table};
pub use version::Version;

/// Everything that a user's module needs: `use amiko_core::prelude::*;`.
pub mod prelude {
    pub use crate::engine::{Engine, Settings};
    pub use crate::event::Output;
    pub use crate::store::Directory;
    pub use crate::{
        Connection, Context, Hosts, Id, Key, Map, Node, Phase, Phased, Phases, Rejection, Schedule, Secret,
        Serializable, StateMachine, Table, Time, amiko, from_json, hours, minutes, secs, to_json,
    };
}

/// Used by the derives. Not part of the public API: it changes without notice, name included, with each release.
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private_0_1_0;

const _: () = assert!(
    matches!(env!("CARGO_PKG_VERSION").as_bytes(), b"0.1.0"),
    "the module for derived code is named by the version: rename it here and in the derives"
);
