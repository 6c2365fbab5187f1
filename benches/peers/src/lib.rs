//! Amiko beside what a user would take instead: one command measures everything, and writes `BENCHMARKS.md`.
//!
//! Invariant: whoever is compared does the same work on the same data in the same run, in turns; all of them in one process,
//! or each in one of its own.

pub mod command;
pub mod machine;

pub mod suites;

pub mod channels;
pub mod disk;

pub mod contest;
pub mod effort;
pub mod plot;
pub mod process;
pub mod report;
pub mod samples;
pub mod spread;
mod workshop;

pub use workshop::{directory, workshop};
