//! Turns: each contender does its work in a process of its own, and prints what it has found.
//!
//! Invariant: memory is that of a process in which nobody else has done anything.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// The bytes that this process has in memory.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Has a turn taken by a new process; gives the figures that it prints.
pub fn turn(arguments: &[String]) -> Vec<f64> {
    let program = std::env::current_exe().expect("a program");
    run(Command::new(program), arguments)
}

/// The same, by a program that runs another one.
pub fn turn_under<A: AsRef<OsStr>>(
    program: &str,
    before: impl IntoIterator<Item = A>,
    arguments: &[String],
) -> Vec<f64> {
    let mut command = Command::new(program);
    command.args(before).arg(std::env::current_exe().expect("a program"));
    run(command, arguments)
}

fn run(mut command: Command, arguments: &[String]) -> Vec<f64> {
    // Nobody pays for a log.
    if std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "off");
    }
    let output = command.args(arguments).stderr(Stdio::inherit()).output().expect("runs");
    assert!(output.status.success(), "the turn {arguments:?} failed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("figures")
}

/// Prints the figures of a turn, and ends: nobody waits for what still runs.
pub fn tell(figures: &[f64]) -> ! {
    println!("{}", serde_json::to_string(figures).expect("plain data"));
    std::process::exit(0)
}

/// A moment as the figure that one process gives to another.
pub fn microseconds(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// A time in milliseconds.
pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
