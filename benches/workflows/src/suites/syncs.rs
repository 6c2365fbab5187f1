//! How often each contender syncs, as it comes.

use crate::contender::{Contender, Way, those};
use crate::effort::Effort;
use crate::place::{Kind, Place, syncs_of};
use crate::process::turn_under;
use crate::report::{Report, Table};
use crate::spread::figure;
use crate::workflow::{STEPS, Task};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;

const TEXT: &str = "\
100 workflows, one after the other, each of them ten steps, with each contender as it comes: whoever has a figure of less than one \
here tells of steps as done that a power cut may undo. (One after the other, so nobody can share a sync with another workflow.) \
25 workflows for those who are slow.

What the process syncs is counted by `strace -f -c`, as calls of fsync, fdatasync, sync_file_range and msync. For PostgreSQL it is \
`wal_sync` of `pg_stat_wal` of the primary, before and after: those of its standbys, one of which has to confirm each commit here, \
aren't counted, nor are checkpoints. From each figure that of a process is taken which opens an empty state, and begins no workflow.";

const WORKFLOWS: usize = 100;
const FEWER: usize = 25;
const CALLS: &str = "trace=fsync,fdatasync,sync_file_range,msync";
/// How long PostgreSQL may take to count what a connection has done that has ended.
const COUNTED: Duration = Duration::from_millis(1_500);

/// So many workflows, one after the other.
pub async fn once(contender: &dyn Contender, place: &str, count: u64) -> Vec<f64> {
    let running = contender.open(place).await.start(Arc::default()).await;
    for workflow in 0..count {
        running.begin(workflow..workflow + 1, Task::STEPS).await;
        assert!(running.end(workflow).await, "a workflow that is alone fails");
    }
    running.stop().await;
    Vec::new()
}

/// How often so many workflows sync: in the process, and in the server.
fn syncs(contender: &dyn Contender, count: usize) -> [u64; 2] {
    let (place, counts) = (Place::new(contender.kind()), NamedTempFile::new().expect("a file"));
    if contender.kind() != Kind::Directory {
        std::thread::sleep(COUNTED);
    }
    let before = syncs_of(contender.kind());
    let file = counts.path().display().to_string();
    let strace = ["-f", "--seccomp-bpf", "-c", "-e", CALLS, "-o", &file];
    let arguments = ["syncs".into(), contender.argument().into(), place.argument(), count.to_string()];
    turn_under("strace", strace, &arguments);
    if contender.kind() != Kind::Directory {
        std::thread::sleep(COUNTED);
    }
    let server = syncs_of(contender.kind()) - before;
    let counts = std::fs::read_to_string(counts.path()).expect("counts");
    [total(&counts), server]
}

/// The calls in a summary of strace: of its last line, or none where nothing was called.
fn total(summary: &str) -> u64 {
    let last = summary.lines().find(|line| line.ends_with(" total"));
    last.and_then(|line| line.split_whitespace().nth(3)).map_or(0, |calls| calls.parse().expect("a number"))
}

/// Whether strace is there, and may do its work.
fn can_trace() -> bool {
    let mut command = Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-c", "-e", CALLS, "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Measures.
pub fn run(effort: Effort) -> Report {
    let mut report = Report { text: TEXT.into(), ..Report::default() };
    if !can_trace() {
        report.text += "\n\nNOT MEASURED: there is no strace here, or it may trace nobody.";
        return report;
    }
    let mut rows = Vec::new();
    for kind in Kind::at_hand() {
        for contender in those(kind, &[Way::Defaults]) {
            let count = effort.at_most(if contender.is_slow() { FEWER } else { WORKFLOWS }, 2);
            eprintln!("  syncs: {}", contender.name());
            let [none, some] = [0, count].map(|count| syncs(contender, count));
            let steps = count as f64 * STEPS as f64;
            let each = |which: usize| some[which].saturating_sub(none[which]) as f64 / steps;
            let server = if kind == Kind::Directory { "none".into() } else { figure(each(1)) };
            let both = format!("**{}**", figure(each(0) + each(1)));
            rows.push(vec![contender.name().into(), figure(each(0)), server, both, contender.promise().into()]);
        }
    }
    let heads = ["", "of the process", "of the server", "syncs for each step", "commits, by default"];
    report.tables.push(Table { name: "syncs, as it comes".into(), heads: heads.map(Into::into).into(), rows });
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_strace_has_a_total() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 90.00    0.000900           9        97           fdatasync
 10.00    0.000100          50         2         1 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.001000          10        99         1 total
";
        assert_eq!(total(summary), 99);
        assert_eq!(total(""), 0);
    }
}
