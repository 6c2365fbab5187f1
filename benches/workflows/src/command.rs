//! The one command: runs both suites, and writes its part of `BENCHMARKS.md`.
//!
//! Invariant: only a full run writes it.

use crate::contender::Contender;
use crate::effort::Effort;
use crate::machine::{self, Build};
use crate::report::{Table, WORKFLOWS, bound_heads};
use crate::{peer, process, restart, steps};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

const TEXT: &str = "\
Written by `cargo run --release --manifest-path benches/workflows/Cargo.toml`, in some fifteen minutes: don't edit. The same \
workflow in Amiko, as a machine with effects, and in [duroxide](https://docs.rs/duroxide), as an orchestration with activities: ten \
steps, one after the other, each a call to an outside that answers at once, and whose answer is kept. Contenders have turns, each in \
a process of its own; a ratio is that of two figures of the same round. What lies beside a median is between what eight of ten \
rounds lie: of five rounds, or three, those are all.

What one does that the other doesn't: duroxide keeps a history, and runs the code of an orchestration again from its beginning for \
each turn, so a workflow is a plain `async fn`; several processes may share one database; and it reads from the disk what it needs, \
when it needs it. Amiko keeps a state, and no code runs again, but a workflow is a machine that hears what came of each step; all of \
it is in memory, in one process; and whatever fails within an event is undone.";

/// Measures workflows in Amiko and in duroxide, and writes their part of BENCHMARKS.md.
#[derive(Parser)]
struct Arguments {
    /// Do each thing once, with few workflows, to see that everything still works; the figures mean nothing.
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    turn: Option<Turn>,
}

/// What a process of its own does; it prints its figures.
#[derive(Subcommand)]
enum Turn {
    #[command(hide = true)]
    All { contender: Contender, count: u64 },
    #[command(hide = true)]
    Alone { contender: Contender, times: u64 },
    #[command(hide = true)]
    Prepare { contender: Contender, count: u64, directory: PathBuf },
    #[command(hide = true)]
    Restart { contender: Contender, started: u64, directory: PathBuf },
    #[command(hide = true)]
    Empty,
}

/// The program.
pub fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match arguments.turn {
        Some(turn) => process::tell(&runtime.block_on(turn.take())),
        None => run(if arguments.quick { Effort::Smoke } else { Effort::Full }, runtime.block_on(peer::sqlite())),
    }
}

impl Turn {
    async fn take(self) -> Vec<f64> {
        match self {
            Self::All { contender, count } => steps::all(contender, count).await,
            Self::Alone { contender, times } => steps::alone(contender, times).await,
            Self::Prepare { contender, count, directory } => restart::prepare(contender, count, &directory).await,
            Self::Restart { contender, started, directory } => restart::once(contender, started, &directory).await,
            Self::Empty => vec![process::resident() as f64],
        }
    }
}

fn run(effort: Effort, sqlite: String) {
    let peers = &["duroxide", "sqlx", "tokio"];
    let machine = machine::table(&Build { lock: include_str!("../Cargo.lock"), peers, sqlite_of: "duroxide", sqlite });
    let reports = [("Workflows: steps", steps::run(effort)), ("Workflows: a restart", restart::run(effort))];
    let bounds = reports.iter().flat_map(|(_, report)| report.bounds.iter().map(|bound| bound.row())).collect();
    let bounds = Table { name: String::new(), heads: bound_heads(), rows: bounds };
    let sections: Vec<_> = reports.iter().map(|(title, report)| report.markdown(title, "docs/plots")).collect();
    let text =
        format!("## Workflows\n\n{TEXT}\n\n{}\n{}\n{}", machine.markdown(), bounds.markdown(), sections.join("\n"));
    println!("{text}");
    if effort == Effort::Full {
        write(&text);
    }
}

/// Behind what `benches/peers` has written.
fn write(text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../BENCHMARKS.md");
    let before = std::fs::read_to_string(&file).unwrap_or_default();
    let kept = before.split(WORKFLOWS).next().unwrap_or_default().trim_end();
    std::fs::write(&file, format!("{kept}\n\n{WORKFLOWS}\n\n{}", text.trim_end())).expect("writes");
    eprintln!("written to {}", file.display());
}
