//! What is under way between the nodes of a world.
//!
//! Invariant: what is said on one socket in one direction arrives in the order in which it was said.

use super::Random;
use crate::dispatcher::Connection;
use crate::id::Id;
use crate::machine::Node;
use crate::time::Time;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One line on the wire.
pub(super) enum Line<N: Node> {
    Message { index: u64, message: Arc<N::Network> },
    Received { index: u64 },
}

/// A line on its way to a node.
pub(super) struct Packet<N: Node> {
    pub(super) to: usize,
    pub(super) connection: Id<Connection<N>>,
    /// The socket that it was said on: a line of a socket that broke is lost.
    pub(super) socket: u64,
    pub(super) line: Line<N>,
}

/// One end of a socket.
#[derive(Clone)]
pub(super) struct Socket<N: Node> {
    pub(super) number: u64,
    pub(super) peer: usize,
    /// What the peer calls the connection.
    pub(super) theirs: Id<Connection<N>>,
    /// When the last line that was said on it arrives.
    pub(super) last: Time,
}

/// The lines under way, in the order of their arrival.
pub(super) struct Network<N: Node> {
    under_way: BTreeMap<(Time, u64), Packet<N>>,
    sent: u64,
    pub(super) latency: (Duration, Duration),
}

impl<N: Node> Network<N> {
    pub(super) fn new() -> Self {
        let latency = (Duration::from_millis(1), Duration::from_millis(20));
        Self { under_way: BTreeMap::new(), sent: 0, latency }
    }

    pub(super) fn say(&mut self, socket: &mut Socket<N>, line: Line<N>, now: Time, random: &mut Random) {
        let (least, most) = self.latency;
        let spread = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
        let arrival = (now + least + Duration::from_millis(random.below(spread.saturating_add(1)))).max(socket.last);
        socket.last = arrival;
        self.sent += 1;
        let packet = Packet { to: socket.peer, connection: socket.theirs.clone(), socket: socket.number, line };
        self.under_way.insert((arrival, self.sent), packet);
    }

    pub(super) fn next_arrival(&self) -> Option<Time> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn take_next(&mut self) -> Option<Packet<N>> {
        self.under_way.pop_first().map(|(_, packet)| packet)
    }
}
