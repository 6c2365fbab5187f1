//! A node without peers.
//!
//! Invariant: nothing is ever sent: each dial fails, and nobody is listened to.

use crate::transport::Transport;
use amiko_core::conversation::{Acceptance, Protocol};
use amiko_core::{Connection, Id, Node, PublicKey, Rejection, tree::Tree};
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;

/// Stands in for the protocol and the transport of a node without peers: see [`Runtime::new`](crate::Runtime::new).
pub struct Offline<N>(PhantomData<fn() -> N>);

impl<N> Offline<N> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

const REASON: &str = "expected a network, found a node without one: give it one with `Runtime::with_network`";

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, REASON))
}

impl<N: Node> Protocol for Offline<N> {
    type Node = N;

    fn hello(&self, _: &N, _: &Id<Connection<N>>, _: [u8; 4]) -> Result<<N as Tree>::Network, Rejection> {
        Err(Rejection::new(REASON))
    }

    fn accept(&self, _: &N, _: Option<PublicKey>, _: <N as Tree>::Network) -> Result<Acceptance<N>, Rejection> {
        Err(Rejection::new(REASON))
    }

    fn envelope(
        &self,
        _: &N,
        _: &Id<Connection<N>>,
        _: <N as Tree>::Network,
    ) -> Result<<N as Tree>::Envelope, Rejection> {
        Err(Rejection::new(REASON))
    }
}

impl<N: 'static> Transport for Offline<N> {
    type Stream = tokio::io::Empty;
    type Incoming = Infallible;
    type Listener = Infallible;

    async fn listen(&self, _: SocketAddr) -> io::Result<Infallible> {
        refused()
    }

    fn local_addr(&self, listener: &Infallible) -> io::Result<SocketAddr> {
        match *listener {}
    }

    async fn accept(&self, _: &Infallible) -> io::Result<(Infallible, SocketAddr)> {
        pending().await
    }

    async fn handshake(&self, incoming: Infallible) -> io::Result<(tokio::io::Empty, Option<PublicKey>)> {
        match incoming {}
    }

    async fn dial(&self, _: &str) -> io::Result<tokio::io::Empty> {
        refused()
    }
}
