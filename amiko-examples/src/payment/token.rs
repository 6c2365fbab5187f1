//! The token that commits a payment, and the names derived from it.

use super::Network;
use amiko_core::serializable::{Patch, ReadError, Reader, Schema, WriteError, Writer};
use amiko_core::{Key, Rejection, Secret, Serializable};
use ripemd::Ripemd160;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;

/// 32 random bytes made by the payee. A node that has them has been paid, or has paid.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
#[amiko(transparent)]
pub struct Token(Secret<[u8; 32]>);

impl Token {
    /// The token with these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The transaction that this token commits: its SHA-256; a prototype takes the RIPEMD-160 of that.
    pub fn transaction(&self, network: Network) -> TransactionId {
        let digest = Sha256::digest(self.0.expose());
        TransactionId(match network {
            Network::Amiko => Hash::Sha256(digest.into()),
            Network::Prototype3 => Hash::Ripemd160(Ripemd160::digest(digest).into()),
        })
    }
}

/// The hash of a token, which names a transaction on all nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(Hash);

/// Its length shows which hash it is, and so which network it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Hash {
    Sha256([u8; 32]),
    Ripemd160([u8; 20]),
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl TransactionId {
    fn new(bytes: &[u8]) -> Option<Self> {
        let sha256 = bytes.try_into().map(Hash::Sha256);
        sha256.or_else(|_| bytes.try_into().map(Hash::Ripemd160)).ok().map(Self)
    }

    fn bytes(&self) -> &[u8] {
        match &self.0 {
            Hash::Sha256(bytes) => bytes,
            Hash::Ripemd160(bytes) => bytes,
        }
    }

    fn hex(&self) -> String {
        hex::encode(self.bytes())
    }

    /// Refuses the hash of another network: no token has it here. Call it wherever a peer brings a new transaction.
    pub(super) fn expect_on(&self, network: Network) -> Result<(), Rejection> {
        match (&self.0, network) {
            (Hash::Sha256(_), Network::Amiko) | (Hash::Ripemd160(_), Network::Prototype3) => Ok(()),
            _ => Err(Rejection::new(format!(
                "expected a transaction of the network {network}, found one whose hash has {} bytes",
                self.bytes().len()
            ))),
        }
    }
}

impl Serializable for TransactionId {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        out.bytes(self.bytes());
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let before = input.clone();
        let bytes = input.bytes()?;
        Self::new(&bytes)
            .ok_or_else(|| before.invalid(format!("expected a hash of 32 or 20 bytes, found {}", bytes.len())))
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if self == old { Ok(()) } else { patch.replace(self) }
    }

    // It contains no reference to an object.
    fn schema(_: &mut Schema) -> String {
        "custom".into()
    }
}

/// The name of one half of a route on a channel: `1` and the transaction on the payer's side, `0` and the transaction
/// on the payee's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId {
    /// The half between the payer and the meeting point.
    pub payer_side: bool,
    /// The transaction.
    pub transaction: TransactionId,
}

impl fmt::Debug for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

impl Key for RouteId {
    fn encode(&self) -> Cow<'_, str> {
        Cow::Owned(self.with_text(str::to_owned))
    }

    fn with_text<R>(&self, lend: impl FnOnce(&str) -> R) -> R {
        amiko_core::serializable::with_hex(if self.payer_side { "1" } else { "0" }, self.transaction.bytes(), lend)
    }

    fn decode(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "0 or 1 and the 64 or 40 hex digits of a transaction";
        let (side, digits) = text.split_at_checked(1).ok_or(EXPECTED)?;
        let payer_side = match side {
            "0" => false,
            "1" => true,
            _ => return Err(EXPECTED),
        };
        let lower = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bytes = if lower { hex::decode(digits).ok() } else { None };
        Ok(Self { payer_side, transaction: bytes.and_then(|bytes| TransactionId::new(&bytes)).ok_or(EXPECTED)? })
    }
}

impl Serializable for RouteId {
    fn write(&self, out: &mut Writer) -> Result<(), WriteError> {
        self.with_text(|text| out.string(text));
        Ok(())
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ReadError> {
        let before = input.clone();
        Self::decode(&input.string()?).map_err(|expected| before.expected(expected))
    }

    fn difference(&self, old: &Self, patch: &mut Patch) -> Result<(), WriteError> {
        if self == old { Ok(()) } else { patch.replace(self) }
    }

    // It contains no reference to an object.
    fn schema(_: &mut Schema) -> String {
        "custom".into()
    }
}
