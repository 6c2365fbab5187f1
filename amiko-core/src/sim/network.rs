//! Sockets between nodes, and what is under way on them.
//!
//! Invariant: on a socket without faults, everything sent in one direction arrives once and in order; data sent to a
//! closed end is lost.

use super::{NodeIndex, Random};
use crate::conversation::SocketId;
use crate::time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// What goes over a socket at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line, with its end.
    Line(Vec<u8>),
    /// The end of the stream.
    Closed,
}

/// An end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Dialler,
    Answerer,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Dialler, Self::Answerer];

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Answerer,
            Self::Answerer => Self::Dialler,
        }
    }
}

pub(super) type SocketNumber = u64;

pub(super) struct End {
    pub(super) node: NodeIndex,
    /// What the node's conversations call it; none if a puppet has it.
    pub(super) id: Option<SocketId>,
    pub(super) open: bool,
    /// When the last line that was said to it arrives.
    last: Time,
}

pub(super) struct Socket {
    ends: [End; 2],
}

impl Socket {
    pub(super) fn end(&self, side: Side) -> &End {
        match side {
            Side::Dialler => &self.ends[0],
            Side::Answerer => &self.ends[1],
        }
    }

    pub(super) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Dialler => &mut self.ends[0],
            Side::Answerer => &mut self.ends[1],
        }
    }
}

/// A line on its way to an end of a socket.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) socket: SocketNumber,
    pub(super) to: Side,
    pub(super) piece: Piece,
}

/// The fault on the path from one node to another.
pub(super) enum Way {
    /// Nothing comes through, nobody is told, and nobody can be dialled.
    Swallows,
    /// Lines wait.
    Clogged(Vec<Packet>),
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Passes,
    Lost,
    Twice,
    OutOfOrder,
    Waits,
}

/// Chances, in ten thousandths, of what may happen to one line.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Chances {
    pub(super) loss: u64,
    pub(super) duplication: u64,
    pub(super) reordering: u64,
}

pub(super) struct Network {
    sockets: BTreeMap<SocketNumber, Socket>,
    opened: SocketNumber,
    /// In the order of their arrival.
    under_way: BTreeMap<(Time, u64), Packet>,
    sent: u64,
    pub(super) ways: BTreeMap<(NodeIndex, NodeIndex), Way>,
    pub(super) latency: (Duration, Duration),
    pub(super) chances: Chances,
}

impl Network {
    pub(super) fn new() -> Self {
        Self {
            sockets: BTreeMap::new(),
            opened: 0,
            under_way: BTreeMap::new(),
            sent: 0,
            ways: BTreeMap::new(),
            latency: (Duration::from_millis(1), Duration::from_millis(20)),
            chances: Chances::default(),
        }
    }

    pub(super) fn open(
        &mut self,
        dialler: (NodeIndex, Option<SocketId>),
        answerer: (NodeIndex, Option<SocketId>),
        now: Time,
    ) -> SocketNumber {
        self.opened += 1;
        let end = |(node, id)| End { node, id, open: true, last: now };
        self.sockets.insert(self.opened, Socket { ends: [end(dialler), end(answerer)] });
        self.opened
    }

    pub(super) fn socket(&self, number: SocketNumber) -> Option<&Socket> {
        self.sockets.get(&number)
    }

    /// The sockets with an open end at a node, and which end that is.
    pub(super) fn sockets_of(&self, node: NodeIndex) -> Vec<(SocketNumber, Side)> {
        let ends = |(number, socket): (&SocketNumber, &Socket)| {
            let (number, open) =
                (*number, Side::BOTH.map(|side| socket.end(side)).map(|end| end.open && end.node == node));
            Side::BOTH
                .into_iter()
                .zip(open)
                .filter(|(_, open)| *open)
                .map(|(side, _)| (number, side))
                .collect::<Vec<_>>()
        };
        self.sockets.iter().flat_map(ends).collect()
    }

    /// The sockets between two nodes.
    pub(super) fn sockets_between(&self, one: NodeIndex, other: NodeIndex) -> Vec<SocketNumber> {
        let between = |socket: &Socket| {
            let nodes = Side::BOTH.map(|side| socket.end(side).node);
            nodes == [one, other] || nodes == [other, one]
        };
        self.sockets.iter().filter(|(_, socket)| between(socket)).map(|(number, _)| *number).collect()
    }

    /// Closes one end. A socket of which both ends are closed is forgotten.
    pub(super) fn close(&mut self, number: SocketNumber, side: Side) {
        let Some(socket) = self.sockets.get_mut(&number) else { return };
        socket.end_mut(side).open = false;
        if Side::BOTH.iter().all(|side| !socket.end(*side).open) {
            self.sockets.remove(&number);
        }
    }

    /// Whether a node can dial another.
    pub(super) fn is_open(&self, from: NodeIndex, to: NodeIndex) -> bool {
        !self.ways.contains_key(&(from, to)) && !self.ways.contains_key(&(to, from))
    }

    /// Sends a line to an end of a socket, subject to the chances of a line. `faults` says whether they apply.
    pub(super) fn say(
        &mut self,
        number: SocketNumber,
        to: Side,
        piece: Piece,
        (now, faults): (Time, bool),
        random: &mut Random,
    ) -> Sent {
        let Some(socket) = self.sockets.get_mut(&number) else { return Sent::Passes };
        let path = (socket.end(to.other()).node, socket.end(to).node);
        match self.ways.get_mut(&path) {
            Some(Way::Swallows) => return Sent::Lost,
            Some(Way::Clogged(waiting)) => {
                waiting.push(Packet { socket: number, to, piece });
                return Sent::Waits;
            }
            None => {}
        }
        let mut happens = |chance: u64| faults && chance > 0 && random.below(10_000) < chance;
        let Chances { loss, duplication, reordering } = self.chances;
        let (lost, twice, early) = (happens(loss), happens(duplication), happens(reordering));
        if lost {
            return Sent::Lost;
        }
        let end = socket.end_mut(to);
        let drawn = now + draw(self.latency, random);
        let in_order = drawn.max(end.last);
        let overtakes = early && drawn < in_order;
        let arrival = if overtakes { drawn } else { in_order };
        end.last = in_order;
        if twice {
            let later = arrival + draw(self.latency, random);
            self.put(later, Packet { socket: number, to, piece: piece.clone() });
        }
        self.put(arrival, Packet { socket: number, to, piece });
        match (twice, overtakes) {
            (true, _) => Sent::Twice,
            (false, true) => Sent::OutOfOrder,
            (false, false) => Sent::Passes,
        }
    }

    fn put(&mut self, arrival: Time, packet: Packet) {
        self.sent += 1;
        self.under_way.insert((arrival, self.sent), packet);
    }

    /// Lets through again what goes from one node to another; what waited arrives now.
    pub(super) fn unclog(&mut self, from: NodeIndex, to: NodeIndex, now: Time) {
        if let Some(Way::Clogged(waiting)) = self.ways.remove(&(from, to)) {
            for packet in waiting {
                self.put(now, packet);
            }
        }
    }

    pub(super) fn next_arrival(&self) -> Option<Time> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    pub(super) fn take_next(&mut self) -> Option<Packet> {
        self.under_way.pop_first().map(|(_, packet)| packet)
    }
}

/// A duration between two.
fn draw((least, most): (Duration, Duration), random: &mut Random) -> Duration {
    let spread = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
    least + Duration::from_millis(random.below(spread.saturating_add(1)))
}
