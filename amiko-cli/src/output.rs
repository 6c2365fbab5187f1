//! Lines for people, or one JSON document for programs.
//!
//! Invariant: what can't be written is an error, and not silence; colours go to terminals alone, and not if `NO_COLOR` is set.

use crate::failure::Failure;
use crate::pager::Sink;
use amiko_core::serializable::Json;
use amiko_inspector::reading::{Mark, Record};
use amiko_inspector::reading::{json, plain};
use std::io::{self, IsTerminal, Write};

/// How a text looks.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    /// It stands out.
    Bold,
    /// It stands back.
    Dim,
    /// A name of a field, or a key of a table.
    Key,
    /// A string.
    Text,
    /// A number, `true`, `false` or `null`.
    Number,
    Added,
    Removed,
    Rejected,
}

impl Style {
    /// As "Select Graphic Rendition" says it, of the eight colours that every theme of a terminal makes readable.
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Key => "36",
            Self::Text => "33",
            Self::Number => "35",
            Self::Added => "32",
            Self::Removed => "31",
            Self::Rejected => "1;31",
        }
    }
}

/// Where a command writes.
pub(crate) struct Output {
    out: Sink,
    pub(crate) json: bool,
    coloured: bool,
}

impl Output {
    /// `paged`: what is longer than the screen goes through a pager.
    pub(crate) fn new(json: bool, paged: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|kind| kind == "dumb");
        let coloured = io::stdout().is_terminal() && !set("NO_COLOR") && !dumb;
        let out = if paged && !json { Sink::paged() } else { Sink::straight() };
        Self { out, json, coloured }
    }

    /// One line.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(Failure::from)
    }

    /// A part of a document that is written piece by piece.
    pub(crate) fn raw(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())
    }

    /// What another crate has rendered.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).map_err(Failure::from)
    }

    /// One JSON document.
    pub(crate) fn document(&mut self, json: &Json) -> Result<(), Failure> {
        let text = json.to_pretty().unwrap_or_else(|_| json.to_string());
        self.line(&text)
    }

    /// A text that stands out.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.styled(text, Style::Bold)
    }

    /// A text that stands back.
    pub(crate) fn dim(&self, text: &str) -> String {
        self.styled(text, Style::Dim)
    }

    pub(crate) fn styled(&self, text: &str, style: Style) -> String {
        if self.coloured { format!("\u{1b}[{}m{text}\u{1b}[0m", style.code()) } else { text.to_owned() }
    }

    /// A value without parts.
    pub(crate) fn leaf(&self, leaf: &Json) -> String {
        let style = if matches!(leaf, Json::String(_)) { Style::Text } else { Style::Number };
        self.styled(&plain(&json(leaf)), style)
    }

    /// The line of an event.
    pub(crate) fn record(&mut self, record: &Record) -> Result<(), Failure> {
        let line = record.line(&|mark, text| match mark {
            Mark::Added => self.styled(text, Style::Added),
            Mark::Removed => self.styled(text, Style::Removed),
            Mark::Rejected => self.styled(text, Style::Rejected),
        });
        self.line(&line)
    }

    /// Everything so far is written, or it is known why not.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::from)
    }

    /// The same, and no more follows: it waits for the pager, if there is one.
    pub(crate) fn end(&mut self) -> Result<(), Failure> {
        self.out.end().map_err(Failure::from)
    }
}
