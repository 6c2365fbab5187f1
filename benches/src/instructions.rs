//! How many instructions an event takes, counted by callgrind.
//!
//! Invariant: only what `measured` executes is counted; what fills the bank and warms up isn't.

use crate::by_hand::ByHand;
use crate::channels::{Channels, Payment, payment, send};
use crate::phases::{Mover, gates, go};
use crate::{Account, AccountMessage, Bank, Journal, Sink, engine, refused};
use amiko_core::prelude::*;
use std::ffi::OsString;
use std::process::Command;
use std::{fmt, io};

/// Events before those that are counted: more than there are versions in the history, so that each event ends one.
const WARM_UP: u64 = 1_100;
/// Events that are counted.
const EVENTS: u64 = 1_000;
/// Events that are synced at once.
const GROUP: usize = 100;

/// How an event ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Two accounts have changed.
    Committed,
    /// The second message was refused, and the first one undone.
    RolledBack,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A payment between two small accounts.
    Bank(Ending),
    /// A payment between two channels of ten fields, which reads a third one; by Amiko, with the work of a journal.
    Channels,
    /// The same, by hand.
    ByHand,
    /// A move of a machine to another phase.
    Move(Mover),
}

impl Counted {
    const ALL: [Self; 8] = [
        Self::Bank(Ending::Committed),
        Self::Bank(Ending::RolledBack),
        Self::Channels,
        Self::ByHand,
        Self::Move(Mover::Phased),
        Self::Move(Mover::Checked),
        Self::Move(Mover::Timed),
        Self::Move(Mover::ByHand),
    ];

    /// The name that [`run`] knows it by.
    fn name(self) -> &'static str {
        match self {
            Self::Bank(Ending::Committed) => "committed",
            Self::Bank(Ending::RolledBack) => "rolled-back",
            Self::Channels => "channels",
            Self::ByHand => "by-hand",
            Self::Move(mover) => mover.name(),
        }
    }
}

/// Why nothing was counted.
#[derive(Debug)]
#[non_exhaustive]
pub enum CountError {
    /// There is no valgrind here.
    Missing,
    /// It couldn't be run.
    Io(io::Error),
    /// It failed, or said something unexpected.
    Failed(String),
}

impl fmt::Display for CountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("expected valgrind to count instructions, found none: install it"),
            Self::Io(error) => write!(f, "valgrind can't be run: {error}"),
            Self::Failed(said) => write!(f, "expected valgrind to count instructions, found: {said}"),
        }
    }
}

impl std::error::Error for CountError {}

/// What the program that is counted does, with the arguments that [`count`] gives it.
///
/// # Panics
/// If the arguments are others, or an event doesn't end as it should.
pub fn run(arguments: &[String]) {
    let [objects, counted] = arguments else { panic!("expected objects and what is counted, found {arguments:?}") };
    let objects = objects.parse().expect("a number of objects");
    let counted = Counted::ALL.into_iter().find(|known| known.name() == counted);
    match counted.expect("what is counted") {
        Counted::Bank(ending) => run_bank(objects, ending),
        Counted::Channels => {
            let mut engine = channels_engine(objects);
            measure_all(objects, |payments| {
                for group in payments.chunks(GROUP) {
                    group.iter().for_each(|payment| assert!(send(&mut engine, payment).is_ok()));
                    engine.sync().expect("nothing can fail");
                }
            });
        }
        Counted::Move(mover) => {
            let mut engine = gates(objects);
            let mut go = |numbers: &[u64]| {
                for group in numbers.chunks(GROUP) {
                    group.iter().for_each(|number| go(&mut engine, mover, objects, *number));
                    engine.sync().expect("nothing can fail");
                }
            };
            let all: Vec<u64> = (0..WARM_UP + EVENTS).collect();
            let (first, rest) = all.split_at(WARM_UP as usize);
            go(first);
            measured(rest, go);
        }
        Counted::ByHand => {
            let mut by_hand = ByHand::of(objects);
            measure_all(objects, |payments| {
                for group in payments.chunks(GROUP) {
                    group.iter().for_each(|payment| assert!(by_hand.handle_and_record(payment)));
                    by_hand.sync();
                }
            });
        }
    }
}

/// An engine of so many channels, with the work of a journal.
///
/// # Panics
/// If the channels have no exact text.
pub fn channels_engine(count: u64) -> Engine<Channels, Journal> {
    let mut settings = Settings::default();
    settings.snapshot_minimum = u64::MAX;
    Engine::open_with(Journal::default(), settings, || Channels::of(count)).expect("channels have a text")
}

/// Warms up, and lets the rest be counted.
fn measure_all(count: u64, mut handle: impl FnMut(&[Payment])) {
    let payments = |numbers: std::ops::Range<u64>| numbers.map(|number| payment(number, count)).collect::<Vec<_>>();
    handle(&payments(0..WARM_UP));
    measured(&payments(WARM_UP..WARM_UP + EVENTS), handle);
}

fn run_bank(accounts: u64, ending: Ending) {
    let mut engine = engine(accounts);
    // Whatever is counted, the history is full of committed events.
    handle(&mut engine, &events(Ending::Committed, 0..WARM_UP, accounts), Ending::Committed);
    let events = events(ending, WARM_UP..WARM_UP + EVENTS, accounts);
    measured(&events, |events| handle(&mut engine, events, ending));
}

fn events(ending: Ending, numbers: std::ops::Range<u64>, accounts: u64) -> Vec<(Id<Account>, AccountMessage)> {
    let event = match ending {
        Ending::Committed => crate::payment,
        Ending::RolledBack => refused,
    };
    numbers.map(|number| event(number, accounts)).collect()
}

fn handle(engine: &mut Engine<Bank, Sink>, events: &[(Id<Account>, AccountMessage)], ending: Ending) {
    for group in events.chunks(GROUP) {
        for (to, message) in group {
            let outcome = engine.send(to, message.clone(), Time::from_secs(1));
            assert_eq!(outcome.is_ok(), ending == Ending::Committed);
        }
        engine.sync().expect("nothing can fail");
    }
}

/// Callgrind knows it by its name.
#[inline(never)]
fn measured<T>(events: &[T], mut handle: impl FnMut(&[T])) {
    handle(events);
}

/// How many instructions an event takes among so many objects. The program must hand its last two arguments to [`run`].
///
/// # Errors
/// There is no valgrind, or it failed.
pub fn count(program: &[OsString], objects: u64, counted: Counted) -> Result<u64, CountError> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*instructions*measured*", "--callgrind-out-file=/dev/null"])
        .args(program)
        .args([objects.to_string().as_str(), counted.name()])
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CountError::Missing,
            _ => CountError::Io(error),
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
    match collected {
        Some(collected) if output.status.success() && collected > 0 => Ok(collected / EVENTS),
        _ => Err(CountError::Failed(said.into_owned())),
    }
}
