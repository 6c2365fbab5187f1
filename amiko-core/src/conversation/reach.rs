//! Which node answers at an address.
//!
//! Invariant: no node answers in place of another, and none proves to be another.

use super::peer::{PeerAddress, PublicKey};

/// The address that is dialled, out of these, and the key that its node sees: the proven key of `dialler`.
///
/// It models an encrypting transport, for simulated networks.
pub fn reach<'a>(
    mut addresses: impl Iterator<Item = &'a str>,
    dialler: &str,
    address: &str,
) -> Option<(usize, Option<PublicKey>)> {
    let (expected, shows) = match address.parse() {
        Ok(PeerAddress::Anonymous { key, place }) => (PeerAddress::Mutual { key, place }.to_string(), false),
        Ok(PeerAddress::Mutual { .. }) => (address.to_owned(), true),
        _ => (address.to_owned(), false),
    };
    let peer = addresses.position(|address| address == expected)?;
    let shown = match dialler.parse() {
        Ok(PeerAddress::Mutual { key, .. }) if shows => Some(key),
        _ => None,
    };
    Some((peer, shown))
}
