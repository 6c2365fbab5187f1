//! What the benches beside Amiko's peers have in common: the data, the work, and how contenders are compared.
//!
//! Invariant: whoever is compared does the same work on the same data in the same process.

pub mod channels;
pub mod disk;
pub mod harness;
pub mod rates;
pub mod spread;

use std::path::Path;
use tempfile::TempDir;

/// A directory for the files of one contender: in `$AMIKO_BENCH_DIR`, or else in the given one. It must be on a disk: where
/// files live in memory nothing is ever durable, and a sync is free.
pub fn directory(default: &str) -> TempDir {
    let parent = std::env::var_os("AMIKO_BENCH_DIR").unwrap_or_else(|| default.into());
    tempfile::tempdir_in(Path::new(&parent)).expect("a directory for the bench")
}
