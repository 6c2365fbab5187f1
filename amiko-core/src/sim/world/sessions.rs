//! What a runtime does with sockets, in the same steps: hello, where both ends stand, messages, confirmations, and looking
//! whether the other end is there.
//!
//! Invariant: a connection has at most one session; a session sends only once the peer has said where it stands; a line
//! that breaks a rule costs its socket.

use super::{Heard, World, json};
use crate::conversation::{PeerAddress, Protocol, PublicKey, Welcome};
use crate::dispatcher::{Connection, Standing};
use crate::engine::EventError;
use crate::machine::Node;
use crate::sim::network::{Line, Packet, Sent, Side, SocketNumber};
use crate::sim::trace::{Happening, class};
use crate::sim::{FaultKind, NodeIndex};
use crate::time::Time;
use crate::tree::{Id, Tree};
use std::sync::Arc;
use std::time::Duration;

/// How long after a failed dial the next one comes, at first; twice as long after each, up to the limit.
const REDIAL: Duration = Duration::from_millis(250);
const REDIAL_LIMIT: Duration = Duration::from_secs(30);
/// How long a peer may take to say who it is and where it stands, and how long the dice decide.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a peer may say nothing until it is asked whether it is there, and how long it may take to answer.
pub(super) const SILENCE: Duration = Duration::from_secs(15);
const ANSWER: Duration = Duration::from_millis(7_500);

/// What is looked after at a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// The peer has to have said by now who it is and where it stands.
    Greeted,
    /// Something may be wrong: the peer is asked whether it is there.
    Ask,
    /// It has to have answered by now.
    Answered,
}

/// A connection that has a socket.
pub(super) struct Session {
    socket: SocketNumber,
    side: Side,
    dice: Option<[u8; 4]>,
    since: Time,
    /// The peer has said where it stands.
    resumed: bool,
    /// Where this end stood when it got the socket.
    standing: Standing,
    /// Messages of the peer that it was told to be processed, and the number of the next message to be sent.
    confirmed: u64,
    next: u64,
    /// Since when the peer is asked whether it is there.
    asked: Option<Time>,
}

impl Session {
    pub(super) fn is_on(&self, socket: SocketNumber) -> bool {
        self.socket == socket
    }
}

type ConnectionId<P> = Id<Connection<<P as Protocol>::Node>>;

impl<P: Protocol> World<P> {
    pub(super) fn dial_all(&mut self, node: NodeIndex) {
        let now = self.now;
        let connections: Vec<_> =
            self.engine(node).map(|engine| engine.connections().map(|(id, _)| id).collect()).unwrap_or_default();
        self.redials.extend(connections.into_iter().map(|connection| ((node, connection), now)));
    }

    /// Dials and says hello; or tries again later.
    pub(super) fn dial(&mut self, node: NodeIndex, connection: &ConnectionId<P>) {
        // What waits for the disk may close this very connection, or have it dialled elsewhere.
        self.sync(node);
        let Some(engine) = &self.host(node).engine else { return };
        let address = engine.connection(connection).and_then(Connection::address).map(str::to_owned);
        let Some(address) = address.filter(|_| !self.host(node).sessions.contains_key(connection)) else { return };
        if self.host(node).silent || self.call(node, connection, &address).is_none() {
            self.redial(node, connection);
        }
    }

    pub(super) fn redial(&mut self, node: NodeIndex, connection: &ConnectionId<P>) {
        let end = (node, connection.clone());
        let wait = self.patience.get(&end).map_or(REDIAL, |wait| (*wait * 2).min(REDIAL_LIMIT));
        self.redials.insert(end.clone(), self.now + wait);
        self.patience.insert(end, wait);
    }

    /// Has everybody who waits for a dial try soon.
    pub(super) fn lose_patience(&mut self) {
        self.patience.clear();
        let soon = self.now + REDIAL;
        self.redials.values_mut().for_each(|at| *at = soon.min(*at));
    }

    fn call(&mut self, node: NodeIndex, connection: &ConnectionId<P>, address: &str) -> Option<()> {
        let (peer, key) = self.reach(node, address)?;
        let there = self.host(peer).engine.is_some() && !self.host(peer).silent;
        if !there || !self.network.is_open(node, peer) {
            return None;
        }
        let dice = self.random.next().to_le_bytes();
        let dice = [dice[0], dice[1], dice[2], dice[3]];
        let engine = self.host(node).engine.as_ref()?;
        let message = Arc::new(self.protocol.hello(engine.node(), connection, dice).ok()?);
        let socket = self.network.open((node, Some(connection.clone())), peer, key, self.now);
        self.bind(node, connection, (socket, Side::Dialler), Some(dice));
        self.say(socket, Side::Answerer, Line::Hello { message });
        self.alarms.insert((self.now + HANDSHAKE, socket, Alarm::Greeted));
        Some(())
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

    /// Gives a connection its socket, in the place of the one that it may have.
    fn bind(
        &mut self,
        node: NodeIndex,
        connection: &ConnectionId<P>,
        (socket, side): (SocketNumber, Side),
        dice: Option<[u8; 4]>,
    ) {
        self.close(node, connection);
        self.redials.remove(&(node, connection.clone()));
        let engine = self.host(node).engine.as_ref();
        let standing = engine.and_then(|engine| engine.standing(connection)).unwrap_or_default();
        let session = Session {
            socket,
            side,
            dice,
            since: self.now,
            resumed: false,
            standing,
            confirmed: standing.received,
            next: standing.first,
            asked: None,
        };
        self.host_mut(node).sessions.insert(connection.clone(), session);
        if let Some(found) = self.network.socket_mut(socket) {
            found.end_mut(side).connection = Some(connection.clone());
        }
    }

    /// Takes the socket from a connection.
    pub(super) fn close(&mut self, node: NodeIndex, connection: &ConnectionId<P>) {
        if let Some(session) = self.host_mut(node).sessions.remove(connection) {
            self.hang_up(session.socket, session.side);
        }
    }

    fn hang_up(&mut self, socket: SocketNumber, side: Side) {
        self.network.close(socket, side);
        self.say(socket, side.other(), Line::Closed);
    }

    /// Takes the socket from a connection, and dials it again where it has an address.
    pub(super) fn disconnect(&mut self, node: NodeIndex, connection: &ConnectionId<P>) {
        self.close(node, connection);
        let engine = self.host(node).engine.as_ref();
        if engine.and_then(|engine| engine.connection(connection)).and_then(Connection::address).is_some() {
            self.redial(node, connection);
        }
    }

    /// Says something at a socket.
    pub(super) fn say(&mut self, socket: SocketNumber, to: Side, line: Line<P::Node>) {
        let Some(found) = self.network.socket(socket) else { return };
        let (from, hearer) = (found.end(to.other()).node, found.end(to).node);
        let name = self.trace.as_ref().map(|_| name(&line));
        let faults = self.faults.is_some() && self.disturbances < self.limit;
        let sent = self.network.say(socket, to, line, (self.now, faults), &mut self.random);
        let met = match sent {
            Sent::Passes | Sent::Waits => return,
            Sent::Lost => FaultKind::Loss,
            Sent::Twice => FaultKind::Duplication,
            Sent::OutOfOrder => FaultKind::Reordering,
        };
        *self.counts.entry(met).or_default() += 1;
        self.disturbances += u64::from(faults);
        if sent == Sent::Lost {
            // Whoever is there notices when they ask next.
            self.alarms.insert((self.now + SILENCE, socket, Alarm::Ask));
            if let Some(line) = name {
                self.note(Happening::Lost { from, to: hearer, socket, line });
            }
        }
    }

    fn say_to_peer(&mut self, node: NodeIndex, connection: &ConnectionId<P>, line: Line<P::Node>) {
        if let Some(session) = self.host(node).sessions.get(connection) {
            let (socket, side) = (session.socket, session.side);
            self.say(socket, side.other(), line);
        }
    }

    /// What a peer's message caused is on disk.
    pub(super) fn say_received(&mut self, node: NodeIndex, connection: &ConnectionId<P>, index: u64) {
        if let Some(session) = self.host_mut(node).sessions.get_mut(connection) {
            session.confirmed = session.confirmed.max(index.saturating_add(1));
            self.say_to_peer(node, connection, Line::Received { index });
        }
    }

    /// Sends what may be sent of an outbox, and wasn't yet.
    pub(super) fn pump(&mut self, node: NodeIndex, connection: &ConnectionId<P>) {
        let host = &mut self.hosts[node];
        let Some(engine) = &host.engine else { return };
        let Some(session) = host.sessions.get_mut(connection).filter(|session| session.resumed) else { return };
        let next = session.next;
        let messages: Vec<_> = engine
            .outbox(connection)
            .filter(|(index, _)| *index >= next)
            .map(|(index, message)| (index, Arc::clone(message)))
            .collect();
        session.next = engine.sendable(connection).max(next);
        for (index, message) in messages {
            self.say_to_peer(node, connection, Line::Message { index, message });
        }
    }

    /// A line has come to an end of a socket.
    pub(super) fn arrive(&mut self, packet: Packet<P::Node>) {
        let Packet { socket, to, .. } = packet;
        let Some(found) = self.network.socket(socket) else { return };
        let (node, open, from) = (found.end(to).node, found.end(to).open, found.end(to.other()).node);
        if self.host(node).silent {
            return self.host_mut(node).waiting.push(packet);
        }
        if !open {
            // A machine that is there says that nobody listens.
            if !matches!(packet.line, Line::Closed) && (self.host(node).engine.is_some() || self.is_puppet(node)) {
                self.say(socket, to.other(), Line::Closed);
            }
            return;
        }
        let shown = self.trace.as_ref().map(|_| (name(&packet.line), message(&packet.line)));
        let refused = if self.is_puppet(node) {
            self.puppet_hears(node, packet);
            None
        } else {
            self.take(node, packet).err()
        };
        if let Some((line, message)) = shown {
            self.note(Happening::Arrived { from, to: node, socket, line, message, refused });
        }
    }

    /// Gives a line to a node. An error says why nothing came of it.
    fn take(&mut self, node: NodeIndex, Packet { socket, to: side, line }: Packet<P::Node>) -> Result<(), String> {
        if let Line::Hello { message } = line {
            return self.greeted(node, socket, &message);
        }
        let bound = self.network.socket(socket).and_then(|socket| socket.end(side).connection.clone());
        let Some(connection) = bound else {
            self.hang_up(socket, side);
            return Err("not a hello".into());
        };
        let Some(session) = self.host_mut(node).sessions.get_mut(&connection).filter(|found| found.socket == socket)
        else {
            return Err("the socket was given up".into());
        };
        session.asked = None;
        let resumed = session.resumed;
        let taken = match line {
            Line::Closed => {
                self.disconnect(node, &connection);
                return Ok(());
            }
            Line::Resume(theirs) if !resumed => return self.resume(node, &connection, theirs),
            _ if !resumed => Err("where it stands comes first".into()),
            Line::Message { index, message } => {
                self.patience.remove(&(node, connection.clone()));
                self.message(node, &connection, index, message)
            }
            Line::Received { index } => {
                self.patience.remove(&(node, connection.clone()));
                self.confirmed(node, &connection, index)
            }
            Line::Standing { asks, standing } => self.compare(node, &connection, asks, standing),
            Line::Resume(_) | Line::Hello { .. } => Err("it has said so already".into()),
        };
        if taken.is_err() {
            self.disconnect(node, &connection);
        }
        taken
    }

    /// The first line of a peer that dialled.
    fn greeted(
        &mut self,
        node: NodeIndex,
        socket: SocketNumber,
        hello: &<P::Node as Tree>::Network,
    ) -> Result<(), String> {
        // What waits for the disk may close this very connection, or confirm something on it.
        self.sync(node);
        let refuse = |world: &mut Self, reason: String| {
            world.hang_up(socket, Side::Answerer);
            Err(reason)
        };
        let key = self.network.socket(socket).and_then(|socket| socket.key);
        let Some(engine) = &self.host(node).engine else { return Err("the node has ended".into()) };
        let Welcome { connection, dice, event } = match self.protocol.welcome(engine.node(), key, hello.clone()) {
            Ok(welcome) => welcome,
            Err(rejection) => return refuse(self, rejection.to_string()),
        };
        if engine.connection(&connection).is_some_and(|connection| connection.conflict.is_some()) {
            // So that the peer sees it too.
            let standing = engine.standing(&connection).unwrap_or_default();
            self.say(socket, Side::Dialler, Line::Resume(standing));
            return refuse(self, "in conflict".into());
        }
        let stays = |old: &Session| match (old.dice, dice) {
            (Some(old_dice), Some(new)) => {
                old.side == Side::Dialler && self.now - old.since < HANDSHAKE && new <= old_dice
            }
            _ => false,
        };
        if self.host(node).sessions.get(&connection).is_some_and(stays) {
            return refuse(self, "the dice want the other socket".into());
        }
        if let Some(event) = event {
            if let Err(error) = self.command(node, event) {
                return refuse(self, error.to_string());
            }
            self.sync(node);
        }
        let engine = self.host(node).engine.as_ref();
        if engine.and_then(|engine| engine.connection(&connection)).is_none() {
            return refuse(self, "there is no such connection".into());
        }
        self.bind(node, &connection, (socket, Side::Answerer), dice);
        let standing = self.host(node).sessions.get(&connection).map(|session| session.standing).unwrap_or_default();
        self.say(socket, Side::Dialler, Line::Resume(standing));
        Ok(())
    }

    /// A peer says where it stands, before anything else.
    fn resume(&mut self, node: NodeIndex, connection: &ConnectionId<P>, theirs: Standing) -> Result<(), String> {
        let Some(session) = self.host(node).sessions.get(connection) else { return Ok(()) };
        if session.side == Side::Dialler {
            // Only now: so it can't be older than what the peer has just said.
            let standing = session.standing;
            self.say_to_peer(node, connection, Line::Resume(standing));
        }
        let mut conflict = None;
        let outcome = self.input(node, |engine, now| {
            conflict = engine.resume(connection, theirs, now)?;
            Ok(())
        });
        match (outcome, conflict) {
            (Ok(()), None) => {
                if let Some(session) = self.host_mut(node).sessions.get_mut(connection) {
                    session.resumed = true;
                    session.next = session.next.max(theirs.received);
                }
                self.pump(node, connection);
                Ok(())
            }
            (Ok(()), Some(conflict)) => {
                self.close(node, connection);
                Err(conflict.to_string())
            }
            (Err(error), _) => {
                self.disconnect(node, connection);
                Err(error.to_string())
            }
        }
    }

    fn message(
        &mut self,
        node: NodeIndex,
        connection: &ConnectionId<P>,
        index: u64,
        message: Arc<<P::Node as Tree>::Network>,
    ) -> Result<(), String> {
        let Some(engine) = &self.host(node).engine else { return Ok(()) };
        let envelope = self.protocol.envelope(engine.node(), connection, (*message).clone());
        let next = engine.connection(connection).is_some_and(|connection| connection.received == index);
        // Asked before, because the message may be the last one of its connection.
        let from = self.peer_at(node, connection);
        let outcome = self.input(node, |engine, now| engine.receive(connection, index, envelope, now));
        if let (Some(heard), Some(from)) = (&mut self.heard, from) {
            let (connection, acted) = (connection.clone(), next && outcome.is_ok());
            heard.push(Heard { from, to: node, connection, index, message, acted });
        }
        match outcome {
            // Rejected, it is used up, and the link goes on.
            Ok(()) | Err(EventError::Rejected(_) | EventError::NoConnection { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn peer_at(&self, node: NodeIndex, connection: &ConnectionId<P>) -> Option<NodeIndex> {
        let session = self.host(node).sessions.get(connection)?;
        Some(self.network.socket(session.socket)?.end(session.side.other()).node)
    }

    fn confirmed(&mut self, node: NodeIndex, connection: &ConnectionId<P>, index: u64) -> Result<(), String> {
        match self.input(node, |engine, now| engine.confirm(connection, index, now)) {
            Ok(()) | Err(EventError::NoConnection { .. }) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A peer says how far it has come on this socket.
    fn compare(
        &mut self,
        node: NodeIndex,
        connection: &ConnectionId<P>,
        asks: bool,
        theirs: Standing,
    ) -> Result<(), String> {
        if asks {
            self.say_standing(node, connection, false);
        }
        let engine = self.host(node).engine.as_ref();
        let state = engine.and_then(|engine| engine.connection(connection));
        if state.is_some_and(|state| state.received < theirs.sent) {
            return Err("a message is missing".into());
        }
        match theirs.received.checked_sub(1) {
            Some(last) => self.confirmed(node, connection, last),
            None => Ok(()),
        }
    }

    fn say_standing(&mut self, node: NodeIndex, connection: &ConnectionId<P>, asks: bool) {
        if let Some(session) = self.host(node).sessions.get(connection) {
            let standing = Standing { received: session.confirmed, first: session.standing.first, sent: session.next };
            self.say_to_peer(node, connection, Line::Standing { asks, standing });
        }
    }

    /// Both ends of a socket look after it.
    pub(super) fn alarm(&mut self, socket: SocketNumber, alarm: Alarm) {
        for side in Side::BOTH {
            let Some(end) = self.network.socket(socket).map(|socket| socket.end(side)).filter(|end| end.open) else {
                continue;
            };
            let (node, bound) = (end.node, end.connection.clone());
            if self.is_puppet(node) || self.host(node).silent {
                continue;
            }
            let Some(connection) = bound else {
                if alarm == Alarm::Greeted {
                    self.hang_up(socket, side);
                }
                continue;
            };
            let now = self.now;
            let session = self.host_mut(node).sessions.get_mut(&connection).filter(|found| found.socket == socket);
            let Some(session) = session else { continue };
            match alarm {
                Alarm::Ask if session.resumed => {
                    session.asked = Some(now);
                    self.alarms.insert((now + ANSWER, socket, Alarm::Answered));
                    self.say_standing(node, &connection, true);
                }
                Alarm::Answered if session.asked.is_some_and(|asked| now - asked >= ANSWER) => {
                    self.disconnect(node, &connection);
                }
                Alarm::Greeted if !session.resumed => self.disconnect(node, &connection),
                Alarm::Ask | Alarm::Answered | Alarm::Greeted => {}
            }
        }
    }
}

/// What a line is called in a trace.
fn name<N: Node>(line: &Line<N>) -> String {
    match line {
        Line::Hello { message } => format!("hello {}", class(Some(&json(&**message)))),
        Line::Resume(standing) => format!("resume ({standing})"),
        Line::Message { index, message } => format!("{index} {}", class(Some(&json(&**message)))),
        Line::Received { index } => format!("received {index}"),
        Line::Standing { asks: true, .. } => "ping".into(),
        Line::Standing { asks: false, .. } => "pong".into(),
        Line::Closed => "closed".into(),
    }
}

fn message<N: Node>(line: &Line<N>) -> Option<crate::serializable::Json> {
    match line {
        Line::Hello { message } | Line::Message { message, .. } => Some(json(&**message)),
        _ => None,
    }
}
