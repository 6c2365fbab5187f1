//! Effects of Amiko beside durable execution: the same workflow in Amiko, in libraries that keep the history of workflows in SQLite
//! or in PostgreSQL, and as one writes it by hand.
//!
//! Invariant: all sides do the same steps in the same run, in turns, each turn in a process of its own, and keep what each step
//! gave on the same disk, in commits that are synced, where nothing else is said.
//!
//! What one does that the other doesn't is in [`command`], and beside what is measured, in [`suites`].

pub mod command;
pub mod contender;
pub mod contenders;
pub mod outside;
pub mod place;
pub mod process;
pub mod suites;
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
