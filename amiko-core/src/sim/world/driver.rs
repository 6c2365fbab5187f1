//! Carries bytes between the conversations of nodes.
//!
//! Invariant: what is said, to whom and when is the conversations' to decide; this only obeys, and knows lines by their ends.

use super::World;
use super::processes::with_sources;
use crate::conversation::{Action, DialError, Disconnect, Moment, Progress, Protocol, PublicKey, SocketId, reach};
use crate::sim::network::{Packet, Piece, Sent, Side, SocketNumber};
use crate::sim::trace::Happening;
use crate::sim::{FaultKind, NodeIndex};
use crate::time::Time;
use std::io;
use std::time::Duration;

impl<P: Protocol> World<P> {
    /// The time of sockets.
    pub(super) fn moment(&self) -> Moment {
        self.now - Time::default()
    }

    /// When the conversations of a node have something to look after.
    pub(super) fn timeout(&self, node: NodeIndex) -> Option<Time> {
        let host = self.hosts.get(node).filter(|host| !host.silent)?;
        let at = host.conversations.as_ref()?.poll_timeout()?;
        // A world's clock has milliseconds; nothing is early.
        Some(Time::default() + (at + Duration::from_nanos(999_999)))
    }

    pub(super) fn look_after(&mut self, node: NodeIndex) {
        let now = self.moment();
        let host = self.host_mut(node);
        if let (Some(conversations), Some(engine)) = (&mut host.conversations, &host.engine) {
            conversations.handle_timeout(engine, now);
        }
        self.drive(node);
    }

    /// A way is open again. TCP asks again and again, so whoever is still dialling is answered now.
    pub(super) fn answer_dials(&mut self) {
        for (node, socket, address) in std::mem::take(&mut self.unanswered) {
            if self.dial(node, socket, &address) {
                self.drive(node);
            }
        }
    }

    /// A socket of a node is gone.
    pub(super) fn ended(&mut self, node: NodeIndex, socket: SocketId, reason: Disconnect) {
        let now = self.moment();
        if let Some(conversations) = &mut self.host_mut(node).conversations {
            conversations.handle_ended(socket, reason, now);
        }
        self.drive(node);
    }

    /// Has the conversations of a node work on what came in, and does what they want done.
    pub(super) fn drive(&mut self, node: NodeIndex) {
        loop {
            let (now, time) = (self.moment(), self.clock(node));
            let host = &mut self.hosts[node];
            let (Some(conversations), Some(engine)) = (&mut host.conversations, &mut host.engine) else { return };
            let before = engine.version();
            match conversations.advance(engine, &self.protocol, now, time) {
                Ok(Progress::Taken) => {
                    self.inputs += u64::from(engine.version() > before);
                    self.changed.insert(node);
                    self.release(node);
                }
                Ok(Progress::Sync) => self.sync(node),
                Ok(Progress::Idle) => {
                    if !self.obey(node) {
                        return;
                    }
                }
                Err(error) => return self.end_process(node, &with_sources(&error)),
            }
        }
    }

    /// Does what the conversations of a node want done. Whether something came in by that.
    fn obey(&mut self, node: NodeIndex) -> bool {
        let mut dialled = false;
        while let Some(action) = self.host_mut(node).conversations.as_mut().and_then(|found| found.poll_action()) {
            match action {
                Action::Dial { socket, address } => {
                    self.count_dial(node, &address);
                    dialled |= self.dial(node, socket, &address);
                }
                Action::Close { socket, last } => {
                    if let Some(&(number, side)) = self.host(node).sockets.get(&socket) {
                        self.say_all(number, side, &last);
                    }
                    self.close(node, socket);
                }
                Action::Abort { socket } => self.close(node, socket),
            }
        }
        let (now, time) = (self.moment(), self.clock(node));
        let transmit = |world: &mut Self| {
            let host = world.host_mut(node);
            let (conversations, engine) = (host.conversations.as_mut()?, host.engine.as_ref()?);
            let transmit = conversations.poll_transmit(engine, now, time)?;
            conversations.handle_written(transmit.socket);
            Some((*host.sockets.get(&transmit.socket)?, transmit.bytes))
        };
        while let Some(((number, side), bytes)) = transmit(self) {
            self.say_all(number, side, &bytes);
        }
        while let Some(event) = self.host_mut(node).conversations.as_mut().and_then(|found| found.poll_event()) {
            self.happened(&event);
        }
        dialled
    }

    /// Dials, or not. Whether that is known at once: where nothing comes through, nobody says so.
    fn dial(&mut self, node: NodeIndex, socket: SocketId, address: &str) -> bool {
        let now = self.moment();
        let addresses = self.hosts.iter().map(|host| host.address.as_str());
        let found = reach(addresses, &self.host(node).address, address);
        let open = found.is_none_or(|(peer, _)| self.network.is_open(node, peer) && !self.host(peer).silent);
        if !open {
            self.unanswered.push((node, socket, address.to_owned()));
            return false;
        }
        let accepted = found.and_then(|(peer, key)| Some((peer, self.accept(peer, node, key)?)));
        let outcome = match accepted {
            Some((peer, id)) => {
                let number = self.network.open((node, Some(socket)), (peer, Some(id)), self.now);
                self.host_mut(node).sockets.insert(socket, (number, Side::Dialler));
                self.host_mut(peer).sockets.insert(id, (number, Side::Answerer));
                Ok(())
            }
            None => Err(DialError::Transport(io::ErrorKind::ConnectionRefused.into())),
        };
        if let Some(conversations) = &mut self.host_mut(node).conversations {
            conversations.handle_dialled(socket, outcome, now);
        }
        true
    }

    /// A node accepts a socket of another one, if it is there and no puppet.
    pub(super) fn accept(&mut self, node: NodeIndex, from: NodeIndex, key: Option<PublicKey>) -> Option<SocketId> {
        let (now, peer) = (self.moment(), format!("node {from}"));
        let conversations = self.host_mut(node).conversations.as_mut()?;
        let id = conversations.handle_accepted(peer, now);
        if let Some(key) = key {
            conversations.handle_proven(id, key);
        }
        Some(id)
    }

    /// A node closes a socket.
    fn close(&mut self, node: NodeIndex, socket: SocketId) {
        self.unanswered.retain(|(dialler, dialling, _)| (*dialler, *dialling) != (node, socket));
        if let Some((number, side)) = self.host_mut(node).sockets.remove(&socket) {
            self.hang_up(number, side);
        }
    }

    pub(super) fn hang_up(&mut self, socket: SocketNumber, side: Side) {
        self.network.close(socket, side);
        self.say(socket, side.other(), Piece::Closed);
    }

    /// Sends lines, each of which may meet a fault of its own.
    fn say_all(&mut self, socket: SocketNumber, from: Side, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.say(socket, from.other(), Piece::Line(line.to_vec()));
        }
    }

    pub(super) fn say(&mut self, socket: SocketNumber, to: Side, piece: Piece) {
        let Some(found) = self.network.socket(socket) else { return };
        let (from, hearer) = (found.end(to.other()).node, found.end(to).node);
        let shown = self.trace.as_ref().map(|_| self.name(&piece));
        let faults = self.faults.is_some() && self.disturbances < self.limit;
        let met = match self.network.say(socket, to, piece, (self.now, faults), &mut self.random) {
            Sent::Passes | Sent::Waits => return,
            Sent::Lost => FaultKind::Loss,
            Sent::Twice => FaultKind::Duplication,
            Sent::OutOfOrder => FaultKind::Reordering,
        };
        *self.counts.entry(met).or_default() += 1;
        self.disturbances += u64::from(faults);
        if let (FaultKind::Loss, Some((line, _))) = (met, shown) {
            self.note(Happening::Lost { from, to: hearer, socket, line });
        }
    }

    /// Something has come to an end of a socket.
    pub(super) fn arrive(&mut self, packet: Packet) {
        let (socket, to) = (packet.socket, packet.to);
        let Some(found) = self.network.socket(socket) else { return };
        let (end, from) = (found.end(to), found.end(to.other()).node);
        let (node, open, id) = (end.node, end.open, end.id);
        if self.host(node).silent {
            return self.host_mut(node).waiting.push(packet);
        }
        if !open {
            // A machine that is there says that nobody listens.
            if packet.piece != Piece::Closed && (self.host(node).engine.is_some() || self.is_puppet(node)) {
                self.say(socket, to.other(), Piece::Closed);
            }
            return;
        }
        let shown = self.trace.as_ref().map(|_| self.name(&packet.piece));
        self.refused = None;
        match (id, &packet.piece) {
            (None, _) => self.puppet_hears(node, packet),
            (Some(id), Piece::Closed) => {
                self.ended(node, id, Disconnect::Ended);
                self.close(node, id);
            }
            (Some(id), Piece::Line(line)) => self.hear(node, from, id, line),
        }
        if let Some((line, message)) = shown {
            let refused = self.refused.take();
            self.note(Happening::Arrived { from, to: node, socket, line, message, refused });
        }
    }

    /// Gives a line to the conversations of a node, in two pieces.
    fn hear(&mut self, node: NodeIndex, from: NodeIndex, id: SocketId, line: &[u8]) {
        let heard = self.heard.as_ref().and_then(|_| self.understand(node, from, id, line));
        let (first, rest) = line.split_at(self.random.below(line.len() as u64 + 1) as usize);
        let now = self.moment();
        if let Some(conversations) = &mut self.host_mut(node).conversations {
            conversations.handle_bytes(id, first, now);
            conversations.handle_bytes(id, rest, now);
        }
        self.drive(node);
        if let (Some(all), Some(mut heard)) = (&mut self.heard, heard) {
            heard.acted &= self.refused.is_none();
            all.push(heard);
        }
    }
}
