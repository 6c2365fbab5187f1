//! The journal of an Amiko node on PostgreSQL: more than one machine, of which one leads.
//!
//! [`Postgres`] is a [`Store`](amiko_core::store::Store): one row for each group of records, one conditional statement for each
//! commit. [`Cluster`] is a place among several: whoever has the lease leads, the others follow the journal with the state in
//! memory, and take over. [`import`] copies a node from a directory into a database, and [`export`] back.
//!
//! | table | what it holds |
//! |---|---|
//! | `amiko.node` | a row for each node: its epoch, how far its journal goes, who leads and until when |
//! | `amiko.journal_group` | the records that were committed together, a line each, the same text as in a directory |
//! | `amiko.snapshot` | the pieces of snapshots |
//! | `amiko.classes` | what the programs have said of their classes |
//!
//! # What a user may rely on
//!
//! - What is acknowledged is committed in the database, and on its synchronous standbys, if it has any.
//! - Nobody writes who doesn't lead: each statement names the epoch of its writer, and does nothing in another one.
//! - Whoever takes over has begun a new epoch, durably, before it reads the end of the journal.
//! - A commit whose answer is lost isn't sent again: the store claims a new epoch, after which it has happened or never will.
//! - A leader that can't renew its lease stops answering when it runs out, by its own clock.
//!
//! Invariant of the crate: no decision rests on comparing the clocks of two machines.

mod cluster;
mod copy;
mod error;
mod migrations;
mod sabotage;
mod session;
mod settings;
mod store;
mod tls;
mod worker;

pub use cluster::Cluster;
pub use copy::{Copied, CopyError, export, export_checked, export_running, import};
pub use error::OpenError;
pub use settings::PostgresSettings;
pub use store::{Postgres, PostgresDone, PostgresWork};
