//! Many short runs leave no more on disk than a long one: a snapshot that a run doesn't live to finish is made by the next one.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use amiko_core::prelude::*;
use amiko_core::store::{DirectorySettings, Retention};
use std::fs;
use std::path::Path;

#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Note {
    text: String,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Notes {
    #[amiko(objects)]
    notes: Table<Note>,
    written: u64,
}

#[derive(Clone, Serializable)]
struct Write {
    text: String,
}

impl StateMachine for Notes {
    type Node = Self;
    type Message = Write;

    fn handle(&mut self, Write { text }: Write, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.notes.insert(&Id::new(self.written % NOTES), Note { text });
        self.written += 1;
        Ok(())
    }
}

const NOTES: u64 = 1_500;

/// So many events, and then the process is gone, whatever it was writing.
fn run(path: &Path, events: u64) {
    let (mut disk, mut settings) = (DirectorySettings::default(), Settings::default());
    (disk.segment_chunk, disk.retention) = (64 << 10, Retention::Count(0));
    // The state is longer than what is written of it at once, and a run is shorter than what the rest takes.
    (settings.snapshot_ratio, settings.snapshot_minimum, settings.check_records) = (0, 64 << 10, false);
    let mut engine = Engine::<Notes>::open(Directory::open_with(path, disk).unwrap(), settings).unwrap();
    for _ in 0..events {
        engine.send(&Id::node(), Write { text: "x".repeat(500) }, Time::from_secs(1)).unwrap();
        engine.sync().unwrap();
    }
}

fn bytes(path: &Path) -> u64 {
    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn many_short_runs_leave_no_more_than_twice_what_one_long_run_leaves() {
    const RUNS: u64 = 40;
    let (long, short) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(long.path(), NOTES + RUNS * 20);
    run(short.path(), NOTES);
    let mut most = 0;
    for _ in 0..RUNS {
        run(short.path(), 20);
        most = most.max(bytes(short.path()));
    }
    let (long, short) = (bytes(long.path()), bytes(short.path()));
    println!("one long run leaves {long} bytes, {RUNS} short ones {short}, and never more than {most}");
    assert!(most <= 2 * long);
}
