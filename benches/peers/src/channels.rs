//! The data and the work, as the peers see them.
//!
//! Invariant: the same numbers in each run and for each contender; [`pay`] and the handlers of [`Channel`] do the same.

pub use amiko_benches::channels::{Channel, ChannelMessage, Channels, MOST_RECEIVED, Payment, payment, send};

use amiko_benches::channels::{HOLDS, channel};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The same object as its peers see it: `tag` makes them write the same text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Channel", tag = "_class")]
#[allow(missing_docs)]
pub struct Peer {
    pub id: u64,
    pub owner: String,
    pub peer: String,
    pub note: String,
    pub capacity: u64,
    pub balance: i64,
    pub fee: u32,
    pub open: bool,
    pub updated: u64,
    pub holds: BTreeMap<String, u64>,
}

/// The object of this number, with so many entries in its map.
pub fn object(seed: u64, holds: u64) -> Peer {
    let Channel { id, owner, peer, note, capacity, balance, fee, open, updated, holds } = channel(seed, holds);
    let holds = holds.iter().map(|(key, value)| (key.clone(), *value)).collect();
    Peer { id, owner, peer, note, capacity, balance, fee, open, updated, holds }
}

/// All objects of a state, in the order of their keys.
pub fn objects(count: u64) -> impl Iterator<Item = Peer> {
    (0..count).map(|seed| object(seed, HOLDS))
}

/// A peer's object as one of ours.
pub fn ours(peer: &Peer) -> Channel {
    let Peer { id, owner, peer, note, capacity, balance, fee, open, updated, holds } = peer.clone();
    Channel { id, owner, peer, note, capacity, balance, fee, open, updated, holds: holds.into_iter().collect() }
}

/// The same payment among the objects of a peer.
pub fn pay(payment: &Payment, from: &mut Peer, through: &Peer, to: &mut Peer) {
    from.balance -= payment.amount + i64::from(through.fee);
    to.balance += payment.amount;
}
