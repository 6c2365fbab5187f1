//! Encryption and authentication: the Noise protocol over another transport.
//!
//! Invariant: the bytes of an application cross the wire only encrypted, with keys that only the two ends of this one
//! stream have, and nothing else from the wire reaches the application.

mod error;
mod handshake;
mod key;
mod primitives;
mod stream;

#[cfg(test)]
mod tests;

pub use error::NoiseError;
pub use key::SecretKey;
pub use stream::NoiseStream;

use crate::tcp::Tcp;
use crate::transport::Transport;
use amiko_core::{PeerAddress, PublicKey};
use handshake::Pattern;
use std::io;
use std::net::SocketAddr;

/// Bytes that encryption adds to a text: they prove that it wasn't altered.
const TAG: usize = 16;

/// A transport that encrypts, and on which peers prove who they are: [Noise](https://noiseprotocol.org/noise.html) over
/// TCP or another transport.
///
/// An address says which key to expect, and whether to prove one's own, see [`PeerAddress`]: at `KEY@HOST:PORT` both
/// sides prove their keys (`Noise_XK`), at `anonymous:KEY@HOST:PORT` the dialler stays anonymous (`Noise_NK`). An
/// address without a key isn't dialled.
///
/// ```
/// use amiko_runtime::{Noise, SecretKey, Transport};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (alice, bob) = (SecretKey::generate()?, SecretKey::generate()?);
/// let (alices, bobs) = (alice.public(), bob.public());
/// let (alice, bob) = (Noise::new(alice), Noise::new(bob));
///
/// let listener = bob.listen(([127, 0, 0, 1], 0).into()).await?;
/// let address = format!("{bobs}@{}", bob.local_addr(&listener)?);
/// let answer = async {
///     let (incoming, _) = bob.accept(&listener).await?;
///     let (mut stream, peer) = bob.handshake(incoming).await?;
///     assert_eq!(peer, Some(alices));
///     let mut text = [0; 5];
///     stream.read_exact(&mut text).await?;
///     std::io::Result::Ok(text)
/// };
/// let ask = async {
///     let mut stream = alice.dial(&address).await?;
///     stream.write_all(b"hello").await?;
///     stream.flush().await
/// };
/// let (text, asked) = tokio::join!(answer, ask);
/// asked?;
/// assert_eq!(&text?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # On the wire
///
/// The dialler sends one byte, 1 for `Noise_XK_25519_ChaChaPoly_SHA256` or 2 for `Noise_NK_25519_ChaChaPoly_SHA256`,
/// and then the handshake of that name with empty payloads and the prologue `amiko-net 1 `, the byte, and the name.
/// SHA-256 is also the hash of the other parts of a node, and of BOLT 8: one assumption less. After the handshake, each
/// frame is its length (two bytes, big-endian, 18 bytes encrypted) and its text (at most 65,535 bytes encrypted). Each
/// direction counts its encryptions, and has a new key after each 1,000 of them.
#[derive(Debug, Clone)]
pub struct Noise<T = Tcp> {
    transport: T,
    key: SecretKey,
}

impl Noise {
    /// Over TCP, for the node that has this key.
    pub const fn new(key: SecretKey) -> Self {
        Self::over(Tcp, key)
    }
}

impl<T> Noise<T> {
    /// Over another transport.
    pub const fn over(transport: T, key: SecretKey) -> Self {
        Self { transport, key }
    }
}

impl<T: Transport> Transport for Noise<T> {
    type Stream = NoiseStream<T::Stream>;
    type Incoming = T::Incoming;
    type Listener = T::Listener;

    async fn listen(&self, address: SocketAddr) -> io::Result<T::Listener> {
        self.transport.listen(address).await
    }

    fn local_addr(&self, listener: &T::Listener) -> io::Result<SocketAddr> {
        self.transport.local_addr(listener)
    }

    async fn accept(&self, listener: &T::Listener) -> io::Result<(T::Incoming, SocketAddr)> {
        self.transport.accept(listener).await
    }

    async fn handshake(&self, incoming: T::Incoming) -> io::Result<(Self::Stream, Option<PublicKey>)> {
        // The transport below may know the peer, but proves nothing to this one.
        let (stream, _) = self.transport.handshake(incoming).await?;
        handshake::respond(stream, &self.key).await
    }

    async fn dial(&self, address: &str) -> io::Result<Self::Stream> {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidInput, error);
        let (pattern, key, place) = match address.parse().map_err(invalid)? {
            PeerAddress::Mutual { key, place } => (Pattern::Mutual, key, place),
            PeerAddress::Anonymous { key, place } => (Pattern::Anonymous, key, place),
            PeerAddress::Anybody { .. } => return Err(NoiseError::NobodyExpected.into()),
        };
        let stream = self.transport.dial(&place).await?;
        handshake::initiate(stream, pattern, &self.key, key).await
    }
}
