//! Where streams of bytes come from.
//!
//! Invariant: the rest of the crate knows no sockets, only a [`Transport`]'s streams.

use amiko_core::PublicKey;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// What makes streams: with the feature `net`, `Tcp`, and `Noise`, which encrypts.
pub trait Transport: Send + Sync + 'static {
    /// A stream to a peer.
    type Stream: Stream;
    /// A peer that dialled, and has proven nothing yet.
    type Incoming: Send + 'static;
    /// What peers dial.
    type Listener: Send + Sync + 'static;

    /// Begins to listen.
    ///
    /// # Errors
    /// The operating system refuses the address.
    fn listen(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// The address that peers dial: with the port that was chosen, where port 0 was asked for.
    ///
    /// # Errors
    /// The operating system doesn't say.
    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Waits for the next peer. Must not wait for anything that this peer has to say, or it could keep out all others:
    /// that is for [`Transport::handshake`].
    ///
    /// # Errors
    /// This peer is lost; the next one may come.
    fn accept(
        &self,
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Incoming, SocketAddr)>> + Send;

    /// Agrees with a peer that dialled on how to go on, and finds out who it is, if it proves that. The runtime does this
    /// in a task of the peer's own, and drops it where it takes longer than [`NetSettings::handshake`](crate::NetSettings).
    ///
    /// # Errors
    /// The peer is lost, or isn't what this side talks to. It mustn't be told why.
    fn handshake(
        &self,
        incoming: Self::Incoming,
    ) -> impl Future<Output = io::Result<(Self::Stream, Option<PublicKey>)>> + Send;

    /// Dials a peer, at the address that the application gave to the connection, and shakes hands with it. Dropped where
    /// that takes longer than [`NetSettings::handshake`](crate::NetSettings).
    ///
    /// # Errors
    /// The peer can't be reached, isn't who it should be, or the address isn't one.
    fn dial(&self, address: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}
