//! The application's part in the conversations with its peers.
//!
//! It is here and not in a runtime, so that the runtime and the simulated world ask the same questions and act on the
//! same answers. Invariant: a protocol reads the node and never changes it; changes go through envelopes, like
//! everything else.

use crate::conversation::PublicKey;
use crate::dispatcher::Connection;
use crate::machine::Node;
use crate::rejection::Rejection;
use crate::time::Time;
use crate::tree::{Id, Tree};

/// The application's part in the conversations with its peers.
///
/// Its methods are called between events; their arguments come from outside, so they mustn't panic on them.
pub trait Protocol: 'static {
    /// The node that talks.
    type Node: Node;

    /// Draws the tie-breaker of a socket that this node has dialled, once for each socket, from four random bytes. By
    /// default it is these.
    ///
    /// A peer that judges two sockets by their tie-breakers alone, also when one of them is dead, needs ones that only
    /// rise: the node keeps the last one in its state, and the event records each.
    fn draw(&self, _node: &Self::Node, _connection: &Id<Connection<Self::Node>>, random: [u8; 4]) -> Draw<Self::Node> {
        Draw { tie_breaker: random, event: None }
    }

    /// The first line on a socket that this node dials. The `tie_breaker` is the one that was
    /// [drawn](Protocol::draw) for this socket; the hello carries it if both sides may dial.
    ///
    /// # Errors
    /// There is no hello for this connection at the moment: the socket is closed, and dialled again later.
    fn hello(
        &self,
        node: &Self::Node,
        connection: &Id<Connection<Self::Node>>,
        tie_breaker: [u8; 4],
    ) -> Result<<Self::Node as Tree>::Network, Rejection>;

    /// A peer dialled and sent this hello. `peer` is its proven key; none if the transport proves nothing, or the
    /// peer stays anonymous.
    ///
    /// # Errors
    /// The peer is refused: the socket is closed without an answer.
    fn accept(
        &self,
        node: &Self::Node,
        peer: Option<PublicKey>,
        hello: <Self::Node as Tree>::Network,
    ) -> Result<Acceptance<Self::Node>, Rejection>;

    /// Translates a message of a peer into an envelope for the node.
    ///
    /// # Errors
    /// The message has no meaning: it is used up and confirmed, the rejection is kept and logged, and the connection
    /// goes on.
    fn envelope(
        &self,
        node: &Self::Node,
        connection: &Id<Connection<Self::Node>>,
        message: <Self::Node as Tree>::Network,
    ) -> Result<<Self::Node as Tree>::Envelope, Rejection>;

    /// The peer has told what its clock says: whenever the conversation begins or resumes, and with each ping and its
    /// answer. `ours` is what the clock here says at that moment; the two also differ by the time that the line was under
    /// way. Returns what the node is told; if it rejects that, the socket is closed. By default it isn't told.
    ///
    /// A peer whose clock is wrong, or that lies, may say anything. With [`Dialect::ByIndex`](super::Dialect::ByIndex) no
    /// clock is told.
    fn clock(
        &self,
        _node: &Self::Node,
        _connection: &Id<Connection<Self::Node>>,
        _ours: Time,
        _theirs: Time,
    ) -> Option<<Self::Node as Tree>::Envelope> {
        None
    }
}

/// The tie-breaker of a socket that this node has dialled: it decides which socket stays when both sides dial at the
/// same moment.
pub struct Draw<N: Node> {
    /// Compared as a big-endian number; the larger one stays.
    pub tie_breaker: [u8; 4],
    /// Delivered to the node as a command, and on disk before the hello leaves. If it is rejected, the socket is closed,
    /// and dialled again later.
    pub event: Option<N::Envelope>,
}

/// The meaning of a hello.
pub struct Acceptance<N: Node> {
    /// The connection that the socket is for. It must exist once `event` has happened.
    pub connection: Id<Connection<N>>,
    /// The tie-breaker of the peer, where both sides may dial; none where only the peer dials.
    pub tie_breaker: Option<[u8; 4]>,
    /// Delivered to the node as a command before anything else of this socket, for example to create the connection.
    /// If it is rejected, the peer is refused.
    pub event: Option<N::Envelope>,
}
