//! What the sockets tell the loop, and what the loop gives them.
//!
//! Invariant: whatever a peer sends costs it at most its own socket.

use super::Runtime;
use crate::dial::random;
use crate::error::{DialError, Disconnect, ProtocolError, Refusal, RunError};
use crate::event::Event;
use crate::links::Stranger;
use crate::protocol::{Protocol, Welcome};
use crate::session::{Session, Stays};
use crate::settings::Dialect;
use crate::socket::{End, Opening, Signal, Socket, SocketId};
use crate::transport::Transport;
use crate::wire::{self, About, Frame};
use amiko_core::engine::EventError;
use amiko_core::store::Store;
use amiko_core::{Connection, Id, PublicKey, Rejection, Standing, Tree};
use tokio::time::Instant;

/// Who is at the other end of a new socket.
struct Peer {
    address: String,
    dice: Option<[u8; 4]>,
    dialled: bool,
    hello: Vec<u8>,
}

impl<P: Protocol, S: Store, T: Transport> Runtime<P, S, T> {
    pub(super) async fn signal(&mut self, signal: Signal<T>) -> Result<(), RunError> {
        match signal {
            Signal::Accepted { incoming, peer } => self.links.accept(incoming, peer),
            Signal::AcceptFailed { error } => self.settings.tell(Event::AcceptFailed { error: &error }),
            Signal::Dialled { connection, dialling, outcome } => {
                // What waits may close this very connection, or have it dialled elsewhere.
                self.settle().await?;
                if let Some(address) = self.links.dialled(&connection, dialling) {
                    self.dialled(&Id::new(connection), address, outcome);
                }
            }
            Signal::Hello { socket, key, line } => {
                if let Some(stranger) = self.links.take_stranger(socket) {
                    return self.greeted(stranger, key, &line).await;
                }
            }
            // Its place is free again when it has been processed.
            Signal::Line { socket, line, place: _place } => return self.line(socket, &line).await,
            Signal::Written { socket } => {
                if let Some(connection) = self.links.connection(socket).map(str::to_owned) {
                    if let Some(session) = self.links.session_mut(&connection) {
                        session.writing = false;
                    }
                    self.ready.insert(connection);
                }
            }
            Signal::Silent { socket } => self.silent(socket),
            Signal::Ended { socket, reason } => self.ended(socket, reason),
        }
        Ok(())
    }

    /// A stream that was dialled, or not.
    fn dialled(
        &mut self,
        connection: &Id<Connection<P::Node>>,
        address: String,
        outcome: Result<T::Stream, DialError>,
    ) {
        let dice = random();
        let greeting = outcome.and_then(|stream| Ok((stream, self.hello(connection, dice)?)));
        match greeting {
            Ok((stream, hello)) => {
                let socket = self.links.open(Opening::Dialled(stream), None);
                self.meet(connection, socket, Peer { address, dice: Some(dice), dialled: true, hello });
            }
            Err(error) => self.links.dial_failed(connection.key(), &error),
        }
    }

    fn hello(&self, connection: &Id<Connection<P::Node>>, dice: [u8; 4]) -> Result<Vec<u8>, DialError> {
        let message = self.protocol.hello(self.engine.node(), connection, dice).map_err(DialError::Hello)?;
        let mut line = Vec::new();
        wire::push_message(&mut line, None, &message, self.settings.line, self.settings.depth)
            .map_err(DialError::Unsendable)?;
        Ok(line)
    }

    /// Gives a connection its socket: everything that is unconfirmed, and on disk, goes out on it once the peer has said
    /// where it stands.
    fn meet(&mut self, connection: &Id<Connection<P::Node>>, socket: Socket, mut peer: Peer) {
        let standing = self.engine.standing(connection).unwrap_or_default();
        let resumed = self.settings.dialect == Dialect::ByIndex;
        if !resumed && !peer.dialled {
            wire::push_standing(&mut peer.hello, About::Resume, &standing);
        }
        let now = Instant::now();
        let session = Session {
            socket,
            peer: peer.address,
            dice: peer.dice,
            dialled: peer.dialled,
            since: now,
            heard: false,
            standing,
            resumed,
            quiet: now,
            asked: None,
            ping: false,
            pong: false,
            writing: false,
            hello: peer.hello,
            confirm: None,
            confirmed: standing.received,
            next: standing.first,
        };
        self.links.bind(connection.key(), session);
        self.ready.insert(connection.key().clone());
    }

    async fn line(&mut self, socket: SocketId, line: &str) -> Result<(), RunError> {
        // Lines that were on their way when their socket was given up: the peer sends them again.
        let Some(connection) = self.links.connection(socket) else { return Ok(()) };
        let connection: Id<Connection<P::Node>> = Id::new(connection);
        let Some(session) = self.links.session_mut(connection.key()) else { return Ok(()) };
        let resumed = session.resumed;
        session.heard |= resumed;
        (session.quiet, session.asked) = (Instant::now(), None);
        let asks = self.settings.dialect == Dialect::Amiko;
        let broken = match wire::parse(line, self.settings.depth) {
            Ok(Frame::Standing { about: About::Resume, standing }) if !resumed => {
                self.resume(&connection, standing).await?
            }
            Ok(Frame::Standing { about, standing }) if resumed && asks && about != About::Resume => {
                self.compare(&connection, about, standing).await?
            }
            Ok(Frame::Standing { .. }) => Some(ProtocolError::Standing),
            Ok(_) if !resumed => Some(ProtocolError::Standing),
            Ok(Frame::Message { index, message }) => self.message(&connection, index, message).await?,
            Ok(Frame::Received { index }) => self.received(&connection, index).await?,
            Ok(Frame::Hello { .. }) => Some(ProtocolError::Hello { first: false }),
            Err(error) => Some(ProtocolError::Frame(error)),
        };
        if let Some(error) = broken {
            self.links.disconnect(connection.key(), &Disconnect::Protocol(error));
        }
        Ok(())
    }

    /// The first line of a peer that dialled.
    async fn greeted(&mut self, stranger: Stranger, key: Option<PublicKey>, line: &str) -> Result<(), RunError> {
        let hello = match wire::parse(line, self.settings.depth) {
            Ok(Frame::Hello { message }) => {
                wire::read_message(message, self.settings.depth).map_err(ProtocolError::Message)
            }
            Ok(_) => Err(ProtocolError::Hello { first: true }),
            Err(error) => Err(ProtocolError::Frame(error)),
        };
        let hello = match hello {
            Ok(hello) => hello,
            Err(error) => {
                self.settings.tell(Event::ProtocolError { connection: None, peer: &stranger.peer, error: &error });
                stranger.socket.abort();
                return Ok(());
            }
        };
        // What waits may close this very connection, or confirm something on it.
        self.settle().await?;
        match self.welcome(key, hello).await? {
            Ok((connection, dice)) => {
                let peer = Peer { address: stranger.peer, dice, dialled: false, hello: Vec::new() };
                self.meet(&connection, stranger.socket, peer);
            }
            Err(refusal) => {
                if let Refusal::Conflict { connection } = &refusal
                    && let Some(standing) = self.engine.standing(&Id::new(connection.clone()))
                {
                    // So that the peer sees it too.
                    let mut last = Vec::new();
                    wire::push_standing(&mut last, About::Resume, &standing);
                    stranger.socket.write(last);
                }
                self.links.refuse(stranger, &refusal);
            }
        }
        Ok(())
    }

    /// Asks the application which connection a hello is for, and does what it wants done first.
    async fn welcome(
        &mut self,
        key: Option<PublicKey>,
        hello: <P::Node as Tree>::Network,
    ) -> Result<Result<(Id<Connection<P::Node>>, Option<[u8; 4]>), Refusal>, RunError> {
        let Welcome { connection, dice, event } = match self.protocol.welcome(self.engine.node(), key, hello) {
            Ok(welcome) => welcome,
            Err(rejection) => return Ok(Err(Refusal::Rejected(rejection))),
        };
        let key = connection.key();
        if self.engine.connection(&connection).is_some_and(|connection| connection.conflict.is_some()) {
            return Ok(Err(Refusal::Conflict { connection: key.clone() }));
        }
        if let Some(old) = self.links.session(key)
            && old.against(dice, self.settings.handshake) == Stays::Old
        {
            return Ok(Err(Refusal::Dice { connection: key.clone() }));
        }
        if let Some(event) = event {
            let refusal = match self.attempt(|engine, now| engine.command(event.clone(), None, now)).await? {
                Ok(_) => None,
                Err(EventError::Rejected(rejection)) => Some(Refusal::Rejected(rejection)),
                Err(error) => Some(Refusal::Failed(error)),
            };
            if let Some(refusal) = refusal {
                return Ok(Err(refusal));
            }
            self.settle().await?;
        }
        if self.engine.connection(&connection).is_none() {
            return Ok(Err(Refusal::NoConnection { connection: key.clone() }));
        }
        Ok(Ok((connection, dice)))
    }

    /// A peer says where it stands, before anything else. Gives the rule of the wire that it breaks, if it does.
    async fn resume(
        &mut self,
        connection: &Id<Connection<P::Node>>,
        theirs: Standing,
    ) -> Result<Option<ProtocolError>, RunError> {
        if let Some(session) = self.links.session_mut(connection.key())
            && session.dialled
        {
            // Only now: so it can't be older than what the peer has just said.
            wire::push_standing(&mut session.hello, About::Resume, &session.standing);
        }
        match self.attempt(|engine, now| engine.resume(connection, theirs, now)).await? {
            Ok(None) => {
                if let Some(session) = self.links.session_mut(connection.key()) {
                    session.resumed = true;
                    session.next = session.next.max(theirs.received);
                    self.ready.insert(connection.key().clone());
                }
            }
            Err(EventError::NoConnection { .. }) => {}
            Ok(Some(conflict)) => {
                // Nobody is told before it is kept.
                self.settle().await?;
                self.settings.tell(Event::Conflict { connection: connection.key(), conflict: &conflict });
                self.close(connection, &Disconnect::Conflict);
            }
            Err(error) => self.links.disconnect(connection.key(), &Disconnect::Failed(error)),
        }
        Ok(None)
    }

    /// A peer says how far it has come on this socket. Gives the rule of the wire that it breaks, if it does.
    async fn compare(
        &mut self,
        connection: &Id<Connection<P::Node>>,
        about: About,
        theirs: Standing,
    ) -> Result<Option<ProtocolError>, RunError> {
        if about == About::Ping
            && let Some(session) = self.links.session_mut(connection.key())
        {
            session.pong = true;
            self.ready.insert(connection.key().clone());
        }
        let received = self.engine.connection(connection).map_or(theirs.sent, |state| state.received);
        if received < theirs.sent {
            return Ok(Some(ProtocolError::Gap { missing: theirs.sent - received }));
        }
        match theirs.received.checked_sub(1) {
            Some(last) => self.confirmed(connection, last).await,
            None => Ok(None),
        }
    }

    /// A message of a peer: it acts, or is used up. Gives the rule of the wire that it breaks, if it does.
    async fn message(
        &mut self,
        connection: &Id<Connection<P::Node>>,
        index: u16,
        message: &str,
    ) -> Result<Option<ProtocolError>, RunError> {
        let Some(state) = self.engine.connection(connection) else { return Ok(None) };
        let index = wire::unwrap(index, state.received);
        let meaning = wire::read_message(message, self.settings.depth)
            .map_err(|error| Rejection::new(format!("expected a message that this node knows: {error}")))
            .and_then(|message| self.protocol.envelope(self.engine.node(), connection, message));
        let outcome = self.attempt(|engine, now| engine.receive(connection, index, meaning.clone(), now)).await?;
        let rejection = match outcome {
            Ok(_) | Err(EventError::NoConnection { .. }) => return Ok(None),
            Err(EventError::Future { index, expected }) => {
                return Ok(Some(ProtocolError::Future { index, expected }));
            }
            Err(EventError::Gap { missing }) => return Ok(Some(ProtocolError::Gap { missing })),
            Err(EventError::Rejected(rejection)) => rejection,
            Err(error) => Rejection::new(error.to_string()),
        };
        self.settings.tell(Event::Rejected { connection: connection.key(), index, rejection: &rejection });
        Ok(None)
    }

    /// A confirmation of a peer. Gives the rule of the wire that it breaks, if it does.
    async fn received(
        &mut self,
        connection: &Id<Connection<P::Node>>,
        index: u16,
    ) -> Result<Option<ProtocolError>, RunError> {
        let Some(state) = self.engine.connection(connection) else { return Ok(None) };
        let index = wire::unwrap(index, state.first_unconfirmed());
        self.confirmed(connection, index).await
    }

    async fn confirmed(
        &mut self,
        connection: &Id<Connection<P::Node>>,
        index: u64,
    ) -> Result<Option<ProtocolError>, RunError> {
        if index >= self.engine.sendable(connection) {
            return Ok(Some(ProtocolError::NotSent { index }));
        }
        // Where it can't be kept, the message stays in the outbox: it is sent again, and confirmed again.
        self.attempt(|engine, now| engine.confirm(connection, index, now)).await?.ok();
        Ok(None)
    }

    /// A peer has said nothing for a while. It is asked whether it is there, and given up if that goes on. By index alone
    /// it can't be asked: then it is a fault only if it owes a confirmation.
    fn silent(&mut self, socket: SocketId) {
        let Some(connection) = self.links.connection(socket).map(str::to_owned) else { return };
        let limit = self.settings.silence;
        let Some(session) = self.links.session_mut(&connection) else { return };
        if self.settings.dialect == Dialect::Amiko {
            match session.asked {
                // Its time to say where it stands is limited otherwise.
                None if !session.resumed => {}
                None => {
                    (session.asked, session.ping) = (Some(Instant::now()), true);
                    self.ready.insert(connection);
                }
                Some(asked) if asked.elapsed() < limit / 4 => {}
                Some(_) => self.links.disconnect(&connection, &Disconnect::Silent { limit }),
            }
            return;
        }
        let owes = self
            .engine
            .connection(&Id::new(connection.clone()))
            .is_some_and(|state| state.first_unconfirmed() < session.next);
        if owes && session.quiet.elapsed() >= limit {
            self.links.disconnect(&connection, &Disconnect::Silent { limit });
        }
    }

    fn ended(&mut self, socket: SocketId, reason: End) {
        if let Some(stranger) = self.links.take_stranger(socket) {
            let reason = match reason {
                End::NoHello => Refusal::Timeout { limit: self.settings.handshake },
                End::Disconnect(reason) => Refusal::Lost(reason),
            };
            self.links.refuse(stranger, &reason);
        } else if let Some(connection) = self.links.connection(socket).map(str::to_owned) {
            let reason = match reason {
                End::NoHello => Disconnect::NoAnswer { limit: self.settings.handshake },
                End::Disconnect(reason) => reason,
            };
            self.links.disconnect(&connection, &reason);
        }
    }

    /// What a peer's message caused is on disk: it may be confirmed.
    pub(super) fn confirm(&mut self, connection: &Id<Connection<P::Node>>, index: u64) {
        if let Some(session) = self.links.session_mut(connection.key()) {
            session.confirm = Some(session.confirm.map_or(index, |earlier| earlier.max(index)));
            session.confirmed = session.confirmed.max(index.saturating_add(1));
            self.ready.insert(connection.key().clone());
        }
    }

    /// A connection needs its socket no more: the peer is told what it may forget, and then it is closed.
    pub(super) fn close(&mut self, connection: &Id<Connection<P::Node>>, reason: &Disconnect) {
        if let Some(session) = self.links.session_mut(connection.key()) {
            let mut batch = std::mem::take(&mut session.hello);
            if let Some(index) = session.confirm.take() {
                wire::push_received(&mut batch, index);
            }
            if !batch.is_empty() {
                session.socket.write(batch);
            }
        }
        self.links.close(connection.key(), reason);
    }

    /// Gives a socket its next batch, if it has written the one before: of the outbox, what may leave.
    pub(super) fn pump(&mut self, connection: &Id<Connection<P::Node>>) {
        let end = self.engine.sendable(connection);
        let Some(session) = self.links.session_mut(connection.key()) else { return };
        if session.writing {
            return;
        }
        let mut batch = std::mem::take(&mut session.hello);
        if let Some(index) = session.confirm.take() {
            wire::push_received(&mut batch, index);
        }
        if let Some(state) = self.engine.connection(connection).filter(|_| session.resumed) {
            if state.first_unconfirmed() >= session.next {
                // The peer owes nothing yet; with what is sent now it begins to.
                session.quiet = Instant::now();
            }
            while session.next < end && batch.len() < self.settings.batch.max(1) {
                let index = session.next;
                session.next += 1;
                // It may have been confirmed on an earlier socket meanwhile.
                let Some(message) = state.outbox.get(&index) else { continue };
                let (line, depth) = (self.settings.line, self.settings.depth);
                if let Err(error) = wire::push_message(&mut batch, Some(index), &**message, line, depth) {
                    wire::push_nothing(&mut batch, index);
                    self.settings.tell(Event::Unsendable { connection: connection.key(), index, error: &error });
                }
            }
        }
        // After the messages that they count.
        let standing = Standing { received: session.confirmed, first: session.standing.first, sent: session.next };
        for (about, wanted) in [(About::Ping, &mut session.ping), (About::Pong, &mut session.pong)] {
            if std::mem::take(wanted) {
                wire::push_standing(&mut batch, about, &standing);
            }
        }
        if !batch.is_empty() {
            session.writing = true;
            session.socket.write(batch);
        }
    }
}
