//! The network of a node: our own, or that of the prototype that first implemented the protocol.
//!
//! Invariant: a state belongs to one network from its beginning. Only differences between the two networks are in here.

use amiko_core::prelude::*;
use std::fmt;
use std::str::FromStr;

/// A network of payment nodes. Nodes of two networks can't talk to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub enum Network {
    /// Nodes with keys, on encrypted streams; a transaction is the SHA-256 of its token. Default.
    #[default]
    Amiko,
    /// Nodes of the third prototype, on plain TCP without authentication; a transaction is the RIPEMD-160 of the
    /// SHA-256 of its token.
    Prototype3,
}

impl Network {
    const ALL: [Self; 2] = [Self::Amiko, Self::Prototype3];

    const fn name(self) -> &'static str {
        match self {
            Self::Amiko => "amiko",
            Self::Prototype3 => "prototype3",
        }
    }

    /// Whether neighbours tell each other the outcome of a lock. A prototype tells only the neighbour towards the payer
    /// that it gives up what was locked for it, takes that as done, and doesn't answer when it is told so itself.
    pub(super) const fn tells_of_rollbacks(self) -> bool {
        matches!(self, Self::Amiko)
    }

    /// The dice of the next `ConnectLink` of a link that has shown `last`, where they must be larger than all before:
    /// between two connections of a link, a prototype keeps the one with the larger dice, also when that one is dead,
    /// until it next sends something there. Elsewhere any dice do.
    ///
    /// They begin at random in the lower half of `ff000000` to `ffffffff`, so that those of a prototype are seldom larger
    /// and two nodes of ours seldom have the same, and rise by one. At `ffffffff`, after eight million dials at least,
    /// they stay: then a prototype may refuse the link again, until it has noticed that the old connection is dead.
    pub(super) fn next_dice(self, last: u32, random: [u8; 4]) -> Option<u32> {
        let first = 0xff00_0000 | (u32::from_be_bytes(random) >> 9);
        matches!(self, Self::Prototype3).then(|| last.saturating_add(1).max(first))
    }

    /// Whether a payee sends the payer the token as soon as the amount is locked, rather than only when it has been paid.
    pub(super) const fn settles_with_the_payer_first(self) -> bool {
        matches!(self, Self::Prototype3)
    }

    /// Whether a neighbour takes the path of a URL for the name of the link as it stands, percent-encoded.
    pub(super) const fn leaves_urls_encoded(self) -> bool {
        matches!(self, Self::Prototype3)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that isn't the name of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkError {
    /// The text.
    pub found: String,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected \"amiko\" or \"prototype3\", found {:?}", self.found)
    }
}

impl std::error::Error for NetworkError {}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let named = Self::ALL.into_iter().find(|network| network.name() == text);
        named.ok_or_else(|| NetworkError { found: text.into() })
    }
}
