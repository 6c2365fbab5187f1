//! One state of the whole world, and the actions that may follow.
//!
//! Invariant: messages are only in the outboxes of the nodes: the unconfirmed ones are under way.

use crate::NodeIndex;
use crate::node::{Broken, NodeState};
use amiko_core::Node;
use amiko_core::Time;
use amiko_core::dispatcher::{Connection, Pending, Timer};
use amiko_core::tree::{Id, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A connection as one of its nodes knows it.
pub(crate) type End<N> = (NodeIndex, Id<Connection<N>>);

/// One state of a world: the disk of each node, the open sockets, the time, and the number of faults so far.
#[derive(Clone)]
pub struct WorldState<N: Node> {
    pub(crate) nodes: Vec<Arc<NodeState<N>>>,
    pub(crate) down: BTreeSet<NodeIndex>,
    /// Sockets, from both ends.
    pub(crate) sockets: Arc<BTreeMap<End<N>, End<N>>>,
    pub(crate) now: Time,
    /// The choices made so far.
    pub(crate) made: BTreeSet<usize>,
    pub(crate) crashes: u32,
    pub(crate) losses: u32,
    pub(crate) broken: Option<Broken>,
}

impl<N: Node> WorldState<N> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            down: BTreeSet::new(),
            sockets: Arc::default(),
            now: Time::from_secs(1_800_000_000),
            made: BTreeSet::new(),
            crashes: 0,
            losses: 0,
            broken: None,
        }
    }

    /// The state on each node's disk, in the order in which the nodes were added.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &N> {
        self.nodes.iter().map(|node| &node.document.state)
    }

    /// The timers of a node; `None` if there is no such node.
    pub fn timers(&self, node: NodeIndex) -> Option<&Table<Timer<N>>> {
        self.nodes.get(node).map(|node| &node.document.beside.timers)
    }

    /// The effects of a node that aren't over; `None` if there is no such node.
    pub fn effects(&self, node: NodeIndex) -> Option<&Table<Pending<N>>> {
        self.nodes.get(node).map(|node| &node.document.beside.effects)
    }

    /// The connections of a node; `None` if there is no such node.
    pub fn connections(&self, node: NodeIndex) -> Option<&Table<Connection<N>>> {
        self.nodes.get(node).map(|node| &node.document.beside.connections)
    }

    /// Whether a node is down.
    pub fn is_down(&self, node: NodeIndex) -> bool {
        self.down.contains(&node)
    }

    /// The time of the world.
    pub fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn is_up(&self, node: NodeIndex) -> bool {
        node < self.nodes.len() && !self.is_down(node)
    }

    pub(crate) fn disconnect(&mut self, gone: impl Fn(&End<N>) -> bool) {
        if self.sockets.keys().any(&gone) {
            Arc::make_mut(&mut self.sockets).retain(|one, other| !gone(one) && !gone(other));
        }
    }

    pub(crate) fn connect(&mut self, one: End<N>, other: End<N>) {
        self.disconnect(|end| *end == one || *end == other);
        Arc::make_mut(&mut self.sockets).extend([(one.clone(), other.clone()), (other, one)]);
    }
}

impl<N: Node> PartialEq for WorldState<N> {
    fn eq(&self, other: &Self) -> bool {
        (self.now, self.crashes, self.losses) == (other.now, other.crashes, other.losses)
            && self.nodes == other.nodes
            && self.down == other.down
            && self.sockets == other.sockets
            && self.made == other.made
            && self.broken == other.broken
    }
}

impl<N: Node> Hash for WorldState<N> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.nodes.iter().for_each(|node| node.fingerprint.hash(hasher));
        (&self.down, &self.sockets, self.now, &self.made, self.crashes, self.losses, &self.broken).hash(hasher);
    }
}

impl<N: Node> fmt::Debug for WorldState<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorldState")
            .field("nodes", &self.nodes.iter().map(|node| &node.text).collect::<Vec<_>>())
            .field("down", &self.down)
            .field("sockets", &self.sockets)
            .field("now", &self.now)
            .field("made", &self.made)
            .field("crashes", &self.crashes)
            .field("losses", &self.losses)
            .field("broken", &self.broken)
            .finish()
    }
}

/// An action that can happen next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// A user makes one of the choices that [`WorldModel::choice`](crate::WorldModel::choice) has added.
    Choose {
        /// Which one, in the order in which they were added.
        choice: usize,
    },
    /// A node's timers that are due fire.
    Tick {
        /// Whose timers.
        node: NodeIndex,
    },
    /// An effect happens, or an attempt to perform it fails, and its owner hears of it.
    Answer {
        /// Whose effect.
        node: NodeIndex,
        /// The text of its ID.
        effect: String,
        /// Which of the outcomes that [`WorldModel::performer`](crate::WorldModel::performer) has named.
        outcome: usize,
    },
    /// A node dials, and both ends exchange their resume points.
    Dial {
        /// Who dials.
        node: NodeIndex,
        /// What the dialler calls the connection.
        connection: String,
    },
    /// The first message that the other side hasn't confirmed arrives there, and is synced.
    Deliver {
        /// Who has sent it.
        node: NodeIndex,
        /// What the sender calls the connection.
        connection: String,
        /// The socket breaks before the confirmation is back.
        lost: bool,
    },
    /// A node stops at once, and its sockets break.
    Crash {
        /// Which one.
        node: NodeIndex,
    },
    /// A node starts again.
    Restart {
        /// Which one.
        node: NodeIndex,
    },
    /// Time passes until the next timer is due, on any node.
    Wait,
}
