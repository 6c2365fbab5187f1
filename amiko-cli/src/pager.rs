//! Output that is longer than the screen goes through a pager.
//!
//! Invariant: nothing is lost or reordered: what was held back is the first that the pager gets, or the terminal if there is no pager.

use crate::progress;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// What is used where `PAGER` isn't set: it ends at once if all fits, lets colours pass, and leaves what it has shown.
const PAGER: &str = "less -FRX";

/// Where the output goes.
pub(crate) enum Sink {
    Straight(BufWriter<StdoutLock<'static>>),
    /// It isn't known yet whether it fits on the screen.
    Held(Held),
    Paged(Paged),
}

impl Sink {
    pub(crate) fn straight() -> Self {
        Self::Straight(BufWriter::new(io::stdout().lock()))
    }

    /// Through a pager, if there is a screen, more to show than fits on it, and nobody has said that there is to be no pager.
    pub(crate) fn paged() -> Self {
        let pager = std::env::var("PAGER").unwrap_or_else(|_| PAGER.to_owned());
        let words: Vec<String> = pager.split_whitespace().map(str::to_owned).collect();
        match screen() {
            Some((columns, rows)) if !words.is_empty() => {
                Self::Held(Held { pager: words, columns, rows, text: Vec::new(), row: 0, column: 0, escape: false })
            }
            _ => Self::straight(),
        }
    }

    /// What it was told is shown, and no more follows. Waits until the reader has seen enough of it.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if let Self::Held(held) = self {
            let text = std::mem::take(&mut held.text);
            *self = Self::straight();
            self.write_all(&text)?;
        }
        if !matches!(self, Self::Paged(_)) {
            return self.flush();
        }
        match std::mem::replace(self, Self::straight()) {
            Self::Paged(paged) => paged.end(),
            _ => Ok(()),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Straight(out) => {
                progress::output_begins();
                return out.write(bytes);
            }
            Self::Paged(paged) => return paged.input.write(bytes),
            Self::Held(held) => held.take(bytes),
        }
        if let Self::Held(held) = self
            && held.row >= held.rows
        {
            progress::output_begins();
            let text = std::mem::take(&mut held.text);
            *self = Paged::start(&held.pager).map_or_else(|_| Self::straight(), Self::Paged);
            self.write_all(&text)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Straight(out) => out.flush(),
            Self::Held(_) => Ok(()),
            Self::Paged(paged) => paged.input.flush(),
        }
    }
}

/// At most a screen of text, and the line that doesn't fit any more.
pub(crate) struct Held {
    pager: Vec<String>,
    columns: usize,
    rows: usize,
    text: Vec<u8>,
    row: usize,
    column: usize,
    /// Within the sequence that begins or ends a style, which takes no place.
    escape: bool,
}

impl Held {
    fn take(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        for &byte in bytes {
            match byte {
                b'\n' => (self.row, self.column) = (self.row + 1, 0),
                0x1b => self.escape = true,
                _ if self.escape => self.escape = byte != b'm',
                // The bytes that continue a character take no place of their own.
                0x80..=0xbf => {}
                _ if self.column == self.columns => (self.row, self.column) = (self.row + 1, 1),
                _ => self.column += 1,
            }
        }
    }
}

/// Whether there is a pager, so that Ctrl-C is for that.
static RUNS: AtomicBool = AtomicBool::new(false);

pub(crate) fn runs() -> bool {
    RUNS.load(Ordering::SeqCst)
}

/// A pager that runs.
pub(crate) struct Paged {
    input: BufWriter<ChildStdin>,
    /// No more follows: the pager may end, and the command goes on.
    ended: Arc<AtomicBool>,
    watcher: JoinHandle<()>,
}

impl Paged {
    fn start(words: &[String]) -> io::Result<Self> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let (program, arguments) = words.split_first().ok_or_else(missing)?;
        // From before there is a pager, which may be interrupted at once.
        let alone = Arc::new(AtomicBool::new(false));
        heed_interrupts_if(&alone);
        let spawned = Command::new(program).args(arguments).stdin(Stdio::piped()).spawn();
        alone.store(spawned.is_err(), Ordering::SeqCst);
        RUNS.store(spawned.is_ok(), Ordering::SeqCst);
        let mut child = spawned?;
        let input = child.stdin.take().ok_or_else(missing)?;
        let ended = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&ended);
        let watcher = thread::spawn(move || {
            drop(child.wait());
            // Whoever has left the pager waits for nothing more, even if there is nothing to show for long.
            if !over.load(Ordering::SeqCst) {
                crate::database::clean();
                std::process::exit(0);
            }
        });
        Ok(Self { input: BufWriter::new(input), ended, watcher })
    }

    fn end(self) -> io::Result<()> {
        let Self { mut input, ended, watcher } = self;
        ended.store(true, Ordering::SeqCst);
        let flushed = input.flush();
        drop(input);
        drop(watcher.join());
        flushed
    }
}

/// Ctrl-C is for the pager, which goes on: if the command ended before it, it would fight with the shell for the terminal.
#[cfg(unix)]
fn heed_interrupts_if(alone: &Arc<AtomicBool>) {
    drop(signal_hook::flag::register_conditional_default(signal_hook::consts::SIGINT, Arc::clone(alone)));
}

#[cfg(not(unix))]
fn heed_interrupts_if(_: &Arc<AtomicBool>) {}

/// Columns and rows of the screen, if the output goes to one.
#[cfg(unix)]
fn screen() -> Option<(usize, usize)> {
    let out = io::stdout();
    let dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
    let size = (out.is_terminal() && !dumb).then(|| rustix::termios::tcgetwinsize(&out).ok())??;
    // Terminals that aren't real may say that they have no size.
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col.into(), size.ws_row.into()))
}

#[cfg(not(unix))]
fn screen() -> Option<(usize, usize)> {
    None
}
