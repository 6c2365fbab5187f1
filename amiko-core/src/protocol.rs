//! What an application says about the conversations with its peers.
//!
//! Invariant: the runtime on real sockets and the simulated world ask the same questions and act on the same answers.

use crate::dispatcher::Connection;
use crate::id::Id;
use crate::machine::Node;
use crate::rejection::Rejection;

/// What a runtime has to know to carry a node's messages: who says what first, who it is, and what a message means.
pub trait Protocol: 'static {
    /// The node that speaks it.
    type Node: Node;

    /// The first line on a connection that this node dials. Where both sides may dial, it carries the dice.
    ///
    /// # Errors
    /// The connection belongs to nothing that dials.
    fn hello(
        &self,
        node: &Self::Node,
        connection: &Id<Connection<Self::Node>>,
        dice: [u8; 4],
    ) -> Result<<Self::Node as Node>::Network, Rejection>;

    /// A peer has dialled and said this first.
    ///
    /// # Errors
    /// There is nobody that the peer could mean: its socket is closed.
    fn welcome(
        &self,
        node: &Self::Node,
        hello: <Self::Node as Node>::Network,
    ) -> Result<Welcome<Self::Node>, Rejection>;

    /// What a message of a peer means to the node.
    ///
    /// # Errors
    /// It means nothing: it is used up, and noted.
    fn envelope(
        &self,
        node: &Self::Node,
        connection: &Id<Connection<Self::Node>>,
        message: <Self::Node as Node>::Network,
    ) -> Result<<Self::Node as Node>::Envelope, Rejection>;
}

/// A peer that has dialled.
pub struct Welcome<N: Node> {
    /// The connection that it speaks for.
    pub connection: Id<Connection<N>>,
    /// Its dice, where both sides may dial: of two sockets for one connection the one with the larger dice stays.
    pub dice: Option<[u8; 4]>,
    /// What the node is told before anything else that comes over this socket.
    pub event: Option<N::Envelope>,
}
