//! Sockets, and the connection of each: strangers, sessions, and the dialling of connections without a socket.
//!
//! Invariant: a connection has at most one session, and is dialled only while it has none; events of an unknown
//! socket are ignored.

use super::dial::{Attempt, Dial, pause};
use super::error::{DialError, Disconnect, Refusal};
use super::event::Event;
use super::framing::Lines;
use super::peer::PublicKey;
use super::session::Session;
use super::settings::ConversationSettings;
use super::{Action, Moment, SocketId};
use crate::sabotage::{Sabotage, sabotaged};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// A peer that dialled and hasn't said hello yet.
pub(super) struct Stranger {
    pub(super) peer: String,
    /// Its proven key.
    pub(super) key: Option<PublicKey>,
    /// Once it is welcome: the connection that it has dialled for, and its tie-breaker.
    pub(super) welcome: Option<(String, Option<[u8; 4]>)>,
}

/// The task that is due at a moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Deadline {
    /// A stranger must have said hello.
    Stranger(SocketId),
    /// A dial must have succeeded or failed.
    Dial(String, SocketId),
    /// A connection is dialled.
    Redial(String),
    /// A peer has been silent for a while.
    Session(String, SocketId),
    /// A confirmation has waited for long enough.
    Confirmation(String),
}

/// All sockets of a node, by the keys of their connections.
pub(super) struct Links {
    pub(super) settings: ConversationSettings,
    random: Box<dyn FnMut() -> u64 + Send>,
    last: u64,
    /// The oldest first.
    strangers: BTreeMap<SocketId, Stranger>,
    connections: HashMap<SocketId, String>,
    sessions: HashMap<String, Session>,
    dials: HashMap<String, Dial>,
    /// The dials that are under way.
    dialling: HashMap<SocketId, String>,
    /// The parts of lines received so far, for sockets whose bytes are assembled here.
    pub(super) lines: HashMap<SocketId, Lines>,
    /// Each session has one here. It may be too early: then the session is checked again.
    deadlines: BTreeSet<(Moment, Deadline)>,
    /// The connections whose sockets may have something to send.
    pub(super) ready: BTreeSet<String>,
    pub(super) actions: VecDeque<Action>,
    pub(super) events: VecDeque<Event>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("strangers", &self.strangers.len())
            .field("sessions", &self.sessions.len())
            .field("dials", &self.dials.len())
            .finish_non_exhaustive()
    }
}

impl Links {
    pub(super) fn new(settings: ConversationSettings, random: Box<dyn FnMut() -> u64 + Send>) -> Self {
        Self {
            settings,
            random,
            last: 0,
            strangers: BTreeMap::new(),
            connections: HashMap::new(),
            sessions: HashMap::new(),
            dials: HashMap::new(),
            dialling: HashMap::new(),
            lines: HashMap::new(),
            deadlines: BTreeSet::new(),
            ready: BTreeSet::new(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    fn fresh(&mut self) -> SocketId {
        self.last += 1;
        SocketId(self.last)
    }

    /// Four random bytes to draw a tie-breaker from.
    pub(super) fn random_bytes(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = (self.random)().to_le_bytes();
        [a, b, c, d]
    }

    /// Accepts a peer that dialled, as a stranger.
    pub(super) fn accept(&mut self, peer: String, now: Moment) -> SocketId {
        let limit = self.settings.strangers.max(1);
        while self.strangers.len() >= limit {
            // The oldest one: an honest peer says hello at once.
            let Some(oldest) = self.strangers.keys().next().copied() else { break };
            self.refuse(oldest, Refusal::Crowded { limit }, None);
        }
        let socket = self.fresh();
        self.strangers.insert(socket, Stranger { peer, key: None, welcome: None });
        self.deadlines.insert((now + self.settings.handshake, Deadline::Stranger(socket)));
        socket
    }

    pub(super) fn stranger_mut(&mut self, socket: SocketId) -> Option<&mut Stranger> {
        self.strangers.get_mut(&socket)
    }

    pub(super) fn take_stranger(&mut self, socket: SocketId) -> Option<Stranger> {
        self.strangers.remove(&socket)
    }

    /// Refuses a stranger, after sending `last` if there is one.
    pub(super) fn refuse(&mut self, socket: SocketId, reason: Refusal, last: Option<Vec<u8>>) {
        let Some(stranger) = self.strangers.remove(&socket) else { return };
        self.lines.remove(&socket);
        self.events.push_back(Event::Refused { peer: stranger.peer, reason });
        self.actions.push_back(match last {
            Some(last) => Action::Close { socket, last },
            None => Action::Abort { socket },
        });
    }

    /// Refuses all strangers.
    pub(super) fn refuse_strangers(&mut self, reason: impl Fn() -> Refusal) {
        while let Some((&socket, _)) = self.strangers.first_key_value() {
            self.refuse(socket, reason(), None);
        }
    }

    /// Whether a socket is known.
    pub(super) fn knows(&self, socket: SocketId) -> bool {
        self.strangers.contains_key(&socket) || self.connections.contains_key(&socket)
    }

    /// The connection that a socket is for.
    pub(super) fn connection(&self, socket: SocketId) -> Option<&str> {
        self.connections.get(&socket).map(String::as_str)
    }

    pub(super) fn session(&self, connection: &str) -> Option<&Session> {
        self.sessions.get(connection)
    }

    pub(super) fn session_mut(&mut self, connection: &str) -> Option<&mut Session> {
        self.sessions.get_mut(connection)
    }

    /// A conversation goes on, on the socket that its connection has.
    pub(super) fn resume(&mut self, connection: &str) {
        if let Some(session) = self.sessions.get_mut(connection)
            && !session.resumed
        {
            session.resumed = true;
            self.ready.insert(connection.to_owned());
        }
    }

    /// The connections that have a socket, in order.
    pub(super) fn connected(&self) -> Vec<String> {
        let mut connected: Vec<String> = self.sessions.keys().cloned().collect();
        connected.sort();
        connected
    }

    /// Binds a socket to a connection, replacing its old one.
    pub(super) fn bind(&mut self, connection: &str, session: Session, now: Moment) {
        if sabotaged(Sabotage::BothSocketsKept) {
            self.sessions.remove(connection);
        }
        self.abort(connection, Disconnect::Replaced);
        self.rest(connection);
        let (peer, dialled) = (session.peer.clone(), session.dialled);
        self.events.push_back(Event::Connected { connection: connection.to_owned(), peer, dialled });
        if sabotaged(Sabotage::BackOffResetTooEarly) {
            self.dials.entry(connection.to_owned()).and_modify(|dial| dial.failures = 0);
        }
        self.connections.insert(session.socket, connection.to_owned());
        self.deadlines.insert((now, Deadline::Session(connection.to_owned(), session.socket)));
        self.sessions.insert(connection.to_owned(), session);
        self.ready.insert(connection.to_owned());
    }

    /// Ends the attempt to dial that is under way, or planned.
    fn rest(&mut self, connection: &str) {
        let Some(dial) = self.dials.get_mut(connection) else { return };
        if let Attempt::UnderWay(socket) = std::mem::replace(&mut dial.attempt, Attempt::None) {
            self.dialling.remove(&socket);
            self.actions.push_back(Action::Abort { socket });
        }
    }

    fn remove(&mut self, connection: &str, reason: Disconnect) -> Option<Session> {
        let session = self.sessions.remove(connection)?;
        self.connections.remove(&session.socket);
        self.lines.remove(&session.socket);
        let (connection, peer) = (connection.to_owned(), session.peer.clone());
        self.events.push_back(Event::Disconnected { connection, peer, reason });
        Some(session)
    }

    fn abort(&mut self, connection: &str, reason: Disconnect) -> Option<Session> {
        let session = self.remove(connection, reason)?;
        self.actions.push_back(Action::Abort { socket: session.socket });
        Some(session)
    }

    /// Removes the socket of a connection, and dials again if the connection has an address.
    pub(super) fn disconnect(&mut self, connection: &str, reason: Disconnect, now: Moment) {
        let Some(session) = self.abort(connection, reason) else { return };
        if let Some(dial) = self.dials.get_mut(connection) {
            let good = session.was_good(&self.settings, now);
            dial.failures = if good { 1 } else { dial.failures.saturating_add(1) };
            self.redial(connection, now);
        }
    }

    /// Ends a connection: it isn't dialled any more, and its socket is closed after the last bytes.
    pub(super) fn close(&mut self, connection: &str, reason: Disconnect, last: Vec<u8>) {
        self.rest(connection);
        self.dials.remove(connection);
        if let Some(session) = self.remove(connection, reason) {
            self.actions.push_back(Action::Close { socket: session.socket, last });
        }
    }

    /// Sets where a connection is dialled, if at all. An existing socket leads to the peer of the old address.
    pub(super) fn dial(&mut self, connection: &str, address: Option<&str>, now: Moment) {
        self.rest(connection);
        self.dials.remove(connection);
        self.abort(connection, Disconnect::Readdressed);
        if let Some(address) = address {
            let dial = Dial { address: address.to_owned(), failures: 0, attempt: Attempt::None };
            self.dials.insert(connection.to_owned(), dial);
            self.redial(connection, now);
        }
    }

    /// Dials after a pause, and returns it.
    fn redial(&mut self, connection: &str, now: Moment) -> Duration {
        let random = (self.random)();
        let Some(dial) = self.dials.get_mut(connection) else { return Duration::ZERO };
        let wait = pause(&self.settings, dial.failures, random);
        dial.attempt = Attempt::At(now + wait);
        self.deadlines.insert((now + wait, Deadline::Redial(connection.to_owned())));
        wait
    }

    /// The connection that a socket is being dialled for.
    pub(super) fn dialling(&self, socket: SocketId) -> Option<&str> {
        self.dialling.get(&socket).map(String::as_str)
    }

    /// Whether a successful dial is the pending one: its connection, and its address. It is no longer under way.
    pub(super) fn dialled(&mut self, socket: SocketId) -> Option<(String, String)> {
        let connection = self.dialling.remove(&socket)?;
        let dial = self.dials.get_mut(&connection)?;
        dial.attempt = Attempt::None;
        Some((connection, dial.address.clone()))
    }

    /// Records that a peer couldn't be dialled, and dials it again.
    pub(super) fn dial_failed(&mut self, connection: &str, error: DialError, now: Moment) {
        let Some(dial) = self.dials.get_mut(connection) else { return };
        dial.failures = dial.failures.saturating_add(1);
        let (connection, address) = (connection.to_owned(), dial.address.clone());
        self.rest(&connection);
        let retry = self.redial(&connection, now);
        self.events.push_back(Event::DialFailed { connection, address, error, retry });
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Handles everything that is due: starts dials, and gives up those who took too long. The caller decides about
    /// silent peers, and schedules the next check.
    pub(super) fn due(&mut self, now: Moment) -> Option<(String, SocketId)> {
        while self.next_deadline().is_some_and(|at| at <= now)
            && let Some((_, deadline)) = self.deadlines.pop_first()
        {
            match deadline {
                Deadline::Stranger(socket) => {
                    let limit = self.settings.handshake;
                    self.refuse(socket, Refusal::Timeout { limit }, None);
                }
                Deadline::Dial(connection, socket) => {
                    if self.dials.get(&connection).is_some_and(|dial| dial.attempt == Attempt::UnderWay(socket)) {
                        let limit = self.settings.handshake;
                        self.dial_failed(&connection, DialError::Timeout { limit }, now);
                    }
                }
                Deadline::Redial(connection) => self.begin_dial(&connection, now),
                // Another socket may have its place now: then it looks for nothing, or for what is due a little later.
                Deadline::Confirmation(connection) => drop(self.ready.insert(connection)),
                Deadline::Session(connection, socket) => {
                    if self.sessions.get(&connection).is_some_and(|session| session.socket == socket) {
                        return Some((connection, socket));
                    }
                }
            }
        }
        None
    }

    /// Has a confirmation sent at this moment, if nothing takes it along before.
    pub(super) fn confirm_at(&mut self, connection: &str, at: Moment) {
        self.deadlines.insert((at, Deadline::Confirmation(connection.to_owned())));
    }

    pub(super) fn look_again(&mut self, connection: String, socket: SocketId, at: Moment) {
        self.deadlines.insert((at, Deadline::Session(connection, socket)));
    }

    fn begin_dial(&mut self, connection: &str, now: Moment) {
        let socket = SocketId(self.last + 1);
        let Some(dial) = self.dials.get_mut(connection) else { return };
        if !matches!(dial.attempt, Attempt::At(at) if at <= now) {
            return;
        }
        dial.attempt = Attempt::UnderWay(socket);
        let address = dial.address.clone();
        self.last += 1;
        self.deadlines.insert((now + self.settings.handshake, Deadline::Dial(connection.to_owned(), socket)));
        self.dialling.insert(socket, connection.to_owned());
        self.actions.push_back(Action::Dial { socket, address });
    }
}
