//! Who answers at an address.
//!
//! Invariant: nobody answers in the place of another, and nobody proves to be another.

use super::peer::{PeerAddress, PublicKey};

/// The one of these addresses that is dialled, and whom its node sees dialling: who `dialler` proves to be.
///
/// It is what a transport that encrypts leads to, for networks that are simulated.
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
