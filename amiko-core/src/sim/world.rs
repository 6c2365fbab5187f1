//! The world: nodes, their clocks, and what stands between them.
//!
//! Invariant: a node sees of the world only what a real one sees: lines, in order, until the socket breaks.

use super::Random;
use super::network::{Line, Network, Packet, Socket};
use crate::dispatcher::Connection;
use crate::engine::{Engine, EngineOpenError, Entropy, EventError, Output, Request, Settings};
use crate::id::Id;
use crate::machine::Node;
use crate::peer::{PeerAddress, PublicKey};
use crate::protocol::Protocol;
use crate::store::Memory;
use crate::time::Time;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A node of a world, in the order in which they were added.
pub type NodeIndex = usize;

/// A connection as one node knows it.
type End<N> = (NodeIndex, Id<Connection<N>>);

/// How long after a failed dial the next one comes, at first; twice as long after each, up to the limit.
const REDIAL: Duration = Duration::from_millis(250);
const REDIAL_LIMIT: Duration = Duration::from_secs(30);

struct Host<N: Node> {
    address: String,
    /// None while the node is down.
    engine: Option<Engine<N, Memory>>,
    /// What is on the disk of a node that is down.
    disk: Option<Memory>,
    sockets: BTreeMap<Id<Connection<N>>, Socket<N>>,
    /// It is up and connected, but says and hears nothing: its lines wait.
    silent: bool,
    waiting: Vec<Packet<N>>,
    replies: Vec<N::Reply>,
    notices: Vec<N::Notice>,
}

/// Any number of nodes of one kind, in one process, under one clock.
pub struct World<P: Protocol> {
    protocol: P,
    hosts: Vec<Host<P::Node>>,
    network: Network<P::Node>,
    now: Time,
    random: Random,
    sockets: u64,
    cut: BTreeSet<(NodeIndex, NodeIndex)>,
    redial: BTreeMap<End<P::Node>, Time>,
    /// How long the last wait for a dial was.
    patience: BTreeMap<End<P::Node>, Duration>,
}

impl<P: Protocol> World<P> {
    /// An empty world, in which everything that is left to chance follows from `seed`.
    pub fn new(protocol: P, seed: u64) -> Self {
        Self {
            protocol,
            hosts: Vec::new(),
            network: Network::new(),
            now: Time::from_secs(1_800_000_000),
            random: Random::new(seed),
            sockets: 0,
            cut: BTreeSet::new(),
            redial: BTreeMap::new(),
            patience: BTreeMap::new(),
        }
    }

    /// Adds a node that others dial at `address`: `KEY@PLACE` if it has a key, which those whom it dials at such an address
    /// see then; or any text, if nobody is to prove anything.
    ///
    /// # Errors
    /// Its first snapshot can't be written.
    pub fn add(&mut self, address: &str, node: P::Node) -> Result<NodeIndex, EngineOpenError> {
        let engine = Engine::open_with(Memory::new(), self.settings(), || node)?;
        self.hosts.push(Host {
            address: address.to_owned(),
            engine: Some(engine),
            disk: None,
            sockets: BTreeMap::new(),
            silent: false,
            waiting: Vec::new(),
            replies: Vec::new(),
            notices: Vec::new(),
        });
        let index = self.hosts.len() - 1;
        self.dial_all(index);
        Ok(index)
    }

    fn settings(&mut self) -> Settings {
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.random.next().to_le_bytes());
        }
        Settings { entropy: Entropy::Seed(seed), ..Settings::default() }
    }

    /// The time of the world.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The engine of a node; none while it is down.
    pub fn engine(&self, node: NodeIndex) -> Option<&Engine<P::Node, Memory>> {
        self.hosts.get(node)?.engine.as_ref()
    }

    /// What the commands of a node were answered with, since this was asked last.
    pub fn take_replies(&mut self, node: NodeIndex) -> Vec<<P::Node as Node>::Reply> {
        self.hosts.get_mut(node).map(|host| std::mem::take(&mut host.replies)).unwrap_or_default()
    }

    /// What the watchers of a node were told, since this was asked last.
    pub fn take_notices(&mut self, node: NodeIndex) -> Vec<<P::Node as Node>::Notice> {
        self.hosts.get_mut(node).map(|host| std::mem::take(&mut host.notices)).unwrap_or_default()
    }

    /// Lets a node handle a command.
    ///
    /// # Errors
    /// The node rejects it. A node that is down has no connection to anybody.
    pub fn command(&mut self, node: NodeIndex, envelope: <P::Node as Node>::Envelope) -> Result<(), EventError> {
        let now = self.now;
        let none = || EventError::NoConnection { connection: format!("node {node}") };
        let engine = self.hosts.get_mut(node).and_then(|host| host.engine.as_mut()).ok_or_else(none)?;
        let outcome = engine.command(envelope, Some(Request(0)), now).map(drop);
        self.release(node);
        outcome
    }

    /// Stops a node at once: what it hasn't synced is lost, and its sockets break.
    pub fn crash(&mut self, node: NodeIndex) {
        if let Some(engine) = self.hosts.get_mut(node).and_then(|host| host.engine.take()) {
            self.hosts[node].disk = Some(engine.into_store().crash());
            self.hosts[node].waiting.clear();
            self.break_sockets(|end, peer| end == node || peer == node);
        }
    }

    /// Starts a node that was stopped.
    ///
    /// # Errors
    /// Its disk can't be read back.
    pub fn restart(&mut self, node: NodeIndex) -> Result<(), EngineOpenError> {
        let settings = self.settings();
        if let Some(disk) = self.hosts.get_mut(node).and_then(|host| host.disk.take()) {
            self.hosts[node].engine = Some(Engine::open(disk, settings)?);
            self.dial_all(node);
        }
        Ok(())
    }

    /// A copy of the disk of a node that was stopped, as a backup of it would be.
    pub fn backup(&self, node: NodeIndex) -> Option<Memory> {
        self.hosts.get(node)?.disk.as_ref().map(Memory::crash)
    }

    /// Puts another disk into a node that was stopped.
    pub fn replace_disk(&mut self, node: NodeIndex, disk: Memory) {
        if let Some(host) = self.hosts.get_mut(node).filter(|host| host.engine.is_none()) {
            host.disk = Some(disk);
        }
    }

    /// Makes a node say and hear nothing, though its sockets stay; or lets it go on with what has arrived meanwhile.
    pub fn silence(&mut self, node: NodeIndex, silent: bool) {
        let Some(host) = self.hosts.get_mut(node) else { return };
        host.silent = silent;
        if !silent {
            for packet in std::mem::take(&mut host.waiting) {
                self.deliver(packet);
            }
            self.release(node);
        }
    }

    /// Cuts two nodes off from each other: their sockets break, and no new ones come about.
    pub fn cut(&mut self, one: NodeIndex, other: NodeIndex) {
        self.cut.extend([(one, other), (other, one)]);
        self.break_sockets(|end, peer| (end, peer) == (one, other) || (end, peer) == (other, one));
    }

    /// Lets two nodes reach each other again; whoever waits for a dial tries soon.
    pub fn heal(&mut self, one: NodeIndex, other: NodeIndex) {
        self.cut.remove(&(one, other));
        self.cut.remove(&(other, one));
        self.patience.clear();
        let soon = self.now + REDIAL;
        self.redial.values_mut().for_each(|at| *at = soon.min(*at));
    }

    /// Lets time pass until `done`, or for as long as `patience`. Gives back whether `done`.
    pub fn run_until(&mut self, patience: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + patience;
        while !done(self) {
            match self.next_moment().filter(|at| *at <= end) {
                Some(at) => self.step(at),
                None => {
                    self.now = end;
                    return done(self);
                }
            }
        }
        true
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    fn next_moment(&self) -> Option<Time> {
        let hosts = self.hosts.iter().filter(|host| !host.silent);
        let timers = hosts.filter_map(|host| host.engine.as_ref()?.next_due());
        timers.chain(self.network.next_arrival()).chain(self.redial.values().copied()).min()
    }

    fn step(&mut self, at: Time) {
        self.now = self.now.max(at);
        let now = self.now;
        // Due timers go before what comes from the network.
        for index in 0..self.hosts.len() {
            let host = &mut self.hosts[index];
            if let Some(engine) = host.engine.as_mut().filter(|_| !host.silent)
                && engine.next_due().is_some_and(|due| due <= now)
            {
                // A store in memory doesn't fail, and rejections are noted by the engine.
                drop(engine.tick(now));
                self.release(index);
            }
        }
        let due: Vec<_> = self.redial.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for (index, connection) in due {
            self.redial.remove(&(index, connection.clone()));
            self.dial(index, &connection);
        }
        while self.network.next_arrival().is_some_and(|arrival| arrival <= now) {
            let Some(packet) = self.network.take_next() else { break };
            let to = packet.to;
            self.deliver(packet);
            self.release(to);
        }
    }

    fn deliver(&mut self, packet: Packet<P::Node>) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(packet.to) else { return };
        let same = host.sockets.get(&packet.connection).is_some_and(|socket| socket.number == packet.socket);
        let Some(engine) = host.engine.as_mut().filter(|_| same) else { return };
        if host.silent {
            return host.waiting.push(packet);
        }
        // What is rejected is noted by the engine, as in a real node.
        match packet.line {
            Line::Received { index } => drop(engine.confirm(&packet.connection, index, now)),
            Line::Message { index, message } => {
                let message = (*message).clone();
                let envelope = self.protocol.envelope(engine.node(), &packet.connection, message);
                drop(engine.receive(&packet.connection, index, envelope, now));
            }
        }
    }

    /// Syncs a node, and does what its outputs say.
    fn release(&mut self, index: NodeIndex) {
        let Some(engine) = self.hosts.get_mut(index).and_then(|host| host.engine.as_mut()) else { return };
        let Ok(outputs) = engine.sync() else { return };
        for output in outputs {
            match output {
                Output::Transmit { connection, index: number, message } => {
                    self.say(index, &connection, Line::Message { index: number, message });
                }
                Output::Confirm { connection, index: number } => {
                    self.say(index, &connection, Line::Received { index: number });
                }
                Output::Opened { connection } => self.dial(index, &connection),
                Output::Closed { connection } => {
                    self.redial.remove(&(index, connection.clone()));
                    self.hosts[index].sockets.remove(&connection);
                }
                Output::Reply { reply, .. } => self.hosts[index].replies.push(reply),
                Output::Notice(notice) => self.hosts[index].notices.push(notice),
            }
        }
    }

    fn say(&mut self, index: NodeIndex, connection: &Id<Connection<P::Node>>, line: Line<P::Node>) {
        if let Some(socket) = self.hosts[index].sockets.get_mut(connection) {
            self.network.say(socket, line, self.now, &mut self.random);
        }
    }

    fn dial_all(&mut self, index: NodeIndex) {
        let connections: Vec<_> =
            self.engine(index).map(|engine| engine.connections().map(|(id, _)| id).collect()).unwrap_or_default();
        for connection in connections {
            self.dial(index, &connection);
        }
    }

    /// Dials, says hello, and is welcomed, all at once; or tries again later.
    fn dial(&mut self, index: NodeIndex, connection: &Id<Connection<P::Node>>) {
        let host = &self.hosts[index];
        let Some(engine) = &host.engine else { return };
        let Some(address) = engine.connection(connection).and_then(Connection::address).map(str::to_owned) else {
            return;
        };
        if host.sockets.contains_key(connection) {
            return;
        }
        let end = (index, connection.clone());
        if self.connect(index, connection, &address) {
            self.patience.remove(&end);
        } else {
            let wait = self.patience.get(&end).map_or(REDIAL, |wait| (*wait * 2).min(REDIAL_LIMIT));
            self.redial.insert(end.clone(), self.now + wait);
            self.patience.insert(end, wait);
        }
    }

    /// Who answers at an address, and whom it sees dialling. Nobody answers in the place of another.
    fn reach(&self, dialler: NodeIndex, address: &str) -> Option<(NodeIndex, Option<PublicKey>)> {
        let (expected, shows) = match address.parse() {
            Ok(PeerAddress::Anonymous { key, place }) => (PeerAddress::Mutual { key, place }.to_string(), false),
            Ok(PeerAddress::Mutual { .. }) => (address.to_owned(), true),
            _ => (address.to_owned(), false),
        };
        let peer = self.hosts.iter().position(|host| host.address == expected)?;
        let shown = match self.hosts.get(dialler)?.address.parse() {
            Ok(PeerAddress::Mutual { key, .. }) if shows => Some(key),
            _ => None,
        };
        Some((peer, shown))
    }

    fn connect(&mut self, index: NodeIndex, ours: &Id<Connection<P::Node>>, address: &str) -> bool {
        let Some((peer, proven)) = self.reach(index, address) else { return false };
        if self.cut.contains(&(index, peer)) || self.hosts[peer].silent {
            return false;
        }
        let dice = self.random.next().to_le_bytes();
        let (Some(dialler), Some(answerer)) = (&self.hosts[index].engine, &self.hosts[peer].engine) else {
            return false;
        };
        let dice = [dice[0], dice[1], dice[2], dice[3]];
        let Ok(hello) = self.protocol.hello(dialler.node(), ours, dice) else { return false };
        let Ok(welcome) = self.protocol.welcome(answerer.node(), proven, hello) else { return false };
        let theirs = welcome.connection;
        if answerer.connection(&theirs).is_some_and(|connection| connection.conflict.is_some()) {
            return false;
        }
        if let Some(event) = welcome.event
            && self.command(peer, event).is_err()
        {
            return false;
        }
        if !self.resume(index, ours, peer, &theirs) {
            return false;
        }
        self.sockets += 1;
        let (number, last) = (self.sockets, self.now);
        self.hosts[index].sockets.insert(ours.clone(), Socket { number, peer, theirs: theirs.clone(), last });
        self.hosts[peer].sockets.insert(theirs.clone(), Socket { number, peer: index, theirs: ours.clone(), last });
        self.resend(index, ours);
        self.resend(peer, &theirs);
        true
    }

    /// Tells both ends where the other one stands. Gives back whether they can go on.
    fn resume(
        &mut self,
        index: NodeIndex,
        ours: &Id<Connection<P::Node>>,
        peer: NodeIndex,
        theirs: &Id<Connection<P::Node>>,
    ) -> bool {
        let now = self.now;
        let standing = |node: NodeIndex, connection| self.engine(node).and_then(|engine| engine.standing(connection));
        let (Some(our_standing), Some(their_standing)) = (standing(index, ours), standing(peer, theirs)) else {
            return false;
        };
        let mut agreed = true;
        for (node, connection, standing) in [(index, ours, their_standing), (peer, theirs, our_standing)] {
            let engine = self.hosts.get_mut(node).and_then(|host| host.engine.as_mut());
            agreed &= engine.is_some_and(|engine| matches!(engine.resume(connection, standing, now), Ok(None)));
            self.release(node);
        }
        // What a peer has received may have been all that a connection waited for.
        let is_there =
            |node, connection| self.engine(node).is_some_and(|engine| engine.connection(connection).is_some());
        agreed && is_there(index, ours) && is_there(peer, theirs)
    }

    /// Says everything again that the peer hasn't confirmed.
    fn resend(&mut self, index: NodeIndex, connection: &Id<Connection<P::Node>>) {
        let Some(engine) = &self.hosts[index].engine else { return };
        let unconfirmed: Vec<_> =
            engine.outbox(connection).map(|(index, message)| (index, std::sync::Arc::clone(message))).collect();
        for (number, message) in unconfirmed {
            self.say(index, connection, Line::Message { index: number, message });
        }
    }

    fn break_sockets(&mut self, broken: impl Fn(NodeIndex, NodeIndex) -> bool) {
        for index in 0..self.hosts.len() {
            let host = &mut self.hosts[index];
            let lost: Vec<_> = host
                .sockets
                .iter()
                .filter(|(_, socket)| broken(index, socket.peer))
                .map(|(id, _)| id.clone())
                .collect();
            for connection in lost {
                host.sockets.remove(&connection);
                self.redial.insert((index, connection), self.now + REDIAL);
            }
        }
    }
}
