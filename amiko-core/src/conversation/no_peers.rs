//! The protocol of a node that has no peers.

use super::{Acceptance, Protocol, PublicKey};
use crate::dispatcher::Connection;
use crate::machine::Node;
use crate::rejection::Rejection;
use crate::tree::{Id, Tree};
use std::marker::PhantomData;

/// The protocol of a node without peers, for a runtime or a simulated world of such nodes: it says nothing, and refuses everything.
pub struct NoPeers<N>(PhantomData<fn() -> N>);

impl<N> NoPeers<N> {
    /// It has nothing to set.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<N> Default for NoPeers<N> {
    fn default() -> Self {
        Self::new()
    }
}

fn refused<T>() -> Result<T, Rejection> {
    Err(Rejection::new("expected a network, found a node without one: give it one with `Runtime::with_network`"))
}

impl<N: Node> Protocol for NoPeers<N> {
    type Node = N;

    fn hello(&self, _: &N, _: &Id<Connection<N>>, _: [u8; 4]) -> Result<<N as Tree>::Network, Rejection> {
        refused()
    }

    fn accept(&self, _: &N, _: Option<PublicKey>, _: <N as Tree>::Network) -> Result<Acceptance<N>, Rejection> {
        refused()
    }

    fn envelope(
        &self,
        _: &N,
        _: &Id<Connection<N>>,
        _: <N as Tree>::Network,
    ) -> Result<<N as Tree>::Envelope, Rejection> {
        refused()
    }
}
