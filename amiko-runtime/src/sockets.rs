//! The sockets of a node, by the IDs that its conversations use: listening, dialling, and the task of each.
//!
//! Invariant: a socket that was closed here reports nothing any more but its end.

use crate::places::{Place, Places};
use crate::settings::RuntimeSettings;
use crate::socket::{Opening, Signal, Socket};
use crate::transport::Transport;
use amiko_core::conversation::{Refusal, SocketId};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

/// All sockets of a node.
pub(crate) struct Sockets<T: Transport> {
    transport: Arc<T>,
    settings: RuntimeSettings,
    signals: mpsc::Sender<Signal<T>>,
    tasks: JoinSet<()>,
    open: HashMap<SocketId, Socket>,
    dialling: HashMap<SocketId, AbortHandle>,
    listening: Option<AbortHandle>,
    places: Places,
}

impl<T: Transport> Sockets<T> {
    pub(crate) fn new(transport: T, settings: RuntimeSettings, signals: mpsc::Sender<Signal<T>>) -> Self {
        Self {
            transport: Arc::new(transport),
            settings,
            signals,
            tasks: JoinSet::new(),
            open: HashMap::new(),
            dialling: HashMap::new(),
            listening: None,
            places: Places::default(),
        }
    }

    /// Starts accepting peers.
    pub(crate) fn listen(&mut self, listener: T::Listener) {
        let (transport, signals) = (Arc::clone(&self.transport), self.signals.clone());
        let breath = self.settings.conversation.back_off_first;
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
                    // Most likely there are no file descriptors left: retrying at once would only burn CPU time.
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

    /// Takes a place for one more socket of this address, unless it, or the node, has too many.
    pub(crate) fn place(&self, peer: SocketAddr) -> Result<Place, Refusal> {
        self.places.take(peer.ip(), self.settings.sockets_per_address, self.settings.sockets)
    }

    /// Opens the socket of a peer that dialled.
    pub(crate) fn accept(&mut self, id: SocketId, incoming: T::Incoming, place: Place) {
        let transport = Arc::clone(&self.transport);
        self.open(id, Opening::Accepted { transport, incoming }, Some(place));
    }

    fn open(&mut self, id: SocketId, opening: Opening<T>, place: Option<Place>) {
        let socket = Socket::open(opening, id, place, &self.settings, &self.signals, &mut self.tasks);
        self.open.insert(id, socket);
    }

    /// Starts dialling.
    pub(crate) fn dial(&mut self, id: SocketId, address: String) {
        let (transport, signals) = (Arc::clone(&self.transport), self.signals.clone());
        let task = self.tasks.spawn(async move {
            let outcome = transport.dial(&address).await;
            // If the loop has ended, nobody listens.
            let _ = signals.send(Signal::Dialled { socket: id, outcome }).await;
        });
        self.dialling.insert(id, task);
    }

    /// Opens the socket that was dialled; false if nobody waits for it any more.
    pub(crate) fn dialled(&mut self, id: SocketId, stream: T::Stream) -> bool {
        let awaited = self.dialling.remove(&id).is_some();
        if awaited {
            self.open(id, Opening::Dialled(stream), None);
        }
        awaited
    }

    /// Queues a batch on a socket.
    pub(crate) fn write(&self, id: SocketId, batch: Vec<u8>) {
        if let Some(socket) = self.open.get(&id) {
            socket.write(batch);
        }
    }

    /// Closes a socket after its queued batches and this last one.
    pub(crate) fn close(&mut self, id: SocketId, last: Vec<u8>) {
        if let Some(socket) = self.open.remove(&id)
            && !last.is_empty()
        {
            socket.write(last);
        }
    }

    /// Closes a socket at once, or stops dialling it.
    pub(crate) fn abort(&mut self, id: SocketId) {
        if let Some(dialling) = self.dialling.remove(&id) {
            dialling.abort();
        }
        if let Some(socket) = self.open.remove(&id) {
            socket.abort();
        }
    }

    /// Closes everything. Batches of closed sockets are still sent, if the peers take them in time.
    pub(crate) async fn farewell(mut self, signals: &mut mpsc::Receiver<Signal<T>>) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
        self.dialling.into_values().for_each(|dialling| dialling.abort());
        self.open.into_values().for_each(Socket::abort);
        let mut late = pin!(sleep(self.settings.farewell));
        loop {
            tokio::select! {
                task = self.tasks.join_next() => if task.is_none() { return },
                // Lines that still arrive are left to the next start: nobody has been told that they arrived.
                _ = signals.recv() => {}
                () = &mut late => return,
            }
        }
    }
}
