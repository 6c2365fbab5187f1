//! Object → JSON, written directly: no value tree, no formatting machinery.
//!
//! Invariant: what a `Writer` has written without an error, a [`Reader`](super::Reader) reads back exactly; unless it was told
//! to hide the secrets.

mod path;

use super::{ReadLimits, Reader, WriteError};
use crate::sabotage::{Sabotage, sabotaged};
use crate::serializable::scan::{is_plain, plain};
use std::fmt;

/// Which characters stand for themselves in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Text {
    /// All but control characters: for files that people read.
    #[default]
    Unicode,
    /// Printable ASCII only; any other string becomes `!x` and the hex of its bytes: the wire format of the payment
    /// protocol.
    Ascii,
}

/// Where in a document a new line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lines {
    /// Nowhere: the document is one line.
    #[default]
    One,
    /// Before each entry of a [`Table`](crate::Table), so that `grep` and `git diff` see one object a line.
    PerEntry,
}

/// What becomes of a [`Secret`](crate::Secret).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Secrets {
    /// It is written as what it is: for files and peers.
    #[default]
    Written,
    /// `(secret)` is written in its place: for people. It can't be read back.
    Hidden,
}

/// Writes JSON into a `String`.
///
/// Methods that write a string can't fail on the spot: one that is longer than a reader takes is noted, and said by
/// [`Writer::finish`].
pub struct Writer {
    out: String,
    text: Text,
    lines: Lines,
    secrets: Secrets,
    depth: u32,
    /// Nothing has been written yet in the object or array that is open.
    first: bool,
    /// Where tables that are written in slices have been left out, if they are to be.
    holes: Option<Vec<Hole>>,
    /// Bytes of the whole text at most.
    limit: usize,
    /// The first thing that no reader takes, and where it begins.
    fault: Option<Box<(usize, WriteError)>>,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            out: String::new(),
            text: Text::default(),
            lines: Lines::default(),
            secrets: Secrets::default(),
            depth: 0,
            first: false,
            holes: None,
            limit: usize::MAX,
            fault: None,
        }
    }
}

/// Hides the text, which may have secrets in it.
impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("bytes", &self.out.len()).field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// Where the entries of a table belong: for the code that the derive writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hole {
    /// Offset in bytes.
    pub(crate) at: usize,
    /// Which table.
    pub(crate) table: usize,
    depth: u32,
}

impl Writer {
    /// An empty writer of one line of Unicode text.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), ..Self::default() }
    }

    /// The same with another choice of characters.
    #[must_use]
    pub fn with_text(mut self, text: Text) -> Self {
        self.text = text;
        self
    }

    /// The same with another choice of lines.
    #[must_use]
    pub fn with_lines(mut self, lines: Lines) -> Self {
        self.lines = lines;
        self
    }

    /// The same with another choice of what becomes of secrets.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// Whether a secret mustn't be written.
    pub(crate) fn hides_secrets(&self) -> bool {
        self.secrets == Secrets::Hidden
    }

    /// The same, but leaves out the entries of frozen tables.
    pub(crate) fn with_holes(mut self) -> Self {
        self.holes = Some(Vec::new());
        self
    }

    /// Leaves out the entries of a table, if that is wanted.
    pub(crate) fn leave_out(&mut self, table: usize) -> bool {
        let (at, depth) = (self.out.len(), self.depth);
        self.holes.as_mut().map(|holes| holes.push(Hole { at, table, depth })).is_some()
    }

    /// Where entries were left out.
    pub(crate) fn take_holes(&mut self) -> Vec<Hole> {
        self.holes.take().unwrap_or_default()
    }

    /// Goes on inside a hole: `first` says that no entry of it has been written.
    pub(crate) fn resume(&mut self, hole: Hole, first: bool) {
        self.depth = hole.depth;
        self.first = first;
    }

    /// What was written so far.
    pub fn as_str(&self) -> &str {
        &self.out
    }

    /// What was written.
    pub fn into_string(self) -> String {
        self.out
    }

    /// What was written, if a reader takes all of it.
    ///
    /// # Errors
    /// A string, or the text as a whole, is longer than a reader takes.
    pub fn finish(mut self) -> Result<String, WriteError> {
        self.outcome(0, Ok(()))?;
        Ok(self.out)
    }

    /// What became of a value that was written from `start` on, with the place in it that is at fault.
    #[inline]
    pub(crate) fn outcome(&mut self, start: usize, written: Result<(), WriteError>) -> Result<(), WriteError> {
        if self.fault.is_none() && written.is_ok() { Ok(()) } else { Err(self.failed(start, written)) }
    }

    #[cold]
    fn failed(&mut self, start: usize, written: Result<(), WriteError>) -> WriteError {
        let (at, error) = match (self.fault.take(), written) {
            (Some(fault), _) => *fault,
            (None, Err(error)) => (self.out.len(), error),
            (None, Ok(())) => (self.out.len(), WriteError::unreadable("expected a value, found none")),
        };
        let text = self.out.get(start..at).unwrap_or_default();
        error.at(&path::of_the_end(text))
    }

    /// Lets somebody write a value who may write anything, and sees to it that it is one that a reader takes: JSON, no deeper
    /// and no longer than that, with each name once.
    ///
    /// # Errors
    /// It isn't; or those of `write`.
    pub fn checked(&mut self, write: impl FnOnce(&mut Self) -> Result<(), WriteError>) -> Result<(), WriteError> {
        let (start, depth, first) = (self.out.len(), self.depth, self.first);
        write(self)?;
        if sabotaged(Sabotage::GateOff) {
            return Ok(());
        }
        (self.depth, self.first) = (depth, first);
        // Whoever writes may also have taken back what was there before.
        let text = self.out.get(start..).ok_or_else(|| WriteError::unreadable("expected a value, found none"))?;
        let mut input = Reader::new(text).inside(depth);
        let Err(error) = input.check().and_then(|()| input.end()) else { return Ok(()) };
        let at = start + usize::try_from(error.place().byte).unwrap_or(usize::MAX).min(text.len());
        let error = WriteError::unreadable(error.problem());
        self.note(at, error.clone());
        Err(error)
    }

    /// The same with at most this many bytes: what would be longer is refused before it is put together.
    #[inline]
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    #[cold]
    fn note(&mut self, at: usize, error: WriteError) {
        self.fault.get_or_insert_with(|| Box::new((at, error)));
    }

    /// Notes that the text is too long, and keeps it from growing.
    #[cold]
    fn cut(&mut self) -> WriteError {
        let error = WriteError::TooLong { limit: self.limit };
        self.note(self.out.len(), error.clone());
        let end = (0..=self.limit).rev().find(|end| self.out.is_char_boundary(*end)).unwrap_or(0);
        self.out.truncate(end);
        error
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.out.clear();
        self.depth = 0;
        self.first = false;
        self.limit = usize::MAX;
        if self.fault.is_some() {
            self.fault = None;
        }
    }

    /// Makes room for so many bytes more.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Hands over what was written, and takes the memory of another text.
    pub(super) fn exchange(&mut self, text: &mut String) {
        std::mem::swap(&mut self.out, text);
    }

    /// Forgets what was written after the first `length` bytes.
    pub(super) fn truncate(&mut self, length: usize) {
        self.out.truncate(length);
    }

    #[inline]
    fn deeper(&mut self) -> Result<(), WriteError> {
        self.depth += 1;
        self.first = true;
        const LIMIT: u32 = ReadLimits::DEFAULT.depth;
        if self.depth > LIMIT {
            return Err(WriteError::TooDeep { limit: LIMIT });
        }
        if self.out.len() > self.limit { Err(self.cut()) } else { Ok(()) }
    }

    /// Opens an object.
    #[inline]
    pub fn begin_object(&mut self) -> Result<(), WriteError> {
        self.out.push('{');
        self.deeper()
    }

    /// Closes the object.
    #[inline]
    pub fn end_object(&mut self) {
        self.out.push('}');
        self.depth = self.depth.saturating_sub(1);
        self.first = false;
    }

    /// Opens an object of a class.
    pub fn begin_class(&mut self, class: &str) -> Result<(), WriteError> {
        self.begin_known_class("{\"_class\":")?;
        self.string(class);
        Ok(())
    }

    /// Opens an object of a class whose beginning is known beforehand, `{"_class":"Account"`: for the code that the derive
    /// writes.
    #[inline]
    pub fn begin_known_class(&mut self, json: &str) -> Result<(), WriteError> {
        self.out.push_str(json);
        self.deeper()?;
        self.first = false;
        Ok(())
    }

    /// Opens an array.
    pub fn begin_array(&mut self) -> Result<(), WriteError> {
        self.out.push('[');
        self.deeper()
    }

    /// Closes the array.
    pub fn end_array(&mut self) {
        self.out.push(']');
        self.depth = self.depth.saturating_sub(1);
        self.first = false;
    }

    /// Counts levels of nesting from here on as if the next value were this far inside; gives back the count before.
    pub(crate) fn set_depth(&mut self, depth: u32) -> u32 {
        std::mem::replace(&mut self.depth, depth)
    }

    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        if self.out.len() > self.limit {
            self.cut();
        }
    }

    /// Begins an element of the array that is open.
    pub fn element(&mut self) {
        self.comma();
    }

    /// Writes the key of a field of the object that is open. A key is written as it is, but for what JSON escapes.
    pub fn key(&mut self, key: &str) {
        self.comma();
        self.string(key);
        self.out.push(':');
    }

    /// The same for a key of a map, which is text that was encoded as a [`Key`](crate::Key).
    pub fn map_key(&mut self, encoded: &str) {
        self.comma();
        self.encoded(encoded);
        self.out.push(':');
    }

    /// Writes text that was encoded as a [`Key`](crate::Key): readable text in which a `!` at the beginning is doubled, or
    /// `!x` and hex.
    pub fn encoded(&mut self, encoded: &str) {
        if self.text == Text::Ascii && !encoded.bytes().all(|byte| (32..=127).contains(&byte)) {
            // Hex is ASCII, so this is readable text.
            self.bytes(encoded.strip_prefix('!').unwrap_or(encoded).as_bytes());
        } else {
            self.string(encoded);
        }
    }

    /// The same for an entry of a table: on a line of its own where the writer's [`Lines`] say so.
    pub fn entry_key(&mut self, key: &str) {
        self.comma();
        if self.lines == Lines::PerEntry {
            self.out.push('\n');
        }
        self.encoded(key);
        self.out.push(':');
    }

    /// Writes `null`.
    pub fn null(&mut self) {
        self.out.push_str("null");
    }

    /// Writes `true` or `false`.
    pub fn bool(&mut self, value: bool) {
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// Writes an integer, exactly.
    #[inline]
    pub fn integer(&mut self, value: impl itoa::Integer) {
        self.out.push_str(itoa::Buffer::new().format(value));
    }

    /// Writes a number.
    ///
    /// # Errors
    /// NaN and infinities are refused.
    pub fn float(&mut self, value: f64) -> Result<(), WriteError> {
        if !value.is_finite() {
            return Err(WriteError::NotFinite { found: value.to_string() });
        }
        // `{:?}` is the shortest text that reads back as the same number, and always a valid JSON number.
        let text = format!("{value:?}");
        self.out.push_str(&text);
        Ok(())
    }

    /// Writes a JSON string, as it is but for what JSON escapes.
    #[inline]
    pub fn string(&mut self, value: &str) {
        /// Bytes of a string that is within every limit, whatever has to be escaped in it.
        const SHORT: usize = 1 << 20;
        if value.len() > SHORT {
            return self.long_string(value);
        }
        self.out.push('"');
        self.push_escaped(value);
        self.out.push('"');
    }

    #[cold]
    fn long_string(&mut self, value: &str) {
        let start = self.out.len();
        if value.len() > self.room() {
            return self.too_long(start);
        }
        self.out.push('"');
        self.push_escaped(value);
        self.out.push('"');
        // Escapes make it longer.
        if self.out.len() - start > ReadLimits::DEFAULT.string + "\"\"".len() {
            self.too_long(start);
        }
    }

    /// Bytes that a string may have here.
    #[inline]
    fn room(&self) -> usize {
        ReadLimits::DEFAULT.string.min(self.limit)
    }

    #[cold]
    fn too_long(&mut self, start: usize) {
        let limit = self.room();
        self.out.truncate(start);
        self.out.push_str("\"\"");
        self.note(
            start,
            if limit == self.limit { WriteError::TooLong { limit } } else { WriteError::LongString { limit } },
        );
    }

    #[inline]
    pub(super) fn push_escaped(&mut self, value: &str) {
        // Most strings are plain from the beginning to the end.
        if is_plain(value.as_bytes()) { self.out.push_str(value) } else { self.push_special(value) }
    }

    fn push_special(&mut self, mut value: &str) {
        loop {
            let (run, rest) = value.split_at(plain(value.as_bytes()));
            self.out.push_str(run);
            let Some(&special) = rest.as_bytes().first() else { return };
            match special {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                b'\n' => self.out.push_str("\\n"),
                b'\r' => self.out.push_str("\\r"),
                b'\t' => self.out.push_str("\\t"),
                control => {
                    self.out.push_str("\\u00");
                    self.push_hex(&[control]);
                }
            }
            value = &rest[1..];
        }
    }

    /// Writes readable text: a `!` at its beginning is doubled, so that it can't be taken for hex.
    pub fn text(&mut self, value: &str) {
        if self.text == Text::Ascii && value.bytes().any(|byte| !(32..=127).contains(&byte)) {
            self.bytes(value.as_bytes());
        } else if value.starts_with('!') && value.len() < self.room() {
            let doubled = format!("!{value}");
            self.string(&doubled);
        } else {
            self.string(value);
        }
    }

    /// Writes bytes as `!x` and their lower-case hex.
    pub fn bytes(&mut self, value: &[u8]) {
        if value.len() > (self.room() - "!x".len().min(self.room())) / 2 {
            return self.too_long(self.out.len());
        }
        self.out.push_str("\"!x");
        self.push_hex(value);
        self.out.push('"');
    }

    /// Appends a text that is JSON already.
    #[inline]
    pub fn raw(&mut self, json: &str) {
        self.out.push_str(json);
    }

    fn push_hex(&mut self, value: &[u8]) {
        let mut buffer = [0; 128];
        for chunk in value.chunks(64) {
            let hex = &mut buffer[..chunk.len() * 2];
            // The buffer has exactly the length that is asked for, and hex digits are ASCII: neither can fail.
            if hex::encode_to_slice(chunk, hex).is_ok()
                && let Ok(digits) = std::str::from_utf8(hex)
            {
                self.out.push_str(digits);
            }
        }
    }
}
