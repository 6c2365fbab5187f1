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
pub mod report;
pub mod samples;
pub mod spread;

use std::path::PathBuf;
use tempfile::TempDir;

/// Where whatever doesn't stay is written: `$AMIKO_BENCH_DIR`, or else beside this program. It must be on a disk: where files
/// live in memory nothing is ever durable, and a sync is free.
pub fn workshop() -> PathBuf {
    let beside = || std::env::current_exe().expect("a program").parent().expect("a folder").to_owned();
    std::env::var_os("AMIKO_BENCH_DIR").map_or_else(beside, PathBuf::from)
}

/// A directory for the files of one contender.
pub fn directory() -> TempDir {
    tempfile::tempdir_in(workshop()).expect("a directory for the bench")
}
