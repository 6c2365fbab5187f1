//! JSON → object in one pass, with a pull parser.
//!
//! Invariant: on any input the reader either returns the value or an error with its place; it never panics, and never
//! recurses or allocates beyond its [`ReadLimits`].

mod check;
mod escapes;
mod text;

pub(crate) use text::decode_key;

use super::{Place, Problem, ReadError, shorten};
use crate::serializable::scan::{digits, eight_digits, plain};
use std::borrow::Cow;
use std::fmt;

/// The limits of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Nesting levels of objects and arrays. Default 128.
    pub depth: u32,
    /// Bytes of one number. Default 400.
    pub number: usize,
    /// Bytes of one string, as it appears in the text. Default 64 MiB.
    pub string: usize,
}

impl ReadLimits {
    pub(crate) const DEFAULT: Self = Self { depth: 128, number: 400, string: 64 << 20 };
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How a field that a class doesn't know is handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// An error: for files, where it is a typo or a newer version.
    #[default]
    Deny,
    /// Skipped: for messages from a network.
    Ignore,
}

/// Reads JSON from a `str`.
#[derive(Clone)]
pub struct Reader<'a> {
    input: &'a str,
    at: usize,
    depth: u32,
    /// Nothing has been read yet from the current object or array.
    first: bool,
    limits: ReadLimits,
    unknown: Unknown,
}

/// Hides the text, which may contain secrets.
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, at, depth, .. } = self;
        f.debug_struct("Reader")
            .field("bytes", &input.len())
            .field("at", at)
            .field("depth", depth)
            .finish_non_exhaustive()
    }
}

impl<'a> Reader<'a> {
    /// A reader with the default limits that treats unknown fields as errors.
    pub fn new(input: &'a str) -> Self {
        Self { input, at: 0, depth: 0, first: false, limits: ReadLimits::default(), unknown: Unknown::Deny }
    }

    /// Sets the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: ReadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how unknown fields are handled.
    #[must_use]
    pub fn with_unknown(mut self, unknown: Unknown) -> Self {
        self.unknown = unknown;
        self
    }

    /// Makes this a reader of a value at this nesting depth inside another one.
    pub(crate) fn inside(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.input.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    /// The reader's position.
    pub fn place(&self) -> Place {
        self.place_of(self.at)
    }

    fn place_of(&self, at: usize) -> Place {
        let before = &self.input.as_bytes()[..at.min(self.input.len())];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        // UTF-8 continuation bytes don't count as characters.
        let column = before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        let line = before.iter().filter(|&&byte| byte == b'\n').count();
        Place { line: line as u64 + 1, column: column as u64 + 1, byte: at as u64 }
    }

    /// An error at the reader's position.
    pub fn error(&self, problem: Problem) -> ReadError {
        ReadError::new(problem, self.place())
    }

    /// An error that says what was expected instead of what comes next.
    pub fn expected(&self, expected: impl Into<Cow<'static, str>>) -> ReadError {
        self.expected_at(self.at, expected.into())
    }

    /// The same for an earlier position, so that no copy of the reader has to be kept just in case.
    #[cold]
    fn expected_at(&self, at: usize, expected: Cow<'static, str>) -> ReadError {
        let mut ahead = Self { at, ..self.clone() };
        ahead.blank();
        ahead.error(Problem::Expected { expected, found: ahead.found() })
    }

    /// An error that the type refuses the value that begins here.
    pub fn invalid(&self, reason: impl Into<String>) -> ReadError {
        self.error(Problem::Invalid { reason: reason.into() })
    }

    fn found(&self) -> String {
        const SHOWN: usize = 24;
        let rest = &self.input[self.at..];
        match rest.chars().next() {
            None => "the end of the text".into(),
            Some('{') => "an object".into(),
            Some('[') => "an array".into(),
            Some('"') => {
                // Shortened, and escaped again: untrusted input must not reach a terminal unescaped.
                let mut inside = rest.chars().skip(1);
                let mut shown = String::new();
                let more = loop {
                    match inside.next() {
                        None | Some('"') => break "",
                        Some(_) if shown.chars().count() == SHOWN => break "…",
                        // An escaped character is shown unchanged.
                        Some('\\') => shown.extend(inside.next()),
                        Some(character) => shown.push(character),
                    }
                };
                format!("{shown:?}{more}")
            }
            Some(first) if first.is_ascii_alphanumeric() || first == '-' => rest
                .chars()
                .take(SHOWN)
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'))
                .collect(),
            Some(other) => format!("{other:?}"),
        }
    }

    fn enter(&mut self) -> Result<(), ReadError> {
        if self.depth >= self.limits.depth {
            let what = format!("at most {} levels of nesting", self.limits.depth);
            return Err(self.error(Problem::Limit { what }));
        }
        self.at += 1;
        self.depth += 1;
        self.first = true;
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
        self.first = false;
    }

    /// Enters an object.
    ///
    /// # Errors
    /// The next value isn't an object, or is nested too deeply.
    #[inline]
    pub fn begin_object(&mut self) -> Result<(), ReadError> {
        self.blank();
        if self.byte() == Some(b'{') { self.enter() } else { Err(self.expected("an object")) }
    }

    /// The next key of the current object; `None` at its end, which also leaves the object.
    ///
    /// # Errors
    /// The text isn't JSON.
    pub fn key(&mut self) -> Result<Option<Cow<'a, str>>, ReadError> {
        self.blank();
        if self.byte() == Some(b'}') {
            self.leave();
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.expect(b',', "a comma or the end of the object")?;
            self.blank();
        }
        if self.byte() != Some(b'"') {
            return Err(self.expected("a key"));
        }
        let key = self.string()?;
        self.blank();
        self.expect(b':', "a colon")?;
        Ok(Some(key))
    }

    /// Skips this key, given with its quotes and colon, if it comes next exactly as a writer writes it; otherwise the
    /// reader doesn't move, and [`Reader::key`] reads the key that is there.
    #[inline]
    pub fn known_key(&mut self, key: &'static str) -> bool {
        let rest = self.input.as_bytes().get(self.at..).unwrap_or_default();
        let (rest, comma) = match rest {
            [b',', rest @ ..] if !self.first => (rest, 1),
            rest if self.first => (rest, 0),
            _ => return false,
        };
        let found = rest.starts_with(key.as_bytes()) && key.len() - "\"\":".len() <= self.limits.string;
        if found {
            self.at += comma + key.len();
            self.first = false;
        }
        found
    }

    /// Enters an array.
    ///
    /// # Errors
    /// The next value isn't an array, or is nested too deeply.
    pub fn begin_array(&mut self) -> Result<(), ReadError> {
        self.blank();
        if self.byte() == Some(b'[') { self.enter() } else { Err(self.expected("an array")) }
    }

    /// Whether the current array has another element; at its end, the array is left.
    ///
    /// # Errors
    /// The text isn't JSON.
    pub fn element(&mut self) -> Result<bool, ReadError> {
        self.blank();
        if self.byte() == Some(b']') {
            self.leave();
            return Ok(false);
        }
        if !std::mem::take(&mut self.first) {
            self.expect(b',', "a comma or the end of the array")?;
            self.blank();
            if self.byte() == Some(b']') {
                return Err(self.expected("an element"));
            }
        }
        Ok(true)
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), ReadError> {
        if self.byte() != Some(byte) {
            return Err(self.expected(what));
        }
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, literal: &str) -> bool {
        let found = self.input[self.at..].starts_with(literal);
        if found {
            self.at += literal.len();
        }
        found
    }

    /// Skips `null`, if it comes next.
    pub fn null(&mut self) -> bool {
        self.blank();
        self.literal("null")
    }

    /// A boolean.
    ///
    /// # Errors
    /// The next value isn't a boolean.
    pub fn bool(&mut self) -> Result<bool, ReadError> {
        self.blank();
        if self.literal("true") {
            Ok(true)
        } else if self.literal("false") {
            Ok(false)
        } else {
            Err(self.expected("true or false"))
        }
    }

    /// The text of a number, checked against JSON's grammar.
    ///
    /// # Errors
    /// The next value isn't a number, or is too long.
    pub fn number(&mut self, expected: &'static str) -> Result<&'a str, ReadError> {
        self.blank();
        let bytes = &self.input.as_bytes()[self.at..];
        let mut length = usize::from(bytes.first() == Some(&b'-'));
        let whole = digits(&bytes[length..]);
        let leading_zero = whole > 1 && bytes[length] == b'0';
        length += whole;
        let mut good = whole > 0 && !leading_zero;
        if bytes.get(length) == Some(&b'.') {
            let fraction = digits(&bytes[length + 1..]);
            good &= fraction > 0;
            length += 1 + fraction;
        }
        if let Some(b'e' | b'E') = bytes.get(length) {
            length += 1 + usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
            let exponent = digits(bytes.get(length..).unwrap_or_default());
            good &= exponent > 0;
            length += exponent;
        }
        if !good {
            return Err(self.expected(expected));
        }
        if length > self.limits.number {
            let what = format!("at most {} bytes in a number", self.limits.number);
            return Err(self.error(Problem::Limit { what }));
        }
        let number = &self.input[self.at..self.at + length];
        self.at += length;
        Ok(number)
    }

    /// An integer of any Rust integer type, exactly.
    ///
    /// # Errors
    /// The next value isn't an integer, or doesn't fit the type.
    pub fn integer<T>(&mut self, expected: &'static str) -> Result<T, ReadError>
    where
        T: std::str::FromStr + TryFrom<u64> + TryFrom<i64>,
    {
        /// More digits than this may not fit into 64 bits, with a sign or without.
        const SAFE_DIGITS: usize = 18;
        let start = self.at;
        self.blank();
        // Nearly all integers are just a few digits; the others are checked against JSON's grammar.
        let rest = &self.input.as_bytes()[self.at..];
        let negative = rest.first() == Some(&b'-');
        let digits = &rest[usize::from(negative)..];
        let (mut length, mut value) = (0, 0_u64);
        if let Some(eight) = digits.first_chunk().and_then(|chunk| eight_digits(*chunk)) {
            (length, value) = (8, eight);
        }
        while let Some(digit @ b'0'..=b'9') = digits.get(length)
            && length < SAFE_DIGITS
        {
            value = value * 10 + u64::from(digit - b'0');
            length += 1;
        }
        let ended = !matches!(digits.get(length), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
        let leading_zero = length > 1 && digits[0] == b'0';
        let whole = length + usize::from(negative);
        if length > 0 && ended && !leading_zero && whole <= self.limits.number && !(negative && value == 0) {
            self.at += whole;
            // Eighteen digits fit into either type.
            let read = if negative { T::try_from(-(value as i64)).ok() } else { T::try_from(value).ok() };
            return read.ok_or_else(|| self.expected_at(start, expected.into()));
        }
        self.number(expected)?.parse().map_err(|_| self.expected_at(start, expected.into()))
    }

    /// A number, whole or not.
    ///
    /// # Errors
    /// The next value isn't a number, or is out of range for an `f64`.
    pub fn float(&mut self) -> Result<f64, ReadError> {
        let start = self.at;
        match self.number("a number")?.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(self.expected_at(start, "a number within the range of 64 bits".into())),
        }
    }

    /// A JSON string, unescaped.
    ///
    /// # Errors
    /// The next value isn't a string, or is too long.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, ReadError> {
        self.blank();
        if self.byte() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        let start = self.at + 1;
        // Nearly all strings are short and have no escapes.
        let end = start + plain(&self.input.as_bytes()[start..]);
        if self.input.as_bytes().get(end) == Some(&b'"') && end - start <= self.limits.string {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.input[start..end]));
        }
        self.unusual_string(start)
    }

    /// Skips one value of any type, and returns its text.
    ///
    /// # Errors
    /// The value isn't JSON.
    pub fn skip(&mut self) -> Result<&'a str, ReadError> {
        self.blank();
        let start = self.at;
        let outside = self.depth;
        // A loop instead of recursion: the stack holds the closing character of each open level.
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.blank();
            match self.byte() {
                Some(b'{') => {
                    self.begin_object()?;
                    open.push(b'}');
                }
                Some(b'[') => {
                    self.begin_array()?;
                    open.push(b']');
                }
                Some(b'"') => drop(self.string()?),
                Some(b't' | b'f') => drop(self.bool()?),
                Some(b'n') if self.null() => {}
                _ => drop(self.number("a value")?),
            }
            loop {
                let more = match open.last() {
                    None => {
                        debug_assert_eq!(self.depth, outside);
                        return Ok(&self.input[start..self.at]);
                    }
                    Some(b'}') => self.key()?.is_some(),
                    Some(_) => self.element()?,
                };
                if more {
                    break;
                }
                open.pop();
            }
        }
    }

    /// The string in a field of the object that begins here, wherever the field is; the reader doesn't move.
    ///
    /// # Errors
    /// The next value isn't an object or isn't JSON, or the field isn't a string.
    pub fn peek_field(&self, field: &str) -> Result<Option<Cow<'a, str>>, ReadError> {
        let mut ahead = self.clone();
        ahead.begin_object()?;
        while let Some(key) = ahead.key()? {
            if key == field {
                return ahead.string().map(Some);
            }
            ahead.skip()?;
        }
        Ok(None)
    }

    /// The class of the object that begins here; the reader doesn't move.
    ///
    /// # Errors
    /// The next value isn't an object with a class.
    pub fn peek_class(&self) -> Result<Cow<'a, str>, ReadError> {
        self.peek_field("_class")?.ok_or_else(|| self.expected("an object with a \"_class\""))
    }

    /// The first byte of the next value.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.blank();
        self.byte()
    }

    /// How a field that a class doesn't know is handled.
    pub(crate) fn unknown(&self) -> Unknown {
        self.unknown
    }

    /// An error about the value that begins here, from code that doesn't know the surrounding text.
    pub(crate) fn located(&self, error: ReadError) -> ReadError {
        let mut ahead = self.clone();
        ahead.blank();
        error.moved(ahead.place())
    }

    /// A reader of another text, with the same limits and handling of unknown fields.
    pub(crate) fn of_text<'t>(&self, text: &'t str) -> Reader<'t> {
        Reader::new(text).with_limits(self.limits).with_unknown(self.unknown)
    }

    /// Whether a string comes next.
    pub fn at_string(&mut self) -> bool {
        self.blank();
        self.byte() == Some(b'"')
    }

    /// Handles a field that a class doesn't know: an error, or skipped, as configured.
    ///
    /// # Errors
    /// The field is refused, or its value isn't JSON.
    pub fn unknown_field(
        &mut self,
        field: &str,
        class: &'static str,
        known: &'static [&'static str],
    ) -> Result<(), ReadError> {
        match self.unknown {
            Unknown::Ignore => self.skip().map(drop),
            Unknown::Deny => self.deny_field(field, class, known),
        }
    }

    /// Refuses a field that a class doesn't know.
    ///
    /// # Errors
    /// Always.
    pub fn deny_field(
        &self,
        field: &str,
        class: &'static str,
        known: &'static [&'static str],
    ) -> Result<(), ReadError> {
        Err(self.error(Problem::UnknownField { field: shorten(field), class, known: known.to_vec() }))
    }

    /// Checks that nothing follows.
    ///
    /// # Errors
    /// Something does.
    pub fn end(&mut self) -> Result<(), ReadError> {
        self.blank();
        if self.at == self.input.len() { Ok(()) } else { Err(self.expected("the end of the text")) }
    }
}
