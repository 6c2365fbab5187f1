//! The peer at the other end of a connection, and its address.
//!
//! Invariant: names and texts only. The runtime's transport proves that a peer holds its key, and the application
//! decides what follows from it.

use crate::serializable::{
    Kept, Key, Patch, ReadError, Reader, Schema, Serializable, Summary, WriteError, Writer, exact,
};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

crate::serializable::of_serde!([] PublicKey);

/// Hex digits of a key.
const DIGITS: usize = 64;

/// The prefix of an address whose dialler stays anonymous.
const ANONYMOUS: &str = "anonymous:";

/// The proven identity of a peer: 32 public bytes. As text it is 64 hex digits.
///
/// ```
/// use amiko_core::PublicKey;
/// let key = PublicKey::new([7; 32]);
/// assert_eq!(key.to_string(), "07".repeat(32));
/// assert_eq!(key.to_string().parse(), Ok(key));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key of these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, PeerAddressError> {
        // A key has one text, so that equal keys have equal texts.
        let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bytes = if lower && text.len() == DIGITS { hex::decode_to_array(text).ok() } else { None };
        bytes.map(Self).ok_or(PeerAddressError::Key)
    }
}

impl Serializable for PublicKey {
    const EXACT: bool = true;

    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        self.0.write(out)
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        <[u8; 32]>::read(input).map(Self)
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        self.0.difference(&old.0, patch)
    }

    #[inline]
    fn weight(&self, _: Kept) -> usize {
        0
    }

    fn summarize(&self, out: &mut Summary) {
        self.0.summarize(out);
    }

    fn schema(schema: &mut Schema) -> String {
        <[u8; 32]>::schema(schema)
    }
}

/// The text is that of the value in JSON.
impl Key for PublicKey {
    const EXACT: bool = true;

    fn schema_name() -> String {
        "public key".into()
    }

    fn encode(&self) -> Cow<'_, str> {
        self.0.encode()
    }

    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        self.0.with_text(lend)
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        exact(Self(<[u8; 32]>::decode(text)?), text, "\"!x\" and 64 lower-case hex digits")
    }
}

/// Where to dial a peer, who is expected to answer there, and whether the dialler shows its own key: the argument of
/// [`Context::connect`](crate::Context::connect), as text.
///
/// ```
/// use amiko_core::{PeerAddress, PublicKey};
/// let (key, place) = (PublicKey::new([7; 32]), "example.org:4321".to_owned());
/// let neighbour = PeerAddress::Mutual { key, place };
/// assert_eq!(neighbour.to_string(), format!("{key}@example.org:4321"));
/// assert_eq!(neighbour.to_string().parse(), Ok(neighbour));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerAddress {
    /// `PLACE`: whoever answers there, without proof.
    Anybody {
        /// What the transport dials.
        place: String,
    },
    /// `KEY@PLACE`: the holder of this key; this node shows its own key.
    Mutual {
        /// Who is expected.
        key: PublicKey,
        /// What the transport dials.
        place: String,
    },
    /// `anonymous:KEY@PLACE`: the holder of this key; the dialler stays anonymous.
    Anonymous {
        /// Who is expected.
        key: PublicKey,
        /// What the transport dials.
        place: String,
    },
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody { place } => f.write_str(place),
            Self::Mutual { key, place } => write!(f, "{key}@{place}"),
            Self::Anonymous { key, place } => write!(f, "{ANONYMOUS}{key}@{place}"),
        }
    }
}

impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, PeerAddressError> {
        let (anonymous, rest) = text.strip_prefix(ANONYMOUS).map_or((false, text), |rest| (true, rest));
        match (anonymous, rest.split_once('@')) {
            (false, None) => Ok(Self::Anybody { place: rest.to_owned() }),
            (false, Some((key, place))) => Ok(Self::Mutual { key: key.parse()?, place: place.to_owned() }),
            (true, Some((key, place))) => Ok(Self::Anonymous { key: key.parse()?, place: place.to_owned() }),
            (true, None) => Err(PeerAddressError::NobodyExpected),
        }
    }
}

/// Why a text isn't a key, or isn't an address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerAddressError {
    /// The key is malformed.
    Key,
    /// An anonymous dialler names no expected key.
    NobodyExpected,
}

impl fmt::Display for PeerAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text found isn't shown: it may be part of a misplaced secret.
        f.write_str(match self {
            Self::Key => "expected a public key of 64 lower-case hex digits, found something else",
            Self::NobodyExpected => "expected anonymous:KEY@PLACE, found no key",
        })
    }
}

impl std::error::Error for PeerAddressError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_text() {
        let text = "ab".repeat(32);
        assert_eq!(text.parse(), Ok(PublicKey::new([0xab; 32])));
        for bad in ["", "ab", &text.to_uppercase(), &text[1..], &format!("{text}0"), &"zz".repeat(32), &"é".repeat(32)]
        {
            assert_eq!(bad.parse::<PublicKey>(), Err(PeerAddressError::Key), "{bad:?}");
        }
    }

    #[test]
    fn addresses_are_read_back() {
        let (key, place) = (PublicKey::new([1; 32]), "[::1]:4321".to_owned());
        for address in [
            PeerAddress::Anybody { place: place.clone() },
            PeerAddress::Mutual { key, place: place.clone() },
            PeerAddress::Anonymous { key, place },
        ] {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        assert_eq!("anonymous:host:1".parse::<PeerAddress>(), Err(PeerAddressError::NobodyExpected));
        assert_eq!("host@host:1".parse::<PeerAddress>(), Err(PeerAddressError::Key));
    }
}
