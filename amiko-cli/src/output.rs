//! Lines for people, or one JSON document for programs.
//!
//! Invariant: what can't be written is an error, and not silence; colours go to terminals alone, and not if `NO_COLOR` is set.

use crate::failure::Failure;
use amiko_core::serializable::Json;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Where a command writes.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    pub(crate) json: bool,
    coloured: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { out: BufWriter::new(io::stdout().lock()), json, coloured }
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
        self.styled(text, "1")
    }

    /// A text that stands back.
    pub(crate) fn dim(&self, text: &str) -> String {
        self.styled(text, "2")
    }

    fn styled(&self, text: &str, style: &str) -> String {
        if self.coloured { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Everything so far is written, or it is known why not.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::from)
    }
}
