//! Nodes without an engine: the test speaks for them, and may say anything.
//!
//! Invariant: a puppet says what a peer could say on a socket of its own, and nothing else: it can't answer for another node.

use super::{Heard, World};
use crate::conversation::{
    About, Frame, Protocol, PublicKey, parse, push_message, push_received, push_resume_point, read_message,
};
use crate::dispatcher::{Connection, ResumePoint};
use crate::engine::EventError;
use crate::sim::network::{Packet, Piece, Side};
use crate::sim::{NodeIndex, SimVfs};
use crate::tree::Id;
use crate::tree::Tree;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a puppet knows of a socket that it has dialled.
struct Spoken {
    to: NodeIndex,
    /// The number of its next message; none before the peer has said where it stands.
    next: Option<u64>,
}

/// Its sockets, by their numbers.
#[derive(Default)]
pub(super) struct Puppet(BTreeMap<u64, Spoken>);

impl<P: Protocol> World<P> {
    /// Adds a node that does nothing by itself. It dials with [`World::puppet_dials`] and speaks with
    /// [`World::puppet_says`]; what it hears is among [`World::take_heard`]. It never answers at its address.
    pub fn add_puppet(&mut self, address: &str) -> NodeIndex {
        self.push(address, SimVfs::new(), None, Some(Puppet::default()))
    }

    pub(super) fn is_puppet(&self, node: NodeIndex) -> bool {
        self.host(node).puppet.is_some()
    }

    /// Has a puppet dial a node, prove that it has a key if it is to, and say hello. The number of the socket, if anybody
    /// answers.
    pub fn puppet_dials(
        &mut self,
        puppet: NodeIndex,
        to: NodeIndex,
        key: Option<PublicKey>,
        hello: <P::Node as Tree>::Network,
    ) -> Option<u64> {
        let there = self.engine(to).is_some() && self.network.is_open(puppet, to);
        self.hosts.get(puppet).filter(|host| host.puppet.is_some() && there)?;
        let (line, id) = (self.line_of(None, &hello)?, self.accept(to, puppet, key)?);
        let socket = self.network.open((puppet, None), (to, Some(id)), self.now);
        self.host_mut(to).sockets.insert(id, (socket, Side::Answerer));
        if let Some(Puppet(sockets)) = &mut self.host_mut(puppet).puppet {
            sockets.insert(socket, Spoken { to, next: None });
        }
        self.say(socket, Side::Answerer, Piece::Line(line));
        Some(socket)
    }

    /// Makes a puppet send a message on one of its sockets, with the number that the peer expects.
    ///
    /// # Errors
    /// There is no such socket; the peer has closed it, or hasn't said yet where it stands.
    pub fn puppet_says(
        &mut self,
        puppet: NodeIndex,
        socket: u64,
        message: <P::Node as Tree>::Network,
    ) -> Result<(), EventError> {
        let none = || EventError::NoConnection { connection: format!("socket {socket} of node {puppet}") };
        let found = self.hosts.get_mut(puppet).and_then(|host| host.puppet.as_mut()?.0.get_mut(&socket));
        let next = found.and_then(|line| line.next.as_mut()).ok_or_else(none)?;
        let index = *next;
        *next += 1;
        let line = self.line_of(Some(index), &message).ok_or_else(none)?;
        self.say(socket, Side::Answerer, Piece::Line(line));
        Ok(())
    }

    /// The sockets of a puppet on which it can speak, and with whom.
    pub fn puppet_sockets(&self, puppet: NodeIndex) -> Vec<(u64, NodeIndex)> {
        let sockets = self.hosts.get(puppet).and_then(|host| host.puppet.as_ref()).map(|puppet| puppet.0.iter());
        let speaking = |(socket, line): (&u64, &Spoken)| line.next.map(|_| (*socket, line.to));
        sockets.into_iter().flatten().filter_map(speaking).collect()
    }

    fn line_of(&self, index: Option<u64>, message: &<P::Node as Tree>::Network) -> Option<Vec<u8>> {
        let (mut line, settings) = (Vec::new(), &self.conversation);
        push_message(&mut line, index, message, settings.line, settings.depth).ok()?;
        Some(line)
    }

    pub(super) fn puppet_hears(&mut self, node: NodeIndex, Packet { socket, piece, .. }: Packet) {
        let (depth, time) = (self.conversation.depth, self.clock(node));
        let Some(Puppet(sockets)) = &mut self.hosts[node].puppet else { return };
        let Some(known) = sockets.get_mut(&socket) else { return };
        let Piece::Line(line) = piece else {
            sockets.remove(&socket);
            return self.network.close(socket, Side::Dialler);
        };
        let Ok(frame) = parse(std::str::from_utf8(&line).unwrap_or_default().trim_end(), depth) else { return };
        let mut answer = Vec::new();
        match frame {
            Frame::ResumePoint { about: About::Resume, standing, .. } if known.next.is_none() => {
                // It stands wherever the peer believes it to.
                known.next = Some(standing.received);
                let ResumePoint { received, sent, .. } = standing;
                push_resume_point(
                    &mut answer,
                    About::Resume,
                    &ResumePoint { received: sent, first: received, sent: received },
                    time,
                );
            }
            Frame::Message { index, message } => {
                let (from, index) = (known.to, u64::from(index));
                push_received(&mut answer, index);
                if let (Some(heard), Ok(message)) = (&mut self.heard, read_message(message, depth)) {
                    let connection: Id<Connection<P::Node>> = Id::new(format!("socket {socket}"));
                    let message = Arc::new(message);
                    heard.push(Heard { from, to: node, connection, index, message, acted: true });
                }
            }
            Frame::ResumePoint { about: About::Ping, standing, .. } => {
                let ours = ResumePoint { received: standing.sent, first: 0, sent: standing.received };
                push_resume_point(&mut answer, About::Pong, &ours, time);
            }
            Frame::ResumePoint { .. } | Frame::Hello { .. } | Frame::Received { .. } => {}
        }
        if !answer.is_empty() {
            self.say(socket, Side::Answerer, Piece::Line(answer));
        }
    }
}
