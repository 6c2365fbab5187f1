//! How far a long read has come, for who waits at a terminal.
//!
//! Invariant: it goes to standard error, one line that is gone when the read has ended; and nowhere if that is no terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// A read shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(100);
/// The clock is read once for so many events.
const EVENTS: u64 = 256;

/// A read that may take long.
pub(crate) struct Progress {
    begun: Instant,
    shown: Option<Instant>,
    events: u64,
    terminal: bool,
}

impl Progress {
    /// Standard output mustn't be a terminal too: there the lines themselves show how far it is.
    pub(crate) fn begin() -> Self {
        let terminal = io::stderr().is_terminal();
        Self { begun: Instant::now(), shown: None, events: 0, terminal }
    }

    /// An event was read.
    pub(crate) fn event(&mut self) {
        self.events += 1;
        if !self.terminal || !self.events.is_multiple_of(EVENTS) || self.begun.elapsed() < PATIENCE {
            return;
        }
        if self.shown.is_none_or(|shown| shown.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            // Whoever can't be told waits without it.
            let _ = write!(io::stderr(), "\r{} events read\u{1b}[K", self.events);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
