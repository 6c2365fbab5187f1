//! The handling of each line, and of each answered dial.
//!
//! Invariant: whatever a peer sends costs it at most its own socket; a socket is bound to a connection only when nothing
//! waits for a sync; and an input that waits for one can be taken from its beginning again.

use super::error::{DialError, Disconnect, ProtocolError, Refusal};
use super::event::Event;
use super::frame::{self, About, Frame};
use super::links::Stranger;
use super::peer::PublicKey;
use super::protocol::{Acceptance, Draw, Protocol};
use super::session::{Patience, Session, Stays};
use super::settings::Dialect;
use super::{Action, Conversations, Input, Moment, Progress, SocketId};
use crate::dispatcher::{Connection, ResumePoint};
use crate::engine::{Engine, EventError};
use crate::machine::Node;
use crate::rejection::Rejection;
use crate::sabotage::{Sabotage, sabotaged};
use crate::store::{Store, StoreError};
use crate::time::Time;
use crate::tree::{Id, Tree};

/// Why an input isn't processed to its end.
enum Stop {
    /// It goes on after a sync.
    Sync,
    /// The store failed.
    Failed(EventError),
}

/// The connection that a hello is for, and the tie-breaker of its sender; or why it is refused.
type Welcomed = Result<(String, Option<[u8; 4]>), Refusal>;

/// The context of all steps.
struct Here<'h, P: Protocol, S: Store> {
    engine: &'h mut Engine<P::Node, S>,
    protocol: &'h P,
    /// For sockets.
    now: Moment,
    /// For events.
    time: Time,
}

impl<P: Protocol, S: Store> Here<'_, P, S> {
    /// Runs an operation of the engine.
    fn attempt<R>(
        &mut self,
        event: impl FnOnce(&mut Engine<P::Node, S>, Time) -> Result<R, EventError>,
    ) -> Result<Result<R, EventError>, Stop> {
        match event(self.engine, self.time) {
            // Each sync puts at least one event on disk, so the next attempt gets further.
            Err(EventError::Store(StoreError::BufferFull { .. })) if self.engine.unreleased() => Err(Stop::Sync),
            Err(error @ (EventError::Store(_) | EventError::Poisoned { .. })) => Err(Stop::Failed(error)),
            outcome => Ok(outcome),
        }
    }

    /// Goes on only when nothing waits for a sync.
    fn settled(&self) -> Result<(), Stop> {
        if self.engine.unreleased() { Err(Stop::Sync) } else { Ok(()) }
    }
}

impl Conversations {
    /// Processes the next input. `now` is for sockets, `time` for the events that it causes.
    ///
    /// # Errors
    /// The store failed: the state must be reopened.
    pub fn advance<P: Protocol, S: Store>(
        &mut self,
        engine: &mut Engine<P::Node, S>,
        protocol: &P,
        now: Moment,
        time: Time,
    ) -> Result<Progress, EventError> {
        let Some(input) = self.inputs.pop_front() else { return Ok(Progress::Idle) };
        let here = &mut Here { engine, protocol, now, time };
        let taken = match &input {
            Input::Dialled(socket) => self.dialled(here, *socket),
            Input::Drawn(socket, tie_breaker) => self.greet(here, *socket, *tie_breaker),
            Input::Line(socket, line) => self.line(here, *socket, line),
        };
        match taken {
            Ok(()) => Ok(Progress::Taken),
            Err(Stop::Sync) => {
                self.inputs.push_front(input);
                Ok(Progress::Sync)
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn dialled<P: Protocol, S: Store>(&mut self, here: &mut Here<'_, P, S>, socket: SocketId) -> Result<(), Stop> {
        // Pending outputs may close this very connection, or change its address.
        here.settled()?;
        let Some(connection) = self.links.dialling(socket) else {
            self.links.actions.push_back(Action::Abort { socket });
            return Ok(());
        };
        let id: Id<Connection<P::Node>> = Id::new(connection);
        let random = self.links.random_bytes();
        let Draw { tie_breaker, event } = here.protocol.draw(here.engine.node(), &id, random);
        if let Some(event) = event
            && let Err(error) = here.attempt(|engine, time| engine.command(event, None, time))?
        {
            let error = match error {
                EventError::Rejected(rejection) => DialError::Hello(rejection),
                error => DialError::Failed(error),
            };
            self.links.dial_failed(id.key(), error, here.now);
            return Ok(());
        }
        // An input of its own, so that a sync before the greeting doesn't cost another draw.
        self.inputs.push_front(Input::Drawn(socket, tie_breaker));
        Ok(())
    }

    /// Says hello on a dialled socket.
    fn greet<P: Protocol, S: Store>(
        &mut self,
        here: &mut Here<'_, P, S>,
        socket: SocketId,
        tie_breaker: [u8; 4],
    ) -> Result<(), Stop> {
        // What the draw has recorded, too.
        here.settled()?;
        let Some((connection, peer)) = self.links.dialled(socket) else {
            self.links.actions.push_back(Action::Abort { socket });
            return Ok(());
        };
        let id: Id<Connection<P::Node>> = Id::new(connection);
        match self.hello(here, &id, tie_breaker) {
            Ok(hello) => {
                let standing = here.engine.resume_point(&id).unwrap_or_default();
                let tie_breaker = Some(tie_breaker);
                self.meet(
                    id.key(),
                    socket,
                    Peer { address: peer, tie_breaker, dialled: true, hello, standing },
                    here.now,
                    here.time,
                );
            }
            Err(error) => {
                self.links.actions.push_back(Action::Abort { socket });
                self.links.dial_failed(id.key(), error, here.now);
            }
        }
        Ok(())
    }

    fn hello<P: Protocol, S: Store>(
        &self,
        here: &Here<'_, P, S>,
        connection: &Id<Connection<P::Node>>,
        tie_breaker: [u8; 4],
    ) -> Result<Vec<u8>, DialError> {
        let message = here.protocol.hello(here.engine.node(), connection, tie_breaker).map_err(DialError::Hello)?;
        let mut line = Vec::new();
        let settings = &self.links.settings;
        frame::push_message(&mut line, None, &message, settings.line, settings.depth).map_err(DialError::Unsendable)?;
        Ok(line)
    }

    /// Binds a socket to a connection: all unconfirmed messages that are released are sent on it once the peer has
    /// sent its resume point; by index alone, once the socket has proved to stay. One that the peer dialled has.
    fn meet(&mut self, connection: &str, socket: SocketId, mut peer: Peer, now: Moment, time: Time) {
        let (dialect, standing) = (self.links.settings.dialect, peer.standing);
        if dialect == Dialect::Amiko && !peer.dialled {
            frame::push_resume_point(&mut peer.hello, About::Resume, &standing, time);
        }
        let session = Session {
            socket,
            peer: peer.address,
            tie_breaker: peer.tie_breaker,
            dialled: peer.dialled,
            since: now,
            heard: false,
            standing,
            resumed: dialect == Dialect::ByIndex && !peer.dialled,
            quiet: now,
            asked: now,
            ping: false,
            pong: false,
            writing: false,
            hello: peer.hello,
            confirm: None,
            confirm_at: now,
            confirmed: standing.received,
            next: standing.first,
        };
        self.links.bind(connection, session, now);
    }

    fn line<P: Protocol, S: Store>(
        &mut self,
        here: &mut Here<'_, P, S>,
        socket: SocketId,
        line: &str,
    ) -> Result<(), Stop> {
        if self.links.stranger_mut(socket).is_some() {
            return self.greeted(here, socket, line);
        }
        // Lines that were in flight when their socket was given up: the peer sends them again.
        let Some(connection) = self.links.connection(socket) else { return Ok(()) };
        let connection: Id<Connection<P::Node>> = Id::new(connection);
        let (dialect, depth) = (self.links.settings.dialect, self.links.settings.depth);
        if dialect == Dialect::ByIndex {
            // The peer keeps the socket that it speaks on.
            self.links.resume(connection.key());
        }
        let Some(session) = self.links.session_mut(connection.key()) else { return Ok(()) };
        let resumed = session.resumed;
        session.heard |= resumed;
        session.quiet = here.now;
        let asks = dialect == Dialect::Amiko;
        let frame = frame::parse(line, depth);
        if asks
            && let Ok(Frame::ResumePoint { time: Some(theirs), .. }) = &frame
            && let Err(error) = Self::clock(here, &connection, *theirs)?
        {
            self.links.disconnect(connection.key(), Disconnect::Failed(error), here.now);
            return Ok(());
        }
        let broken = match frame {
            Ok(Frame::ResumePoint { about: About::Resume, standing, .. }) if !resumed => {
                return self.resume(here, &connection, standing);
            }
            Ok(Frame::ResumePoint { about, standing, .. }) if resumed && asks && about != About::Resume => {
                self.compare(here, &connection, about, standing)?
            }
            Ok(Frame::ResumePoint { .. }) => Some(ProtocolError::ResumePoint),
            Ok(_) if !resumed => Some(ProtocolError::ResumePoint),
            Ok(Frame::Message { index, message }) => self.message(here, &connection, index, message)?,
            Ok(Frame::Received { index }) => Self::received(here, &connection, index)?,
            Ok(Frame::Hello { .. }) => Some(ProtocolError::Hello { first: false }),
            Err(error) => Some(ProtocolError::Frame(error)),
        };
        if let Some(error) = broken {
            self.links.disconnect(connection.key(), Disconnect::Protocol(error), here.now);
        }
        Ok(())
    }

    /// The first line of a peer that dialled.
    fn greeted<P: Protocol, S: Store>(
        &mut self,
        here: &mut Here<'_, P, S>,
        socket: SocketId,
        line: &str,
    ) -> Result<(), Stop> {
        // Pending outputs may close this very connection, or confirm something on it.
        here.settled()?;
        let Some(Stranger { key, welcome, .. }) = self.links.stranger_mut(socket) else { return Ok(()) };
        let (key, welcome) = (*key, welcome.clone());
        let welcomed = match welcome {
            Some(welcome) => Ok(welcome),
            None => match self.accept(here, key, line)? {
                Ok(welcome) => {
                    if let Some(stranger) = self.links.stranger_mut(socket) {
                        stranger.welcome = Some(welcome.clone());
                    }
                    // The outputs that the hello caused.
                    here.settled()?;
                    Ok(welcome)
                }
                Err(refusal) => Err(refusal),
            },
        };
        let standing = |connection: &String| here.engine.resume_point(&Id::new(connection.clone()));
        let missing = |connection: &String| Refusal::NoConnection { connection: connection.clone() };
        let met = welcomed.and_then(|(connection, tie_breaker)| {
            Ok((standing(&connection).ok_or_else(|| missing(&connection))?, connection, tie_breaker))
        });
        match met {
            Ok((standing, connection, tie_breaker)) => {
                let Some(stranger) = self.links.take_stranger(socket) else { return Ok(()) };
                let peer = Peer { address: stranger.peer, tie_breaker, dialled: false, hello: Vec::new(), standing };
                self.meet(&connection, socket, peer, here.now, here.time);
            }
            Err(refusal) => {
                let mut last = None;
                if let Refusal::Conflict { connection } = &refusal
                    && let Some(standing) = standing(connection)
                {
                    // So that the peer sees it too.
                    frame::push_resume_point(last.get_or_insert_default(), About::Resume, &standing, here.time);
                }
                self.links.refuse(socket, refusal, last);
            }
        }
        Ok(())
    }

    /// Asks the application which connection a hello is for, and delivers its event first.
    fn accept<P: Protocol, S: Store>(
        &mut self,
        here: &mut Here<'_, P, S>,
        key: Option<PublicKey>,
        line: &str,
    ) -> Result<Welcomed, Stop> {
        let hello = match self.read_hello::<P::Node>(line) {
            Ok(hello) => hello,
            Err(error) => return Ok(Err(Refusal::Protocol(error))),
        };
        let Acceptance { connection, tie_breaker, event } = match here.protocol.accept(here.engine.node(), key, hello) {
            Ok(welcome) => welcome,
            Err(rejection) => return Ok(Err(Refusal::Rejected(rejection))),
        };
        if here.engine.connection(&connection).is_some_and(|connection| connection.conflict.is_some()) {
            return Ok(Err(Refusal::Conflict { connection: connection.key().clone() }));
        }
        if let Some(old) = self.links.session(connection.key())
            && old.against(tie_breaker, &self.links.settings, here.now) == Stays::Old
        {
            return Ok(Err(Refusal::TieBreaker { connection: connection.key().clone() }));
        }
        if let Some(event) = event {
            match here.attempt(|engine, time| engine.command(event, None, time))? {
                Ok(_) => {}
                Err(EventError::Rejected(rejection)) => return Ok(Err(Refusal::Rejected(rejection))),
                Err(error) => return Ok(Err(Refusal::Failed(error))),
            }
        }
        Ok(Ok((connection.key().clone(), tie_breaker)))
    }

    fn read_hello<N: Node>(&self, line: &str) -> Result<N::Network, ProtocolError> {
        let depth = self.links.settings.depth;
        match frame::parse(line, depth) {
            Ok(Frame::Hello { message }) => frame::read_message(message, depth).map_err(ProtocolError::Message),
            Ok(_) => Err(ProtocolError::Hello { first: true }),
            Err(error) => Err(ProtocolError::Frame(error)),
        }
    }

    /// Tells the application what the peer's clock says.
    fn clock<P: Protocol, S: Store>(
        here: &mut Here<'_, P, S>,
        connection: &Id<Connection<P::Node>>,
        theirs: Time,
    ) -> Result<Result<(), EventError>, Stop> {
        match here.protocol.clock(here.engine.node(), connection, here.time, theirs) {
            Some(event) => here.attempt(|engine, time| engine.command(event, None, time).map(drop)),
            None => Ok(Ok(())),
        }
    }

    /// A peer sends its resume point, before anything else.
    fn resume<P: Protocol, S: Store>(
        &mut self,
        here: &mut Here<'_, P, S>,
        connection: &Id<Connection<P::Node>>,
        theirs: ResumePoint,
    ) -> Result<(), Stop> {
        let outcome = here.attempt(|engine, time| engine.resume(connection, theirs, time))?;
        if let Ok(Some(_)) = outcome {
            // A conflict must be on disk before anybody is told of it.
            here.settled()?;
        }
        if let Some(session) = self.links.session_mut(connection.key())
            && session.dialled
        {
            // Only now, so that it can't be older than the peer's.
            frame::push_resume_point(&mut session.hello, About::Resume, &session.standing, here.time);
        }
        match outcome {
            Ok(None) => {
                if let Some(session) = self.links.session_mut(connection.key()) {
                    session.next = session.next.max(theirs.received);
                }
                self.links.resume(connection.key());
            }
            Err(EventError::NoConnection { .. }) => {}
            Ok(Some(conflict)) => {
                let connection = connection.key().clone();
                self.links.events.push_back(Event::Conflict { connection: connection.clone(), conflict });
                self.close(&connection, Disconnect::Conflict);
            }
            Err(error) => self.links.disconnect(connection.key(), Disconnect::Failed(error), here.now),
        }
        Ok(())
    }

    /// Compares the peer's resume point on this socket. Returns the rule of the wire that it breaks, if any.
    fn compare<P: Protocol, S: Store>(
        &mut self,
        here: &mut Here<'_, P, S>,
        connection: &Id<Connection<P::Node>>,
        about: About,
        theirs: ResumePoint,
    ) -> Result<Option<ProtocolError>, Stop> {
        if about == About::Ping
            && let Some(session) = self.links.session_mut(connection.key())
        {
            session.pong = true;
            if sabotaged(Sabotage::PingUnanswered) {
                session.pong = false;
            }
            self.links.ready.insert(connection.key().clone());
        }
        let received = here.engine.connection(connection).map_or(theirs.sent, |state| state.received);
        if received < theirs.sent {
            return Ok(Some(ProtocolError::Gap { missing: theirs.sent - received }));
        }
        match theirs.received.checked_sub(1) {
            Some(last) => Self::confirmed(here, connection, last),
            None => Ok(None),
        }
    }

    /// Handles a message of a peer: it acts, or is used up. Returns the rule of the wire that it breaks, if any.
    fn message<P: Protocol, S: Store>(
        &mut self,
        here: &mut Here<'_, P, S>,
        connection: &Id<Connection<P::Node>>,
        index: u16,
        message: &str,
    ) -> Result<Option<ProtocolError>, Stop> {
        let Some(state) = here.engine.connection(connection) else { return Ok(None) };
        let mut index = frame::unwrap(index, state.received);
        if sabotaged(Sabotage::GapAccepted) {
            index = index.min(state.received);
        }
        let meaning = self.meaning(here, connection, message);
        let rejection = match here.attempt(|engine, time| engine.receive(connection, index, meaning, time))? {
            Ok(_) | Err(EventError::NoConnection { .. }) => return Ok(None),
            Err(EventError::Future { index, expected }) => {
                return Ok(Some(ProtocolError::Future { index, expected }));
            }
            Err(EventError::Gap { missing }) => return Ok(Some(ProtocolError::Gap { missing })),
            Err(EventError::Rejected(rejection)) => rejection,
            Err(error) => Rejection::new(error.to_string()),
        };
        let connection = connection.key().clone();
        self.links.events.push_back(Event::Rejected { connection, index, rejection });
        Ok(None)
    }

    fn meaning<P: Protocol, S: Store>(
        &self,
        here: &Here<'_, P, S>,
        connection: &Id<Connection<P::Node>>,
        message: &str,
    ) -> Result<<P::Node as Tree>::Envelope, Rejection> {
        let message = frame::read_message(message, self.links.settings.depth)
            .map_err(|error| Rejection::new(format!("expected a message that this node knows: {error}")))?;
        here.protocol.envelope(here.engine.node(), connection, message)
    }

    /// Handles a confirmation of a peer. Returns the rule of the wire that it breaks, if any.
    fn received<P: Protocol, S: Store>(
        here: &mut Here<'_, P, S>,
        connection: &Id<Connection<P::Node>>,
        index: u16,
    ) -> Result<Option<ProtocolError>, Stop> {
        let Some(state) = here.engine.connection(connection) else { return Ok(None) };
        let index = frame::unwrap(index, state.first_unconfirmed());
        Self::confirmed(here, connection, index)
    }

    fn confirmed<P: Protocol, S: Store>(
        here: &mut Here<'_, P, S>,
        connection: &Id<Connection<P::Node>>,
        index: u64,
    ) -> Result<Option<ProtocolError>, Stop> {
        if index >= here.engine.sendable(connection) {
            return Ok(Some(ProtocolError::NotSent { index }));
        }
        // If it can't be recorded, the message stays in the outbox: it is sent again, and confirmed again.
        here.attempt(|engine, time| engine.confirm(connection, index, time))?.ok();
        Ok(None)
    }

    /// It is time to ask a peer; one that doesn't answer is given up.
    pub(super) fn look_after<N: Node, S: Store>(
        &mut self,
        engine: &Engine<N, S>,
        connection: String,
        socket: SocketId,
        now: Moment,
    ) {
        let settings = self.links.settings.clone();
        let Some(session) = self.links.session_mut(&connection) else { return };
        let silent = Disconnect::Silent { limit: settings.silence };
        match session.patience(&settings, now) {
            Patience::Wait(at) => self.links.look_again(connection, socket, at),
            Patience::Resume => {
                self.links.resume(&connection);
                self.links.look_again(connection, socket, now);
            }
            Patience::Ask => {
                (session.asked, session.ping) = (now, true);
                self.links.ready.insert(connection.clone());
                self.links.look_again(connection, socket, now + settings.silence / 2);
            }
            Patience::SilentIfItOwes => {
                let state = engine.connection(&Id::new(connection.clone()));
                if state.is_some_and(|state| state.first_unconfirmed() < session.next) {
                    self.links.disconnect(&connection, silent, now);
                } else {
                    session.quiet = now;
                    self.links.look_again(connection, socket, now + settings.silence);
                }
            }
            Patience::Silent => self.links.disconnect(&connection, silent, now),
            Patience::NoAnswer => {
                let limit = settings.handshake;
                self.links.disconnect(&connection, Disconnect::NoAnswer { limit }, now);
            }
        }
    }
}

/// The peer at the other end of a new socket, and the first bytes to send.
struct Peer {
    address: String,
    tie_breaker: Option<[u8; 4]>,
    dialled: bool,
    hello: Vec<u8>,
    /// The resume point of this end.
    standing: ResumePoint,
}
