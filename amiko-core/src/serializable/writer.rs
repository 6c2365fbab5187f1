//! Object → JSON, written directly: no value tree, no formatting machinery.
//!
//! Invariant: a [`Reader`](super::Reader) reads the output of a `Writer` back exactly, unless the writer returned an
//! error or was told to hide secrets.

mod path;

use super::{ReadLimits, Reader, WriteError};
use crate::sabotage::{Sabotage, sabotaged};
use crate::serializable::scan::{is_plain, plain};
use std::fmt;

/// Which characters are written unescaped in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Text {
    /// All except control characters: for files that people read.
    #[default]
    Unicode,
    /// Printable ASCII only; any other string becomes `!x` and the hex of its bytes: the wire format of the payment
    /// protocol.
    Ascii,
}

/// Where a document has line breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lines {
    /// Nowhere: the document is one line.
    #[default]
    One,
    /// Before each entry of a [`Table`](crate::Table), so that `grep` and `git diff` see one object per line.
    PerEntry,
}

/// How a [`Secret`](crate::Secret) is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Secrets {
    /// In full: for files and peers.
    #[default]
    Written,
    /// As `(secret)`: for people. It can't be read back.
    Hidden,
}

/// Writes JSON into a `String`.
///
/// Methods that write a string can't fail on the spot: a string that is longer than a reader accepts is noted, and
/// reported by [`Writer::finish`].
pub struct Writer {
    out: String,
    text: Text,
    lines: Lines,
    secrets: Secrets,
    depth: u32,
    /// Nothing has been written yet in the current object or array.
    first: bool,
    /// Where tables that are written in slices have been left out, if they are to be.
    holes: Option<Vec<Hole>>,
    /// Bytes of the whole text at most.
    limit: usize,
    /// The first part that no reader accepts, and where it begins.
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

/// Hides the text, which may contain secrets.
impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("bytes", &self.out.len()).field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// The place for a table's entries: for the code that the derive writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hole {
    /// Offset in bytes.
    pub(crate) at: usize,
    /// Which table.
    pub(crate) table: usize,
    depth: u32,
}

impl Writer {
    /// An empty writer of Unicode text on one line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), ..Self::default() }
    }

    /// Sets which characters are written unescaped.
    #[must_use]
    pub fn with_text(mut self, text: Text) -> Self {
        self.text = text;
        self
    }

    /// Sets where lines break.
    #[must_use]
    pub fn with_lines(mut self, lines: Lines) -> Self {
        self.lines = lines;
        self
    }

    /// Sets how secrets are written.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// Whether a secret mustn't be written.
    pub(crate) fn hides_secrets(&self) -> bool {
        self.secrets == Secrets::Hidden
    }

    /// Leaves out the entries of frozen tables.
    pub(crate) fn with_holes(mut self) -> Self {
        self.holes = Some(Vec::new());
        self
    }

    /// Leaves out the entries of a table, if holes are enabled.
    pub(crate) fn leave_out(&mut self, table: usize) -> bool {
        let (at, depth) = (self.out.len(), self.depth);
        self.holes.as_mut().map(|holes| holes.push(Hole { at, table, depth })).is_some()
    }

    /// The places where entries were left out.
    pub(crate) fn take_holes(&mut self) -> Vec<Hole> {
        self.holes.take().unwrap_or_default()
    }

    /// Continues inside a hole: `first` is true if none of its entries has been written.
    pub(crate) fn resume(&mut self, hole: Hole, first: bool) {
        self.depth = hole.depth;
        self.first = first;
    }

    /// The text so far.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.out
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.out
    }

    /// The text, if a reader accepts all of it.
    ///
    /// # Errors
    /// A string, or the text as a whole, is longer than a reader accepts.
    pub fn finish(mut self) -> Result<String, WriteError> {
        self.outcome(0, Ok(()))?;
        Ok(self.out)
    }

    /// The outcome of a value written from `start` on, with the path to the fault.
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

    /// Lets untrusted code write a value, and checks that a reader accepts it: that it is JSON, within the limits on
    /// depth and length, with no duplicate name in an object.
    ///
    /// # Errors
    /// It isn't; or the errors of `write`.
    pub fn checked(&mut self, write: impl FnOnce(&mut Self) -> Result<(), WriteError>) -> Result<(), WriteError> {
        let (start, depth, first) = (self.out.len(), self.depth, self.first);
        write(self)?;
        if sabotaged(Sabotage::GateOff) {
            return Ok(());
        }
        (self.depth, self.first) = (depth, first);
        // The code may also have removed text that was there before.
        let text = self.out.get(start..).ok_or_else(|| WriteError::unreadable("expected a value, found none"))?;
        let mut input = Reader::new(text).inside(depth);
        let Err(error) = input.check().and_then(|()| input.end()) else { return Ok(()) };
        let at = start + usize::try_from(error.place().byte).unwrap_or(usize::MAX).min(text.len());
        let error = WriteError::unreadable(error.problem());
        self.note(at, error.clone());
        Err(error)
    }

    /// Limits the text to this many bytes: longer text is refused before it is built.
    #[inline]
    pub(crate) fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    #[cold]
    fn note(&mut self, at: usize, error: WriteError) {
        self.fault.get_or_insert_with(|| Box::new((at, error)));
    }

    /// Notes that the text is too long, and stops its growth.
    #[cold]
    fn cut(&mut self) -> WriteError {
        let error = WriteError::TooLong { limit: self.limit };
        self.note(self.out.len(), error.clone());
        let end = (0..=self.limit).rev().find(|end| self.out.is_char_boundary(*end)).unwrap_or(0);
        self.out.truncate(end);
        error
    }

    /// Clears the text and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.out.clear();
        self.depth = 0;
        self.first = false;
        self.limit = usize::MAX;
        if self.fault.is_some() {
            self.fault = None;
        }
    }

    /// Reserves room for this many more bytes.
    #[inline]
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// Hands over the text, and reuses the memory of another one.
    #[inline]
    pub(super) fn exchange(&mut self, text: &mut String) {
        std::mem::swap(&mut self.out, text);
    }

    /// Keeps only the first `length` bytes.
    #[inline]
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

    /// Opens an object of a class whose first characters are known beforehand, `{"_class":"Account"`: for the code
    /// that the derive writes.
    #[inline]
    pub fn begin_known_class(&mut self, json: &str) -> Result<(), WriteError> {
        self.out.push_str(json);
        self.deeper()?;
        self.first = false;
        Ok(())
    }

    /// Opens an array.
    #[inline]
    pub fn begin_array(&mut self) -> Result<(), WriteError> {
        self.out.push('[');
        self.deeper()
    }

    /// Closes the array.
    #[inline]
    pub fn end_array(&mut self) {
        self.out.push(']');
        self.depth = self.depth.saturating_sub(1);
        self.first = false;
    }

    /// Counts nesting levels from here on as if the next value were at this depth; returns the depth before.
    #[inline]
    pub(crate) fn set_depth(&mut self, depth: u32) -> u32 {
        std::mem::replace(&mut self.depth, depth)
    }

    #[inline]
    fn comma(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(',');
        }
        if self.out.len() > self.limit {
            self.cut();
        }
    }

    /// Begins an element of the current array.
    #[inline]
    pub fn element(&mut self) {
        self.comma();
    }

    /// Writes the key of a field of the current object. Only JSON's escapes are applied.
    #[inline]
    pub fn key(&mut self, key: &str) {
        self.comma();
        self.string(key);
        self.out.push(':');
    }

    /// The same for a key of a map: text that was encoded as a [`Key`](crate::Key).
    pub fn map_key(&mut self, encoded: &str) {
        self.comma();
        self.encoded(encoded);
        self.out.push(':');
    }

    /// Writes text that was encoded as a [`Key`](crate::Key): readable text in which a leading `!` is doubled, or
    /// `!x` and hex.
    pub fn encoded(&mut self, encoded: &str) {
        if self.text == Text::Ascii && !encoded.bytes().all(|byte| (32..=127).contains(&byte)) {
            // Hex is ASCII, so this is readable text.
            self.bytes(encoded.strip_prefix('!').unwrap_or(encoded).as_bytes());
        } else {
            self.string(encoded);
        }
    }

    /// The same for an entry of a table: on its own line, depending on the writer's [`Lines`].
    pub fn entry_key(&mut self, key: &str) {
        self.comma();
        if self.lines == Lines::PerEntry {
            self.out.push('\n');
        }
        self.encoded(key);
        self.out.push(':');
    }

    /// As [`encoded`](Self::encoded), for the text of a key that is [`PLAIN`](crate::Key) or not.
    #[inline]
    pub(crate) fn key_text(&mut self, text: &str, plain: bool) {
        if !plain {
            return self.encoded(text);
        }
        self.out.push('"');
        self.out.push_str(text);
        self.out.push('"');
    }

    /// As [`map_key`](Self::map_key), for the text of a key that is [`PLAIN`](crate::Key) or not.
    #[inline]
    pub(crate) fn map_key_of(&mut self, text: &str, plain: bool) {
        self.comma();
        self.key_text(text, plain);
        self.out.push(':');
    }

    /// As [`entry_key`](Self::entry_key), for the text of a key that is [`PLAIN`](crate::Key) or not.
    #[inline]
    pub(crate) fn entry_key_of(&mut self, text: &str, plain: bool) {
        self.comma();
        if self.lines == Lines::PerEntry {
            self.out.push('\n');
        }
        self.key_text(text, plain);
        self.out.push(':');
    }

    /// Writes `null`.
    #[inline]
    pub fn null(&mut self) {
        self.out.push_str("null");
    }

    /// Writes `true` or `false`.
    #[inline]
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

    /// Writes a JSON string. Only JSON's escapes are applied.
    #[inline]
    pub fn string(&mut self, value: &str) {
        /// A string of at most this many bytes is within every limit, however many escapes it needs.
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
        // Escapes make the string longer.
        if self.out.len() - start > ReadLimits::DEFAULT.string + "\"\"".len() {
            self.too_long(start);
        }
    }

    /// The maximum length of a string here, in bytes.
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
        // Most strings need no escapes.
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

    /// Writes readable text: a leading `!` is doubled, so that it isn't mistaken for hex.
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

    /// Appends text that is already JSON.
    #[inline]
    pub fn raw(&mut self, json: &str) {
        self.out.push_str(json);
    }

    fn push_hex(&mut self, value: &[u8]) {
        let mut buffer = [0; 128];
        for chunk in value.chunks(64) {
            let hex = &mut buffer[..chunk.len() * 2];
            // The buffer has exactly the required length, and hex digits are ASCII: neither can fail.
            if hex::encode_to_slice(chunk, hex).is_ok()
                && let Ok(digits) = std::str::from_utf8(hex)
            {
                self.out.push_str(digits);
            }
        }
    }
}
