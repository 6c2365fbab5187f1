//! The checks of a store's arguments.
//!
//! Invariant: a refused argument changes nothing, and every store refuses the same ones.

use super::error::StoreError;
use super::format::{excerpt, excerpt_end, number};
use crate::serializable::scan::has_newline;

/// Bytes of records that may wait for a sync unless settings say otherwise: 64 MiB.
pub(super) const BUFFER_LIMIT: u64 = 64 << 20;

/// Whether a record is next, and is one line that a checksum can be put into.
pub(super) fn record(last: u64, sequence: u64, record: &str) -> Result<(), StoreError> {
    let expected = last.checked_add(1);
    if expected != Some(sequence) {
        return Err(StoreError::Sequence { expected: expected.unwrap_or(last), found: sequence });
    }
    let refuse = |expected: String, found: String| Err(StoreError::Record { sequence, expected, found });
    let rest = match record.strip_prefix("{\"seq\":").and_then(number) {
        Some((found, rest)) if found == sequence => rest.as_bytes(),
        _ => &[],
    };
    match rest {
        [b',', .., b'}'] | [b'}'] => {}
        [b',', ..] => {
            let expected = "one JSON object that ends with }".to_owned();
            return refuse(expected, excerpt_end(record.as_bytes()));
        }
        _ => {
            let expected = format!("one JSON object that begins with {{\"seq\":{sequence}");
            return refuse(expected, excerpt(record.as_bytes()));
        }
    }
    if has_newline(record.as_bytes()) {
        let byte = record.find('\n').unwrap_or_default();
        return refuse("one line".to_owned(), format!("a newline at byte {byte}"));
    }
    Ok(())
}

/// Whether a buffer of `buffered` bytes may take a record of `size` more.
pub(super) fn room(limit: u64, buffered: u64, sequence: u64, size: u64) -> Result<(), StoreError> {
    let needed = buffered.saturating_add(size);
    if size > limit {
        Err(StoreError::RecordTooLarge { sequence, limit, size })
    } else if needed > limit {
        Err(StoreError::BufferFull { limit, needed })
    } else {
        Ok(())
    }
}

/// A document that is given in pieces, as far as it has to be checked.
#[derive(Debug, Default)]
pub(super) struct Given {
    first: Option<u8>,
    /// Its end so far.
    end: Vec<u8>,
    size: u64,
}

impl Given {
    pub(super) fn add(&mut self, piece: &str) {
        /// Bytes of the end that an error may show, and one more.
        const END: usize = 64;
        let bytes = piece.as_bytes();
        self.first = self.first.or(bytes.first().copied());
        self.size += bytes.len() as u64;
        self.end.extend_from_slice(&bytes[bytes.len().saturating_sub(END)..]);
        self.end.drain(..self.end.len().saturating_sub(END));
    }

    /// Whether all of it is a JSON object that a checksum can be put into.
    pub(super) fn check(&self, sequence: u64) -> Result<(), StoreError> {
        document(sequence, self.first, &self.end, self.size)
    }
}

/// Whether a document of `size` bytes with this first byte and this end is a JSON object that a
/// checksum can be put into.
pub(super) fn document(sequence: u64, first: Option<u8>, end: &[u8], size: u64) -> Result<(), StoreError> {
    if first == Some(b'{') && end.ends_with(b"}") && size > 2 {
        return Ok(());
    }
    let found = match first {
        Some(b'{') | None => excerpt_end(end),
        Some(byte) => format!("a text that begins with {:?}", char::from(byte)),
    };
    let expected = "a JSON object with at least one member and nothing around it";
    Err(StoreError::Document { sequence, expected, found })
}
