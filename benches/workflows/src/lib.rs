//! Effects of Amiko beside durable execution: the same workflow in Amiko and in duroxide, a library that keeps the history of
//! orchestrations in SQLite.
//!
//! Invariant: both sides do the same steps in the same run, in turns, each turn in a process of its own, and keep what each step
//! gave on the same disk, in commits that are synced, where nothing else is said.
//!
//! What one does that the other doesn't:
//!
//! - duroxide keeps a history, and runs the code of an orchestration again from its beginning for each turn: a workflow is a plain
//!   `async fn`. Several processes may share one database. It reads from the disk what it needs, when it needs it.
//! - Amiko keeps a state, and no code runs again: a workflow is a machine that hears what came of each step. All of it is in
//!   memory, in one process. An event that fails is undone, and machines may send each other messages in the same commit.

pub mod command;
pub mod contender;
pub mod ours;
pub mod peer;
pub mod process;
pub mod restart;
pub mod steps;
pub mod workflow;

// Not as a dependency: that has another SQLite.
#[path = "../../peers/src/effort.rs"]
pub mod effort;
#[path = "../../peers/src/machine.rs"]
pub mod machine;
#[path = "../../peers/src/plot.rs"]
pub mod plot;
#[path = "../../peers/src/report.rs"]
pub mod report;
#[path = "../../peers/src/samples.rs"]
pub mod samples;
#[path = "../../peers/src/spread.rs"]
pub mod spread;
#[path = "../../peers/src/workshop.rs"]
mod workshop;

pub use workshop::{directory, workshop};
