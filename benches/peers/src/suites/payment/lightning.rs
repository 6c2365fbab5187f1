//! What others have published of Lightning nodes.
//!
//! Invariant: nothing of it was measured here, and each figure has its address.

use crate::report::Table;

/// What one has to know to make sense of these figures.
pub(super) const TEXT: &str = "\
Beside Lightning nodes: the last table has payments a second that others have published, on their machines. They say of which order \
Lightning nodes were, and not who is faster, since a payment there does more, and was measured in another way:

- An amount is in a commitment transaction, which both ends of a channel sign anew for each change, each amount in it by itself, \
  and the one before is revoked ([BOLT 2](https://github.com/lightning/bolts/blob/master/02-peer-protocol.md), \
  [BOLT 3](https://github.com/lightning/bolts/blob/master/03-transactions.md)). If a neighbour cheats, the chain decides \
  ([BOLT 5](https://github.com/lightning/bolts/blob/master/05-onchain.md)): a node watches it, and keeps what it needs for that. \
  Channels here are promises between neighbours who trust each other: nothing is signed, and nobody enforces anything.
- The path is in an onion, of which each node decrypts its part \
  ([BOLT 4](https://github.com/lightning/bolts/blob/master/04-onion-routing.md)), and the payer has found it in a graph of all \
  channels, which nodes tell each other ([BOLT 7](https://github.com/lightning/bolts/blob/master/07-routing-gossip.md)). Here, a \
  payment goes to a meeting point that both ends know how to reach, and there is no graph.
- They were two nodes with channels to each other, each with an invoice for each payment, or without one (keysend). Here, a payment \
  goes over six nodes, and twelve share two processors.
- Their versions are of 2021, and a sync of their disk took some 2.5 ms: about 400 of them went into a second on such a one, as \
  [lnd#5186](https://github.com/lightningnetwork/lnd/issues/5186) says, which suspects that they matter most. A sync of the disk here \
  is in the first table.";

/// Where the figures of Bottlepay are.
const BOTTLEPAY: &str = "[Bottlepay](https://github.com/bottlepay/lightning-benchmark) \
    ([text](https://bottlepay.com/blog/bitcoin-lightning-node-performance/)), 8 processors, 10,000 payments";
const ALBY: &str =
    "[Alby](https://github.com/getAlby/lightning-benchmark/tree/master/alby_loadtest), the same test, 2 processors";
const LDK: &str = "[rust-lightning#860](https://github.com/lightningdevkit/rust-lightning/pull/860): one after the other, of a bench \
    in one process, whose two payments, there and back, take 5 to 6 ms without a disk, and some 100 ms with a simple one";

/// What has published what: the node, payments a second, how long one took, and where that stands.
const PUBLISHED: [[&str; 4]; 8] = [
    ["Eclair 0.6.1, SQLite", "89", "1.1", BOTTLEPAY],
    ["Eclair 0.6.1, PostgreSQL", "46", "2.1", BOTTLEPAY],
    ["c-lightning 0.9.3, SQLite, one channel", "61", "1.6", BOTTLEPAY],
    ["lnd 0.12.1, bbolt", "33", "3.0", BOTTLEPAY],
    ["lnd 0.12.1, bbolt, keysend", "35", "2.8", BOTTLEPAY],
    ["lnd 0.12.1, etcd", "4", "29.2", BOTTLEPAY],
    ["lnd, bbolt, keysend", "22", "5", ALBY],
    ["LDK, in 2021", "none told", "0.003, or 0.05", LDK],
];

/// The figures.
pub(super) fn table() -> Table {
    let heads = ["100 payments at a time, between two nodes", "payments/s", "one takes, s", "published by"];
    Table {
        name: "Lightning nodes, as others have published".into(),
        heads: heads.map(Into::into).into(),
        rows: PUBLISHED.map(|row| row.map(Into::into).into()).into(),
    }
}
