//! How many instructions an event takes, counted by callgrind.
//!
//! Invariant: only what `measured` executes is counted; what fills the bank and warms up isn't.

use crate::{Account, AccountMessage, Bank, Sink, engine, payment, refused};
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

impl Ending {
    /// The name that [`run`] knows it by.
    fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::RolledBack => "rolled-back",
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
    let [accounts, ending] = arguments else { panic!("expected accounts and ending, found {arguments:?}") };
    let accounts = accounts.parse().expect("a number of accounts");
    let ending = [Ending::Committed, Ending::RolledBack].into_iter().find(|known| known.name() == ending);
    let ending = ending.expect("an ending");
    let mut engine = engine(accounts);
    // Whatever is counted, the history is full of committed events.
    handle(&mut engine, &events(Ending::Committed, 0..WARM_UP, accounts), Ending::Committed);
    measured(&mut engine, &events(ending, WARM_UP..WARM_UP + EVENTS, accounts), ending);
}

fn events(ending: Ending, numbers: std::ops::Range<u64>, accounts: u64) -> Vec<(Id<Account>, AccountMessage)> {
    let event = match ending {
        Ending::Committed => payment,
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
fn measured(engine: &mut Engine<Bank, Sink>, events: &[(Id<Account>, AccountMessage)], ending: Ending) {
    handle(engine, events, ending);
}

/// How many instructions an event takes in a bank with so many accounts. The program must hand its last two arguments to
/// [`run`].
///
/// # Errors
/// There is no valgrind, or it failed.
pub fn count(program: &[OsString], accounts: u64, ending: Ending) -> Result<u64, CountError> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*instructions*measured*", "--callgrind-out-file=/dev/null"])
        .args(program)
        .args([accounts.to_string().as_str(), ending.name()])
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
