#![doc = include_str!("../README.md")]
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
