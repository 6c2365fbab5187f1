//! What this process takes of the machine, and turns that have a process of their own.
//!
//! Invariant: figures are those of the whole process, threads that have ended included.

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::fs::{read_dir, read_to_string};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The bytes that it has in memory.
pub fn resident() -> u64 {
    let status = read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Its threads.
pub fn threads() -> u64 {
    read_dir("/proc/self/task").expect("Linux").count() as u64
}

/// How long processors have worked for it, the part of the system included.
pub fn work() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The bytes that a directory takes on the disk.
pub fn on_disk(path: &Path) -> u64 {
    /// The unit of `st_blocks`, whatever the file system's is.
    const BLOCK: u64 = 512;
    let entries = read_dir(path).expect("lists").map(|entry| entry.expect("lists"));
    let sizes = entries.map(|entry| match entry.metadata().expect("reads") {
        folder if folder.is_dir() => on_disk(&entry.path()),
        file => file.blocks() * BLOCK,
    });
    sizes.sum()
}

/// Lets it have as many open files as it may.
pub fn open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("is allowed");
}

/// Runs this program once more, and gives the numbers that it prints.
pub fn again(arguments: &[&str]) -> Vec<f64> {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    let output = command.args(arguments).stderr(Stdio::inherit()).output().expect("runs");
    assert!(output.status.success(), "the turn {arguments:?} failed");
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_takes_is_found() {
        let directory = crate::directory();
        std::fs::create_dir(directory.path().join("inner")).expect("creates");
        std::fs::write(directory.path().join("inner/file"), [1; 10_000]).expect("writes");
        std::fs::File::open(directory.path().join("inner/file")).expect("opens").sync_all().expect("syncs");
        assert!((10_000..100_000).contains(&on_disk(directory.path())));
        assert!(threads() >= 1 && resident() > 100_000 && work() > Duration::ZERO);
    }
}
