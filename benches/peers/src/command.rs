//! The one command: runs the suites, shows how far they are, and writes `BENCHMARKS.md` and its plots.
//!
//! Invariant: `BENCHMARKS.md` of the project is written by a full run of all suites only.

use crate::effort::Effort;
use crate::machine::Build;
use crate::report::{Report, Table, WORKFLOWS, bound_heads};
use crate::suites::{Suite, Turn};
use crate::{machine, workshop};
use clap::Parser;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Where plots are, below the folder of `BENCHMARKS.md`.
const PLOTS: &str = "docs/plots";

/// Whose versions are told.
const PEERS: [&str; 16] = [
    "actix",
    "axum",
    "crc32c",
    "fjall",
    "foldhash",
    "kameo",
    "lmdb-rkv",
    "ractor",
    "redb",
    "rusqlite",
    "rust-fsm",
    "serde_json",
    "simd-json",
    "sonic-rs",
    "statig",
    "tokio",
];

/// Measures Amiko beside what a user would take instead, and writes BENCHMARKS.md.
#[derive(Parser)]
struct Arguments {
    /// Do each thing once, on little data, to see that everything still works; the figures mean nothing.
    #[arg(long)]
    smoke: bool,
    /// Run this suite only.
    #[arg(long, value_enum)]
    only: Option<Suite>,
    /// What cargo gives to each bench.
    #[arg(long, hide = true)]
    bench: bool,
    /// Print what one suite has found as JSON, and write no file. Each suite runs so, in a process of its own.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    turn: Option<Turn>,
}

/// The program; `only` is the suite that is run if the command line names none.
pub fn main(only: Option<Suite>) -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(turn) = arguments.turn {
        turn.take();
        return ExitCode::SUCCESS;
    }
    let effort = if arguments.smoke { Effort::Smoke } else { Effort::Full };
    let only = arguments.only.or(only);
    if let (true, Some(suite)) = (arguments.json, only) {
        println!("{}", serde_json::to_string(&suite.run(effort)).expect("plain data"));
        return ExitCode::SUCCESS;
    }
    run(only, effort)
}

fn run(only: Option<Suite>, effort: Effort) -> ExitCode {
    let suites: Vec<Suite> =
        Suite::all().iter().copied().filter(|suite| only.is_none_or(|only| only == *suite)).collect();
    let mut reports = Vec::new();
    for (index, suite) in suites.iter().enumerate() {
        eprintln!("{} of {}: {}", index + 1, suites.len(), suite.name());
        let start = Instant::now();
        let Some(report) = measure(*suite, effort) else {
            eprintln!("the suite {} failed", suite.name());
            return ExitCode::FAILURE;
        };
        eprintln!("  {:.0} s", start.elapsed().as_secs_f64());
        reports.push((*suite, report));
    }
    let text = document(&reports, effort);
    let folder = if only.is_none() && effort == Effort::Full { project() } else { workshop() };
    let file = write(&folder, &text, &reports);
    println!("{text}");
    eprintln!("written to {}", file.display());
    ExitCode::SUCCESS
}

/// Runs a suite in a process of its own.
fn measure(suite: Suite, effort: Effort) -> Option<Report> {
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(["--json", "--only", &suite.name()]).stderr(Stdio::inherit());
    if effort == Effort::Smoke {
        command.arg("--smoke");
    }
    let output = command.output().expect("runs");
    output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("a report"))
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn write(folder: &Path, text: &str, reports: &[(Suite, Report)]) -> PathBuf {
    let (file, plots) = (folder.join("BENCHMARKS.md"), folder.join(PLOTS));
    std::fs::create_dir_all(&plots).expect("creates");
    for plot in reports.iter().flat_map(|(_, report)| &report.plots) {
        std::fs::write(plots.join(plot.file_name()), plot.svg()).expect("writes");
    }
    // The part of another program stays.
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    let kept = before.split_once(WORKFLOWS).map_or(String::new(), |(_, kept)| format!("\n\n{WORKFLOWS}{kept}"));
    std::fs::write(&file, format!("{text}{kept}")).expect("writes");
    file
}

fn document(reports: &[(Suite, Report)], effort: Effort) -> String {
    let mut text = "# Benchmarks\n\n".to_owned();
    let mut line = |line: &str| writeln!(text, "{line}").expect("writes");
    match effort {
        Effort::Full => line(
            "Written by `cargo run --release --manifest-path benches/peers/Cargo.toml`, which measures all of it in some \
             25 minutes: don't edit. Each comparison is made in one run, in turns, on the same data. Figures are medians; \
             beside them is between what eight of ten rounds lie. A ratio is that of two figures of the same round: it says more \
             than the figures, which are those of this machine on this day.\n",
        ),
        Effort::Smoke => line("A smoke run: **these figures mean nothing.**\n"),
    }
    let sqlite = rusqlite::version().to_owned();
    let build = Build { lock: include_str!("../Cargo.lock"), peers: &PEERS, sqlite_of: "rusqlite", sqlite };
    line(&machine::table(&build).markdown());
    // What `benches/src/bin/compile.rs` finds has its row among these.
    let bounds: Vec<_> = reports.iter().flat_map(|(_, report)| report.bounds.iter().map(|bound| bound.row())).collect();
    if !bounds.is_empty() {
        line("## What is asked, and what is reached\n");
        line(&Table { name: String::new(), heads: bound_heads(), rows: bounds }.markdown());
    }
    for (suite, report) in reports {
        line(&report.markdown(suite.title(), PLOTS));
    }
    text.truncate(text.trim_end().len());
    text
}
