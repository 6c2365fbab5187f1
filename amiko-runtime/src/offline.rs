//! The transport of a node without peers.
//!
//! Invariant: nothing is ever sent: each dial fails, and nobody is listened to.

use crate::transport::Transport;
use amiko_core::PublicKey;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;

/// Stands in for the transport of a node without peers: see [`Runtime::new`](crate::Runtime::new).
pub struct Offline(());

impl Offline {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}

const REASON: &str = "expected a network, found a node without one: give it one with `Runtime::with_network`";

fn refused<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, REASON))
}

impl Transport for Offline {
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
