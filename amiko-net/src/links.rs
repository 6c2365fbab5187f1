//! Sockets, and which connection each is for: strangers, sessions, and the dialling of those that have none.
//!
//! Invariant: a connection has at most one session, and is dialled only while it has none; a signal of a socket that
//! isn't known here any more means nothing.

use crate::dial::{Dial, pause};
use crate::error::{DialError, Disconnect, Refusal};
use crate::event::Event;
use crate::places::{Place, Places};
use crate::session::Session;
use crate::settings::NetSettings;
use crate::socket::{Opening, Signal, Socket, SocketId};
use crate::transport::Transport;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// A peer that dialled and hasn't said yet what for.
pub(crate) struct Stranger {
    pub(crate) socket: Socket,
    pub(crate) peer: String,
}

/// All sockets of a node, by the keys of their connections.
pub(crate) struct Links<T: Transport> {
    transport: Arc<T>,
    settings: NetSettings,
    signals: mpsc::Sender<Signal<T>>,
    tasks: JoinSet<()>,
    last: u64,
    /// The oldest first.
    strangers: BTreeMap<SocketId, Stranger>,
    connections: HashMap<SocketId, String>,
    sessions: HashMap<String, Session>,
    dials: HashMap<String, Dial>,
    listening: Option<AbortHandle>,
    places: Places,
}

impl<T: Transport> Links<T> {
    pub(crate) fn new(transport: Arc<T>, settings: NetSettings, signals: mpsc::Sender<Signal<T>>) -> Self {
        Self {
            transport,
            settings,
            signals,
            tasks: JoinSet::new(),
            last: 0,
            strangers: BTreeMap::new(),
            connections: HashMap::new(),
            sessions: HashMap::new(),
            dials: HashMap::new(),
            listening: None,
            places: Places::default(),
        }
    }

    fn fresh(&mut self) -> SocketId {
        self.last += 1;
        SocketId(self.last)
    }

    /// Begins to accept peers.
    pub(crate) fn listen(&mut self, listener: T::Listener) {
        let (transport, signals) = (Arc::clone(&self.transport), self.signals.clone());
        let breath = self.settings.back_off_first;
        let task = self.tasks.spawn(async move {
            loop {
                let signal = match transport.accept(&listener).await {
                    Ok((incoming, peer)) => Signal::Accepted { incoming, peer },
                    Err(error) => Signal::AcceptFailed { error },
                };
                let failed = matches!(signal, Signal::AcceptFailed { .. });
                if signals.send(signal).await.is_err() {
                    return;
                }
                if failed {
                    // Out of file descriptors, most likely: trying at once would only burn time.
                    sleep(breath).await;
                }
            }
        });
        self.listening = Some(task);
    }

    /// Forgets tasks that have ended.
    pub(crate) fn reap(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    /// Opens a socket; one of a peer that dialled, with its place.
    pub(crate) fn open(&mut self, opening: Opening<T>, place: Option<Place>) -> Socket {
        let id = self.fresh();
        Socket::open(opening, id, place, &self.settings, &self.signals, &mut self.tasks)
    }

    /// Lets a peer that dialled say what for.
    pub(crate) fn accept(&mut self, incoming: T::Incoming, peer: SocketAddr) {
        let limit = self.settings.sockets_per_address.max(1);
        let Some(place) = self.places.take(peer.ip(), limit) else {
            // Those that are there are worth more than one more.
            let reason = Refusal::Address { limit };
            return self.settings.tell(Event::Refused { peer: &peer.to_string(), reason: &reason });
        };
        let limit = self.settings.strangers.max(1);
        while self.strangers.len() >= limit {
            // The oldest one: who means it says hello at once.
            let Some((_, oldest)) = self.strangers.pop_first() else { break };
            self.refuse(oldest, &Refusal::Crowded { limit });
        }
        let transport = Arc::clone(&self.transport);
        let socket = self.open(Opening::Accepted { transport, incoming }, Some(place));
        self.strangers.insert(socket.id, Stranger { socket, peer: peer.to_string() });
    }

    pub(crate) fn take_stranger(&mut self, socket: SocketId) -> Option<Stranger> {
        self.strangers.remove(&socket)
    }

    pub(crate) fn refuse(&self, stranger: Stranger, reason: &Refusal) {
        self.settings.tell(Event::Refused { peer: &stranger.peer, reason });
        // Where it was told something, that is sent.
        if !matches!(reason, Refusal::Conflict { .. }) {
            stranger.socket.abort();
        }
    }

    /// The connection that a socket is for.
    pub(crate) fn connection(&self, socket: SocketId) -> Option<&str> {
        self.connections.get(&socket).map(String::as_str)
    }

    pub(crate) fn session(&self, connection: &str) -> Option<&Session> {
        self.sessions.get(connection)
    }

    pub(crate) fn session_mut(&mut self, connection: &str) -> Option<&mut Session> {
        self.sessions.get_mut(connection)
    }

    /// The connections that have a socket, in order.
    pub(crate) fn connected(&self) -> Vec<String> {
        let mut connected: Vec<String> = self.sessions.keys().cloned().collect();
        connected.sort();
        connected
    }

    /// Gives a connection its socket, in the place of the one that it may have.
    pub(crate) fn bind(&mut self, connection: &str, session: Session) {
        if let Some(old) = self.remove(connection, &Disconnect::Replaced) {
            old.socket.abort();
        }
        if let Some(dial) = self.dials.get_mut(connection) {
            dial.rest();
        }
        let (peer, dialled) = (&session.peer, session.dialled);
        self.settings.tell(Event::Connected { connection, peer, dialled });
        self.connections.insert(session.socket.id, connection.to_owned());
        self.sessions.insert(connection.to_owned(), session);
    }

    fn remove(&mut self, connection: &str, reason: &Disconnect) -> Option<Session> {
        let session = self.sessions.remove(connection)?;
        self.connections.remove(&session.socket.id);
        if let Disconnect::Protocol(error) = reason {
            let connection = Some(connection);
            self.settings.tell(Event::ProtocolError { connection, peer: &session.peer, error });
        }
        self.settings.tell(Event::Disconnected { connection, reason });
        Some(session)
    }

    /// Takes the socket from a connection, and dials it again where it has an address.
    pub(crate) fn disconnect(&mut self, connection: &str, reason: &Disconnect) {
        let Some(session) = self.remove(connection, reason) else { return };
        let good = session.was_good(self.settings.handshake);
        session.socket.abort();
        if let Some(dial) = self.dials.get_mut(connection) {
            dial.failures = if good { 1 } else { dial.failures.saturating_add(1) };
            self.redial(connection);
        }
    }

    /// Ends a connection: no dialling any more, and its socket is closed after what was given to it.
    pub(crate) fn close(&mut self, connection: &str, reason: &Disconnect) {
        self.dials.remove(connection);
        drop(self.remove(connection, reason));
    }

    /// Sets where a connection is dialled, if at all. A socket that it has is with whoever was meant before.
    pub(crate) fn dial(&mut self, connection: &str, address: Option<&str>) {
        self.dials.remove(connection);
        if let Some(session) = self.remove(connection, &Disconnect::Readdressed) {
            session.socket.abort();
        }
        if let Some(address) = address {
            self.dials.insert(connection.to_owned(), Dial::new(address.to_owned()));
            self.redial(connection);
        }
    }

    /// Dials after a pause, and gives it.
    fn redial(&mut self, connection: &str) -> Duration {
        let dialling = self.fresh();
        let Some(dial) = self.dials.get_mut(connection) else { return Duration::ZERO };
        let (transport, signals) = (Arc::clone(&self.transport), self.signals.clone());
        let (connection, address) = (connection.to_owned(), dial.address.clone());
        let (wait, limit) = (pause(&self.settings, dial.failures), self.settings.handshake);
        dial.rest();
        let task = self.tasks.spawn(async move {
            // Even the shortest sleep lasts until the next tick of tokio's clock, of a millisecond.
            if !wait.is_zero() {
                sleep(wait).await;
            }
            let outcome = match timeout(limit, transport.dial(&address)).await {
                Ok(outcome) => outcome.map_err(DialError::from),
                Err(_) => Err(DialError::Timeout { limit }),
            };
            // Nobody listens any more when the loop has ended.
            let _ = signals.send(Signal::Dialled { connection, dialling, outcome }).await;
        });
        dial.attempt = Some((dialling, task));
        wait
    }

    /// Whether this attempt is the one under way; it isn't any more.
    pub(crate) fn dialled(&mut self, connection: &str, dialling: SocketId) -> Option<String> {
        let dial = self.dials.get_mut(connection)?;
        dial.attempt.take_if(|(attempt, _)| *attempt == dialling)?;
        Some(dial.address.clone())
    }

    /// Takes note that a peer couldn't be dialled, and dials it again.
    pub(crate) fn dial_failed(&mut self, connection: &str, error: &DialError) {
        let Some(dial) = self.dials.get_mut(connection) else { return };
        dial.failures = dial.failures.saturating_add(1);
        let address = dial.address.clone();
        let retry = self.redial(connection);
        self.settings.tell(Event::DialFailed { connection, address: &address, error, retry });
    }

    /// Closes everything: what was given to the sockets is sent, if the peers take it in time.
    pub(crate) async fn farewell(mut self, signals: &mut mpsc::Receiver<Signal<T>>) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
        self.dials.clear();
        while let Some((_, stranger)) = self.strangers.pop_first() {
            stranger.socket.abort();
        }
        let mut late = pin!(sleep(self.settings.farewell));
        loop {
            tokio::select! {
                task = self.tasks.join_next() => if task.is_none() { return },
                // What still comes in is left to the next start: nobody has been told that it arrived.
                _ = signals.recv() => {}
                () = &mut late => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amiko_core::PublicKey;
    use std::io;
    use tokio::io::{DuplexStream, duplex};
    use tokio::time::{Instant, advance};

    /// Peers that are reached at once.
    struct There;

    impl Transport for There {
        type Stream = DuplexStream;
        type Incoming = DuplexStream;
        type Listener = ();

        async fn listen(&self, _: SocketAddr) -> io::Result<()> {
            Ok(())
        }

        fn local_addr(&self, (): &()) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::Unsupported.into())
        }

        async fn accept(&self, (): &()) -> io::Result<(DuplexStream, SocketAddr)> {
            std::future::pending().await
        }

        async fn handshake(&self, incoming: DuplexStream) -> io::Result<(DuplexStream, Option<PublicKey>)> {
            Ok((incoming, None))
        }

        async fn dial(&self, _: &str) -> io::Result<DuplexStream> {
            Ok(duplex(1).0)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_dial_waits_for_nothing_and_not_even_for_a_tick_of_the_clock() {
        let (signal, mut signals) = mpsc::channel(1);
        let mut links = Links::new(Arc::new(There), NetSettings::default(), signal);
        // Between two ticks.
        advance(Duration::from_micros(500)).await;
        let start = Instant::now();
        links.dial("peer", Some("there"));
        assert!(matches!(signals.recv().await, Some(Signal::Dialled { outcome: Ok(_), .. })));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
