//! Output for people. Invariant: text from outside is escaped before it reaches a terminal.

use crate::failure::Failure;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// Writes a line. If the reader has gone, as `head` does, that is ignored: it is no reason to panic, and nobody is left
/// to tell.
fn put(out: &mut dyn Write, line: &dyn Display) {
    drop(writeln!(out, "{line}"));
}

/// A line on standard output.
pub(crate) fn say(line: impl Display) {
    put(&mut std::io::stdout().lock(), &line);
}

/// The one JSON document that `--json` prints, without the names of our classes, which are internal.
pub(crate) fn document<T: Serializable>(value: &T) -> Result<(), Failure> {
    let text = to_json(value).map_err(Failure::refused)?;
    let mut json = Json::parse(&text).map_err(Failure::refused)?;
    without_classes(&mut json);
    say(json);
    Ok(())
}

fn without_classes(json: &mut Json) {
    match json {
        Json::Array(values) => values.iter_mut().for_each(without_classes),
        Json::Object(fields) => {
            fields.retain(|(name, _)| name != "_class");
            fields.iter_mut().for_each(|(_, value)| without_classes(value));
        }
        _ => {}
    }
}

/// A line on standard error.
pub(crate) fn tell(line: impl Display) {
    put(&mut std::io::stderr().lock(), &line);
}

/// An error message.
pub(crate) fn complain(failure: &Failure) {
    let (start, end) = if color(std::io::stderr().is_terminal()) { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    tell(format_args!("{start}amiko-node:{end} {failure}"));
}

fn color(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text in bold, if standard output is a terminal that allows it.
pub(crate) fn bold(text: &str) -> String {
    if color(std::io::stdout().is_terminal()) { format!("\x1b[1;32m{text}\x1b[0m") } else { text.to_owned() }
}

/// What becomes of a part of the state.
pub(crate) enum Change {
    Added,
    Changed,
    Removed,
}

/// A line in the colour of its kind, if standard error is a terminal that allows it.
pub(crate) fn tell_change(change: &Change, line: &str) {
    let color = match change {
        Change::Added => "32",
        Change::Changed => "33",
        Change::Removed => "31",
    };
    if self::color(std::io::stderr().is_terminal()) {
        tell(format_args!("\x1b[{color}m{line}\x1b[0m"));
    } else {
        tell(line);
    }
}

/// Text from outside, with control characters and those that change the writing direction escaped.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::new();
    for character in text.chars() {
        match character {
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                plain.extend(character.escape_unicode());
            }
            control if control.is_control() => plain.extend(control.escape_default()),
            other => plain.push(other),
        }
    }
    plain
}

/// Asks a yes or no question; no answer is a no.
pub(crate) fn ask(question: &str) -> bool {
    drop(write!(std::io::stderr(), "{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stderr().flush().and_then(|()| std::io::stdin().read_line(&mut answer));
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Shows the progress of a long operation: in place on a terminal, now and then elsewhere.
pub(crate) struct Progress {
    terminal: bool,
    total: u32,
    shown: u32,
}

impl Progress {
    pub(crate) fn new(total: u32) -> Self {
        Self { terminal: std::io::stderr().is_terminal(), total, shown: 0 }
    }

    pub(crate) fn show(&mut self, done: u32) {
        if self.terminal {
            drop(write!(std::io::stderr(), "\r{done} of {} payments", self.total));
        } else if done == self.total || done >= self.shown + self.total.div_ceil(10) {
            self.shown = done;
            tell(format_args!("{done} of {} payments", self.total));
        }
    }

    pub(crate) fn end(&self) {
        if self.terminal {
            tell("");
        }
    }
}

/// Lines under a heading; nothing if there are none.
pub(crate) fn section(head: &str, lines: &[String]) {
    if !lines.is_empty() {
        say(format_args!("\n{head}"));
        lines.iter().for_each(|line| say(format_args!("  {}", plain(line))));
    }
}

/// Columns as wide as their widest cell.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(heads.get(column).map(|head| head.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(heads.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}
