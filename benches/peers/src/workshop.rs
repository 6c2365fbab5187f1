//! Where benches write what doesn't stay.
//!
//! Invariant: nothing is left when its owner is dropped.

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
