//! What channels need of Bitcoin: an address to be paid at, and the ID of a transaction. No block chain is looked at.
//!
//! Invariant: reading takes no more time or memory than the text is long, and the text has a limit.

use super::url::as_text;
use amiko_core::prelude::*;
use amiko_core::serializable::Schema;
use amiko_core::{ReadError, Reader, WriteError, Writer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A text that isn't an address or a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BitcoinError {
    /// What was expected.
    pub expected: &'static str,
    /// What was found.
    pub found: String,
}

impl BitcoinError {
    fn new(expected: &'static str, found: impl Into<String>) -> Self {
        Self { expected, found: found.into() }
    }
}

impl fmt::Display for BitcoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for BitcoinError {}

/// A Bitcoin address of the kind P2PKH, the hash of a key, in Base58Check: `1…`, or `m…` and `n…` on a test network.
///
/// Another kind is refused: a prototype would take its hash for that of a key, and pay where nobody can spend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutAddress(String);

impl PayoutAddress {
    /// Characters of the longest address.
    pub const MAX_LENGTH: usize = 35;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PayoutAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PayoutAddress {
    type Err = BitcoinError;

    fn from_str(text: &str) -> Result<Self, BitcoinError> {
        const EXPECTED: &str = "a Bitcoin address of the kind P2PKH, which begins with 1, m or n";
        let refused = |found: &str| Err(BitcoinError::new(EXPECTED, found));
        if text.len() > Self::MAX_LENGTH {
            return refused("a longer text");
        }
        // Its checksum is checked, and cut off.
        let bytes = match bs58::decode(text).with_check(None).into_vec() {
            Ok(bytes) => bytes,
            Err(bs58::decode::Error::InvalidChecksum { .. }) => return refused("one with a wrong character in it"),
            Err(_) => return refused(&format!("{text:?}")),
        };
        match *bytes {
            [0x00 | 0x6F, ref hash @ ..] if hash.len() == 20 => Ok(Self(text.into())),
            [0x05 | 0xC4, ..] => refused("one of the kind P2SH"),
            _ => refused(&format!("{text:?}")),
        }
    }
}

/// A transaction as it is sent to the network of Bitcoin. Whether it is valid, and whom it pays, isn't checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawTransaction {
    bytes: Vec<u8>,
    id: [u8; 32],
}

impl RawTransaction {
    /// Bytes of the longest transaction: in hex, it fits into a line on the wire.
    pub const MAX_BYTES: usize = 30_000;

    /// Its ID, as block explorers show it.
    pub fn id(&self) -> String {
        hex::encode(self.id)
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, BitcoinError> {
        let mut rest = Parts(&bytes);
        let version = rest.take(4)?;
        let witnesses = match rest.0 {
            [0, 1, ..] => rest.take(2).map(|_| true)?,
            [0, ..] => return Err(malformed("one without inputs")),
            _ => false,
        };
        let body = rest.0;
        let inputs = rest.count()?;
        for _ in 0..inputs {
            // The output that is spent, the script, and the sequence number.
            rest.take(36)?;
            rest.take_counted()?;
            rest.take(4)?;
        }
        let outputs = rest.count()?;
        for _ in 0..outputs {
            // The amount, and the script.
            rest.take(8)?;
            rest.take_counted()?;
        }
        if inputs == 0 || outputs == 0 {
            return Err(malformed("one without inputs or outputs"));
        }
        let body = body.get(..body.len() - rest.0.len()).unwrap_or_default();
        if witnesses {
            for _ in 0..inputs {
                for _ in 0..rest.count()? {
                    rest.take_counted()?;
                }
            }
        }
        let lock_time = rest.take(4)?;
        if !rest.0.is_empty() {
            return Err(malformed(format!("{} bytes behind its end", rest.0.len())));
        }
        // Witnesses aren't part of the ID, which is shown backwards.
        let digest = Sha256::new().chain_update(version).chain_update(body).chain_update(lock_time).finalize();
        let mut id: [u8; 32] = Sha256::digest(digest).into();
        id.reverse();
        Ok(Self { bytes, id })
    }
}

fn malformed(found: impl Into<String>) -> BitcoinError {
    BitcoinError::new("a raw transaction of Bitcoin", found)
}

/// What is left to be read.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], BitcoinError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(|| malformed("one that breaks off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of 1, 3, 5 or 9 bytes, in its shortest form. Whatever it counts takes at least a byte each.
    fn count(&mut self) -> Result<usize, BitcoinError> {
        let first = self.take(1)?.first().copied().unwrap_or_default();
        let (length, least) = match first {
            0xFD => (2, 0xFD),
            0xFE => (4, 0x1_0000),
            0xFF => (8, 0x1_0000_0000),
            small => return Ok(usize::from(small)),
        };
        let number = self.take(length)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if number < least {
            return Err(malformed("one with a number that isn't in its shortest form"));
        }
        usize::try_from(number).map_err(|_| malformed("one that breaks off"))
    }

    fn take_counted(&mut self) -> Result<&'a [u8], BitcoinError> {
        let length = self.count()?;
        self.take(length)
    }
}

/// In hex.
impl fmt::Display for RawTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.bytes))
    }
}

impl FromStr for RawTransaction {
    type Err = BitcoinError;

    fn from_str(text: &str) -> Result<Self, BitcoinError> {
        if text.len() > 2 * Self::MAX_BYTES {
            let found = format!("{} hex digits, where {} are allowed", text.len(), 2 * Self::MAX_BYTES);
            return Err(malformed(found));
        }
        // The decoder would skip a `0x`.
        let bytes = if text.bytes().all(|byte| byte.is_ascii_hexdigit()) { hex::decode(text).ok() } else { None };
        Self::parse(bytes.ok_or_else(|| malformed("a text that isn't in hex"))?)
    }
}

as_text!(PayoutAddress, RawTransaction);
