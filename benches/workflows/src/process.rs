//! Turns: each contender does its work in a process of its own, and prints what it has found.
//!
//! Invariant: memory is that of a process in which nobody else has done anything.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

/// So many steps after a restart are waited for.
pub const WARM: u64 = 1_000;

/// What is called, and how often it was.
#[derive(Default)]
pub struct Outside {
    calls: AtomicU64,
    /// When the first and one later call came.
    moments: Mutex<Vec<Moment>>,
    warm: Notify,
}

/// A moment of a process.
#[derive(Clone, Copy)]
pub struct Moment {
    /// When it was.
    pub at: SystemTime,
    /// The bytes that the process had in memory.
    pub resident: u64,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { at: SystemTime::now(), resident: resident() }
    }
}

impl Outside {
    /// Somebody calls.
    pub fn called(&self) {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if calls == 1 || calls == WARM {
            self.moments.lock().expect("nobody panics").push(Moment::now());
        }
        if calls == WARM {
            self.warm.notify_one();
        }
    }

    /// Waits for so many calls; gives the moments of the first and the last of them.
    pub async fn warmed_up(&self) -> Vec<Moment> {
        self.warm.notified().await;
        self.moments.lock().expect("nobody panics").clone()
    }
}

/// The bytes that this process has in memory.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Has a turn taken by a new process; gives the figures that it prints.
pub fn turn(arguments: &[String]) -> Vec<f64> {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    // Nobody pays for a log.
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "off");
    }
    let output = command.args(arguments).stderr(Stdio::inherit()).output().expect("runs");
    assert!(output.status.success(), "the turn {arguments:?} failed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("figures")
}

/// Prints the figures of a turn.
pub fn tell(figures: &[f64]) {
    println!("{}", serde_json::to_string(figures).expect("plain data"));
}

/// A moment as the figure that one process gives to another.
pub fn microseconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
