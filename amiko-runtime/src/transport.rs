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

/// Makes streams. With the feature `net` there are `Tcp`, and `Noise`, which encrypts.
pub trait Transport: Send + Sync + 'static {
    /// A stream to a peer.
    type Stream: Stream;
    /// A peer that dialled and has proven nothing yet.
    type Incoming: Send + 'static;
    /// The listener that peers dial.
    type Listener: Send + Sync + 'static;

    /// Starts listening.
    ///
    /// # Errors
    /// The operating system refuses the address.
    fn listen(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// The address that peers dial; if port 0 was asked for, with the port that was chosen.
    ///
    /// # Errors
    /// The operating system can't tell.
    fn local_addr(&self, listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// Waits for the next peer. It must not wait for anything that this peer sends, or one peer could keep out all
    /// others: [`Transport::handshake`] is for that.
    ///
    /// # Errors
    /// This peer is lost; the next one may come.
    fn accept(
        &self,
        listener: &Self::Listener,
    ) -> impl Future<Output = io::Result<(Self::Incoming, SocketAddr)>> + Send;

    /// Negotiates with a peer that dialled, and finds out who it is, if it proves that. The runtime calls this in a
    /// task of its own for each peer, and drops it after
    /// [`ConversationSettings::handshake`](amiko_core::conversation::ConversationSettings::handshake).
    ///
    /// # Errors
    /// The peer is lost, or isn't one that this side talks to. It mustn't be told why.
    fn handshake(
        &self,
        incoming: Self::Incoming,
    ) -> impl Future<Output = io::Result<(Self::Stream, Option<PublicKey>)>> + Send;

    /// Dials a peer at the address that the application gave to the connection, and completes the handshake. The
    /// runtime drops it after
    /// [`ConversationSettings::handshake`](amiko_core::conversation::ConversationSettings::handshake).
    ///
    /// # Errors
    /// The peer can't be reached, isn't who it should be, or the address is invalid.
    fn dial(&self, address: &str) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}
