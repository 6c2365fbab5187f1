//! Bytes → lines.
//!
//! Invariant: of a line without an end, at most the limit and one read are kept, and each byte is scanned once.

use super::error::LineError;
use std::str;

/// Bytes that don't make a whole line yet.
#[derive(Debug)]
pub struct Lines {
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// Up to here that line has no end.
    scanned: usize,
    limit: usize,
}

impl Lines {
    /// For lines of at most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, scanned: 0, limit }
    }

    /// Where the next read appends its bytes; lines that were taken make room for it.
    pub fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.bytes.reserve_exact(bytes);
        &mut self.bytes
    }

    /// The next whole line, without its end; none if more has to be read first.
    ///
    /// # Errors
    /// The bytes can't be a line. Nothing that follows can be trusted.
    pub fn next_line(&mut self) -> Result<Option<&str>, LineError> {
        let end = self.bytes[self.scanned..].iter().position(|&byte| byte == b'\n').map(|at| self.scanned + at);
        let length = end.unwrap_or(self.bytes.len()) - self.start;
        if length > self.limit {
            return Err(LineError::TooLong { limit: self.limit });
        }
        let Some(end) = end else {
            self.scanned = self.bytes.len();
            return Ok(None);
        };
        let line = &self.bytes[self.start..end];
        (self.start, self.scanned) = (end + 1, end + 1);
        str::from_utf8(line).map(Some).map_err(|error| LineError::NotText { byte: error.valid_up_to() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Result<Vec<String>, LineError> {
        let mut found = Vec::new();
        while let Some(line) = lines.next_line()? {
            found.push(line.to_owned());
        }
        Ok(found)
    }

    fn put(lines: &mut Lines, bytes: &[u8]) {
        lines.room(bytes.len()).extend_from_slice(bytes);
    }

    #[test]
    fn lines_come_out_however_they_are_cut() {
        for size in 1..12 {
            let mut lines = Lines::new(5);
            let mut found = Vec::new();
            for chunk in b"one\n\ntwo\nthree\nrest".chunks(size) {
                put(&mut lines, chunk);
                found.extend(all(&mut lines).unwrap());
            }
            assert_eq!(found, ["one", "", "two", "three"], "in pieces of {size}");
        }
    }

    #[test]
    fn the_limit_counts_the_bytes_of_the_line() {
        let mut lines = Lines::new(4);
        put(&mut lines, b"four\n");
        assert_eq!(lines.next_line(), Ok(Some("four")));
        put(&mut lines, b"four");
        assert_eq!(lines.next_line(), Ok(None));
        put(&mut lines, b"5");
        assert_eq!(lines.next_line(), Err(LineError::TooLong { limit: 4 }));
        let mut lines = Lines::new(4);
        put(&mut lines, b"five5\n");
        assert_eq!(lines.next_line(), Err(LineError::TooLong { limit: 4 }));
    }

    #[test]
    fn a_line_is_utf_8() {
        let mut lines = Lines::new(100);
        put(&mut lines, b"ab\xff\n");
        assert_eq!(lines.next_line(), Err(LineError::NotText { byte: 2 }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_in_arbitrary_pieces(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20)) {
            const LIMIT: usize = 30;
            let mut lines = Lines::new(LIMIT);
            let mut found = Vec::new();
            let mut failed = false;
            for piece in &pieces {
                put(&mut lines, piece);
                prop_assert!(lines.bytes.len() <= LIMIT + piece.len());
                match all(&mut lines) {
                    Ok(some) => found.extend(some),
                    Err(_) => { failed = true; break; }
                }
            }
            let whole = pieces.concat();
            let expected: Vec<&[u8]> = whole.split(|&byte| byte == b'\n').collect();
            if !failed {
                prop_assert_eq!(found.len() + 1, expected.len());
                prop_assert!(found.iter().zip(&expected).all(|(found, expected)| found.as_bytes() == *expected));
            }
        }
    }
}
