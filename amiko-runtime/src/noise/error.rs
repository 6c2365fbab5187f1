//! What can be wrong with an encrypted stream.
//!
//! Invariant: an error names the rule that was broken, and contains nothing that was sent.

use std::error::Error;
use std::fmt;
use std::io;

/// Why an encrypted stream ended. The peer isn't told: its socket is closed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoiseError {
    /// The address to dial doesn't say which key to expect.
    NobodyExpected,
    /// The dialler's first byte begins no handshake that this version knows.
    Pattern {
        /// The byte.
        found: u8,
    },
    /// A message of the handshake isn't one that a peer with the right keys would have sent.
    Handshake,
    /// The stream ended inside the handshake.
    HandshakeTruncated,
    /// A frame isn't the next one that the peer has encrypted: it was altered, replayed, reflected, or frames before it
    /// are missing.
    Frame,
    /// The stream ended inside a frame.
    FrameTruncated,
    /// A frame is empty, or longer than allowed.
    Length {
        /// Its announced length in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The operating system provides no random numbers, or the stream has used up its counters.
    Unencrypted,
}

impl fmt::Display for NoiseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyExpected => f.write_str(
                "expected an address with the public key of the peer, KEY@HOST:PORT, found one without: ask the peer for it",
            ),
            Self::Pattern { found } => write!(
                f,
                "expected an encrypted peer that begins with the byte 1 or 2, found {found}: it may speak plain text, or a \
                 newer version"
            ),
            Self::Handshake => f.write_str(
                "expected a handshake of a peer that has its key and knows ours, found another: compare the keys on both sides",
            ),
            Self::HandshakeTruncated => {
                f.write_str("expected a whole handshake, found the end of the stream: the peer may expect another key")
            }
            Self::Frame => f.write_str(
                "expected the next frame as the peer has encrypted it, found one that was altered, replayed or out of order",
            ),
            Self::FrameTruncated => f.write_str("expected a whole frame, found the end of the stream"),
            Self::Length { found, limit } => write!(f, "expected a frame of 1 to {limit} bytes, found {found}"),
            Self::Unencrypted => f.write_str("expected to encrypt, found no random numbers or no counters left"),
        }
    }
}

impl Error for NoiseError {}

impl From<NoiseError> for io::Error {
    fn from(error: NoiseError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
