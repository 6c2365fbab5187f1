//! Strings with escapes.
//!
//! Invariant: the result is no longer than its source text, and that is no longer than the limit.

use super::{Reader, plain};
use crate::serializable::{Problem, ReadError};
use std::borrow::Cow;

impl<'a> Reader<'a> {
    /// Reads a string after its opening quote: one with escapes, or a malformed one.
    #[cold]
    pub(super) fn unusual_string(&mut self, start: usize) -> Result<Cow<'a, str>, ReadError> {
        let mut owned = String::new();
        let mut run_start = start;
        self.at = start;
        loop {
            self.at += plain(&self.input.as_bytes()[self.at..]);
            if self.at == self.input.len() {
                return Err(self.expected("the end of the string"));
            }
            if self.at - start > self.limits.string {
                let what = format!("at most {} bytes in a string", self.limits.string);
                return Err(self.error(Problem::Limit { what }));
            }
            let run = &self.input[run_start..self.at];
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    owned.push_str(run);
                    return Ok(Cow::Owned(owned));
                }
                Some(b'\\') => {
                    owned.push_str(run);
                    owned.push(self.escape()?);
                    run_start = self.at;
                }
                _ => return Err(self.expected("control characters to be escaped")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ReadError> {
        self.at += 1;
        let character = match self.byte() {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.expected("one of the escapes of JSON")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, ReadError> {
        let before = self.clone();
        let wrong = || before.expected("a Unicode character in four hex digits, or a pair of surrogates");
        self.at += 1;
        let high = self.four_hex().ok_or_else(wrong)?;
        let code = match high {
            0xD800..0xDC00 => {
                let low = if self.literal("\\u") { self.four_hex() } else { None };
                let low = low.filter(|low| (0xDC00..0xE000).contains(low)).ok_or_else(wrong)?;
                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            single => single,
        };
        char::from_u32(code).ok_or_else(wrong)
    }

    fn four_hex(&mut self) -> Option<u32> {
        let digits = self.input.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}
