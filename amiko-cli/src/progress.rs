//! How far a long read has come, for who waits at a terminal.
//!
//! Invariant: it goes to standard error, one line that is gone when the read has ended, or the output has begun on the same terminal;
//! and nowhere if that is no terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A read shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(100);
/// The clock is read once for so many events.
const EVENTS: u64 = 256;

/// Lines on the terminal show how far it is.
static OUTPUT: AtomicBool = AtomicBool::new(false);
/// A line of progress stands on the terminal.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// What is shown from now on goes where progress would, if that is one terminal.
pub(crate) fn output_begins() {
    if !OUTPUT.swap(true, Ordering::Relaxed) && io::stdout().is_terminal() {
        clear();
    }
}

fn clear() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        // Whoever can't be told waits without it.
        let _ = write!(io::stderr(), "\r\u{1b}[K");
    }
}

/// A read that may take long.
pub(crate) struct Progress {
    begun: Instant,
    shown: Option<Instant>,
    events: u64,
    terminal: bool,
    shared: bool,
}

impl Progress {
    pub(crate) fn begin() -> Self {
        let (terminal, shared) = (io::stderr().is_terminal(), io::stdout().is_terminal());
        Self { begun: Instant::now(), shown: None, events: 0, terminal, shared }
    }

    /// An event was read.
    pub(crate) fn event(&mut self) {
        self.events += 1;
        if !self.terminal || !self.events.is_multiple_of(EVENTS) || self.begun.elapsed() < PATIENCE {
            return;
        }
        if self.shared && OUTPUT.load(Ordering::Relaxed) {
            return;
        }
        if self.shown.is_none_or(|shown| shown.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            SHOWN.store(true, Ordering::Relaxed);
            let _ = write!(io::stderr(), "\r{} events read\u{1b}[K", self.events);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        clear();
    }
}
