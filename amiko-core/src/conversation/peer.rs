//! Who is at the other end of a connection, and where it is dialled.
//!
//! Invariant: names and texts only. Whether somebody has the key that they say is proven by the runtime's transport, and
//! what follows from it is decided by the application.

use crate::serializable::{
    Kept, Key, Patch, ReadError, Reader, Schema, Serializable, Summary, WriteError, Writer, exact,
};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

crate::serializable::of_serde!([] PublicKey);

/// Hex digits of a key.
const DIGITS: usize = 64;

/// What an address begins with whose dialler doesn't say who it is.
const ANONYMOUS: &str = "anonymous:";

/// Whom a peer has proven to be: 32 bytes that anybody may know. As text it is 64 hex digits.
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
        // A key has one text, so that equal texts are equal keys.
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

/// Where a peer is dialled, who is expected to answer there, and who is to be seen dialling: what an application gives to
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
    /// `PLACE`: whoever answers there, and nobody proves anything.
    Anybody {
        /// What the transport dials.
        place: String,
    },
    /// `KEY@PLACE`: whoever has this key; it is shown this node's own.
    Mutual {
        /// Who is expected.
        key: PublicKey,
        /// What the transport dials.
        place: String,
    },
    /// `anonymous:KEY@PLACE`: whoever has this key; it isn't shown who dials.
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

/// Why a text is no key, or no address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerAddressError {
    /// What stands for a key isn't one.
    Key,
    /// Nobody is named whom an anonymous dialler expects.
    NobodyExpected,
}

impl fmt::Display for PeerAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What was found isn't shown: it may be half of something secret that was put in the wrong place.
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
