//! The protocol between two nodes: greeting, resumption, numbers, confirmations, liveness, and redialling.
//!
//! It opens no socket and reads no clock. The driver passes in what was received and when
//! ([`Conversations::handle_bytes`], [`Conversations::handle_timeout`] and the others), lets it work
//! ([`Conversations::advance`]), and carries out its actions ([`Conversations::poll_action`],
//! [`Conversations::poll_transmit`]). A runtime does so with real sockets, `sim` with simulated ones and the same
//! bytes: the tests run the production code.
//!
//! # On the wire
//!
//! One JSON object a line, at most [`ConversationSettings::line`] bytes and [`ConversationSettings::depth`] levels:
//!
//! | line | what it says |
//! |---|---|
//! | `{"index":null,"message":{…}}` | first line of the dialler: which connection this is |
//! | `{"index":7,"message":{…}}` | message 7 of this connection, counted from 0, modulo 65,536 |
//! | `{"received":7}` | all messages up to and including 7 have been processed, and that is on disk |
//! | `{"resume":{"received":8,"first":3,"sent":5,"time":…}}` | second line of the peer that was dialled, answered with the same by the dialler: how many messages were received, which of its own is the first unconfirmed one, and how many it has sent, in full; and what its clock says, in milliseconds |
//! | `{"ping":{…}}`, `{"pong":{…}}` | are you there, and yes; with the same numbers, so that a line that was lost is noticed, and the time |
//!
//! A message is sent again on each new socket until it is confirmed, in order, and acts once. The dialler sends its
//! resume point after receiving the other side's, so neither end is judged by a statement from before they last met.
//! If one has forgotten what it told the other, the connection isn't used any more; see [`Event::Conflict`]. With
//! [`Dialect::ByIndex`] the last two rows are missing, and nothing follows the hello before the socket has
//! [proved to stay](ConversationSettings::probation). A line that isn't one of these closes the socket; a message
//! that the node doesn't understand, or rejects, is used up and the connection goes on.
//!
//! Invariant: the outbox in the engine is the only queue of messages to a peer, and nothing is sent on a connection
//! before the commits that it depends on are released.

mod dial;
mod error;
mod event;
mod frame;
mod framing;
mod links;
mod no_peers;
mod peer;
mod protocol;
mod reach;
mod session;
mod settings;
mod steps;
mod writing;

pub use error::{DialError, Disconnect, LineError, ProtocolError, Refusal, Unsendable};
pub use event::Event;
#[cfg(feature = "sim")]
pub(crate) use frame::{About, Frame, parse, push_message, push_received, push_resume_point, read_message, unwrap};
pub use framing::Lines;
pub use no_peers::NoPeers;
pub use peer::{PeerAddress, PeerAddressError, PublicKey};
pub use protocol::{Acceptance, Draw, Protocol};
pub use reach::reach;
pub use settings::{ConversationSettings, Dialect};
pub use writing::Transmit;

use crate::dispatcher::Connection;
use crate::engine::Engine;
use crate::event::Output;
use crate::machine::Node;
use crate::store::Store;
use crate::time::Time;
use crate::tree::Id;
use links::Links;
use std::collections::VecDeque;
use std::time::Duration;

/// A moment on a monotonic clock, as the time since an origin of the driver's choice.
pub type Moment = Duration;

/// Identifies one socket, or one attempt to dial, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(u64);

/// An action on a socket, for the driver.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Dial this address, and report the outcome: [`Conversations::handle_dialled`].
    Dial {
        /// The ID of the socket, if dialling succeeds.
        socket: SocketId,
        /// As the application gave it.
        address: String,
    },
    /// Close a socket after sending the pending bytes, and these.
    Close {
        /// Which one.
        socket: SocketId,
        /// The last bytes to send.
        last: Vec<u8>,
    },
    /// Close a socket at once, discarding unsent bytes, or stop dialling it. It may be gone already.
    Abort {
        /// Which one.
        socket: SocketId,
    },
}

/// The result of [`Conversations::advance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// No input is left.
    Idle,
    /// One input was processed.
    Taken,
    /// The engine has to be synced, and its outputs passed to [`Conversations::handle_output`], until
    /// [`Engine::unreleased`] is false. Then this input can go on.
    Sync,
}

/// An input that hasn't been processed yet.
enum Input {
    Dialled(SocketId),
    /// The tie-breaker of a dialled socket has been drawn, and is to be on disk before it is told.
    Drawn(SocketId, [u8; 4]),
    Line(SocketId, String),
}

/// The conversations of a node with all its peers.
pub struct Conversations {
    links: Links,
    inputs: VecDeque<Input>,
}

impl std::fmt::Debug for Conversations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversations").field("links", &self.links).field("inputs", &self.inputs.len()).finish()
    }
}

impl Conversations {
    /// No conversations yet. Tie-breakers are drawn from `random`, and it keeps nodes from dialling in step:
    /// it needn't be cryptographically secure.
    pub fn new(settings: ConversationSettings, random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self { links: Links::new(settings, Box::new(random)), inputs: VecDeque::new() }
    }

    /// The settings.
    pub fn settings(&self) -> &ConversationSettings {
        &self.links.settings
    }

    /// Begins to dial the engine's connections.
    pub fn start<N: Node, S: Store>(&mut self, engine: &Engine<N, S>, now: Moment) {
        for (connection, state) in engine.connections() {
            if let Some(conflict) = state.conflict {
                self.links.events.push_back(Event::Conflict { connection: connection.key().clone(), conflict });
            }
            self.links.dial(connection.key(), state.address(), now);
        }
    }

    /// A peer has dialled. `peer` is its name in events.
    pub fn handle_accepted(&mut self, peer: String, now: Moment) -> SocketId {
        self.links.accept(peer, now)
    }

    /// The proven key of a peer that dialled. Don't call this if the transport proves nothing.
    pub fn handle_proven(&mut self, socket: SocketId, key: PublicKey) {
        if let Some(stranger) = self.links.stranger_mut(socket) {
            stranger.key = Some(key);
        }
    }

    /// The outcome of [`Action::Dial`].
    pub fn handle_dialled(&mut self, socket: SocketId, outcome: Result<(), DialError>, now: Moment) {
        match outcome {
            Ok(()) => self.inputs.push_back(Input::Dialled(socket)),
            Err(error) => {
                if let Some((connection, _)) = self.links.dialled(socket) {
                    self.links.dial_failed(&connection, error, now);
                }
            }
        }
    }

    /// Bytes from a peer. They are assembled into lines here.
    pub fn handle_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Moment) {
        if !self.links.knows(socket) {
            return;
        }
        let limit = self.links.settings.line;
        let lines = self.links.lines.entry(socket).or_insert_with(|| Lines::new(limit));
        lines.room(bytes.len()).extend_from_slice(bytes);
        let error = loop {
            match lines.next_line() {
                Ok(Some(line)) => self.inputs.push_back(Input::Line(socket, line.to_owned())),
                Ok(None) => return,
                Err(error) => break error,
            }
        };
        self.handle_ended(socket, Disconnect::Protocol(ProtocolError::Line(error)), now);
    }

    /// A whole line of a peer, without its end: for a driver that assembles lines itself, with [`Lines`].
    pub fn handle_line(&mut self, socket: SocketId, line: String) {
        self.inputs.push_back(Input::Line(socket, line));
    }

    /// A socket has written its batch.
    pub fn handle_written(&mut self, socket: SocketId) {
        if let Some(connection) = self.links.connection(socket).map(str::to_owned) {
            if let Some(session) = self.links.session_mut(&connection) {
                session.writing = false;
            }
            self.links.ready.insert(connection);
        }
    }

    /// A socket is gone, or its data can't be part of a conversation.
    pub fn handle_ended(&mut self, socket: SocketId, reason: Disconnect, now: Moment) {
        if self.links.stranger_mut(socket).is_some() {
            self.links.refuse(socket, Refusal::Lost(reason), None);
        } else if let Some(connection) = self.links.connection(socket).map(str::to_owned) {
            self.links.disconnect(&connection, reason, now);
        }
    }

    /// A released output: those about connections are handled, others ignored.
    pub fn handle_output<N: Node, S: Store>(&mut self, output: &Output<N>, engine: &Engine<N, S>, now: Moment) {
        match output {
            // The message itself is fetched from the outbox when the socket has room for it.
            Output::Transmit { connection, .. } => drop(self.links.ready.insert(connection.key().clone())),
            Output::Confirm { connection, index } => self.confirm(connection.key(), *index, now),
            Output::Opened { connection } => {
                let state = engine.connection(connection);
                self.links.dial(connection.key(), state.and_then(Connection::address), now);
            }
            Output::Closed { connection } => self.close(connection.key(), Disconnect::Closed),
            Output::Perform { .. } | Output::EffectEnded { .. } | Output::Reply { .. } | Output::Notice(_) => {}
        }
    }

    /// Time has passed: for [`Conversations::poll_timeout`].
    pub fn handle_timeout<N: Node, S: Store>(&mut self, engine: &Engine<N, S>, now: Moment) {
        while let Some((connection, socket)) = self.links.due(now) {
            self.look_after(engine, connection, socket, now);
        }
    }

    /// Ends all conversations, confirming to each peer what it may drop from its outbox. Strangers are refused, so that
    /// of each one that was accepted it is said what became of it.
    pub fn stop(&mut self) {
        self.links.refuse_strangers(|| Refusal::Lost(Disconnect::Stopped));
        for connection in self.links.connected() {
            self.close(&connection, Disconnect::Stopped);
        }
    }

    /// The keys of the connections that have a socket, in order.
    pub fn connected(&self) -> Vec<String> {
        self.links.connected()
    }

    /// The next action on a socket, in order.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.links.actions.pop_front()
    }

    /// The next bytes to send on a socket. The next batch for the same socket comes once this one is
    /// [written](Conversations::handle_written). `now` is for sockets; `time` is told to peers.
    pub fn poll_transmit<N: Node, S: Store>(
        &mut self,
        engine: &Engine<N, S>,
        now: Moment,
        time: Time,
    ) -> Option<Transmit> {
        while let Some(connection) = self.links.ready.pop_first() {
            if let Some(transmit) = self.fill(engine, &Id::new(connection), now, time) {
                return Some(transmit);
            }
        }
        None
    }

    /// When to call [`Conversations::handle_timeout`] next.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.links.next_deadline()
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.links.events.pop_front()
    }

    /// The connection that a socket is for.
    #[cfg(feature = "sim")]
    pub(crate) fn connection(&self, socket: SocketId) -> Option<&str> {
        self.links.connection(socket)
    }
}
