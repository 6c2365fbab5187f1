//! Nodes without an engine: whoever writes a test speaks for them, and may say anything.
//!
//! Invariant: a puppet says what a peer could say on a socket of its own, and nothing else: it can't answer for another node.

use super::{Heard, World};
use crate::conversation::{Protocol, PublicKey};
use crate::dispatcher::{Connection, Standing};
use crate::engine::EventError;
use crate::sim::network::{Line, Packet, Side};
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
        let socket = self.network.open((puppet, None), to, key, self.now);
        if let Some(Puppet(sockets)) = &mut self.host_mut(puppet).puppet {
            sockets.insert(socket, Spoken { to, next: None });
        }
        self.say(socket, Side::Answerer, Line::Hello { message: Arc::new(hello) });
        Some(socket)
    }

    /// Has a puppet say a message on one of its sockets, with the number that the peer expects. Gives back whether the
    /// socket is there and the peer has said where it stands.
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
        self.say(socket, Side::Answerer, Line::Message { index, message: Arc::new(message) });
        Ok(())
    }

    /// The sockets of a puppet on which it can speak, and with whom.
    pub fn puppet_sockets(&self, puppet: NodeIndex) -> Vec<(u64, NodeIndex)> {
        let sockets = self.hosts.get(puppet).and_then(|host| host.puppet.as_ref()).map(|puppet| puppet.0.iter());
        let speaking = |(socket, line): (&u64, &Spoken)| line.next.map(|_| (*socket, line.to));
        sockets.into_iter().flatten().filter_map(speaking).collect()
    }

    pub(super) fn puppet_hears(&mut self, node: NodeIndex, Packet { socket, line, .. }: Packet<P::Node>) {
        let Some(Puppet(sockets)) = &mut self.hosts[node].puppet else { return };
        let Some(known) = sockets.get_mut(&socket) else { return };
        let from = known.to;
        match line {
            Line::Resume(theirs) if known.next.is_none() => {
                // It stands wherever the peer believes it to.
                known.next = Some(theirs.received);
                let ours = Standing { received: theirs.sent, first: theirs.received, sent: theirs.received };
                self.say(socket, Side::Answerer, Line::Resume(ours));
            }
            Line::Message { index, message } => {
                self.say(socket, Side::Answerer, Line::Received { index });
                if let Some(heard) = &mut self.heard {
                    let connection: Id<Connection<P::Node>> = Id::new(format!("socket {socket}"));
                    heard.push(Heard { from, to: node, connection, index, message, acted: true });
                }
            }
            Line::Standing { asks: true, standing } => {
                let ours = Standing { received: standing.sent, first: 0, sent: standing.received };
                self.say(socket, Side::Answerer, Line::Standing { asks: false, standing: ours });
            }
            Line::Closed => {
                sockets.remove(&socket);
                self.network.close(socket, Side::Dialler);
            }
            Line::Resume(_) | Line::Hello { .. } | Line::Received { .. } | Line::Standing { .. } => {}
        }
    }
}
