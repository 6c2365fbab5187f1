//! The handshake. The dialler chooses which one; afterwards each side knows whom it talks to.
//!
//! Invariant: it returns a stream only if every message of the handshake was right. Nothing that the peer sends is
//! answered before it is checked, and each message has a fixed length, so nobody can make this side allocate memory.

use super::error::NoiseError;
use super::primitives::Primitives;
use super::stream::NoiseStream;
use super::{SecretKey, TAG};
use crate::transport::Stream;
use amiko_core::PublicKey;
use snow::{Builder, HandshakeState};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Bytes in a public key.
const KEY: usize = 32;

/// Names the protocol that follows, and its version: both sides must agree on it.
const PROLOGUE: &[u8] = b"amiko-net 1 ";

/// Which side proves what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Both sides prove their keys; only the peer sees the dialler's.
    Mutual,
    /// The dialler stays anonymous.
    Anonymous,
}

impl Pattern {
    /// The first byte that the dialler sends.
    const fn byte(self) -> u8 {
        match self {
            Self::Mutual => 1,
            Self::Anonymous => 2,
        }
    }

    fn of(byte: u8) -> Result<Self, NoiseError> {
        match byte {
            1 => Ok(Self::Mutual),
            2 => Ok(Self::Anonymous),
            found => Err(NoiseError::Pattern { found }),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Mutual => "Noise_XK_25519_ChaChaPoly_SHA256",
            Self::Anonymous => "Noise_NK_25519_ChaChaPoly_SHA256",
        }
    }

    /// The length of each message in bytes, the dialler's first.
    const fn messages(self) -> &'static [usize] {
        match self {
            // e, es; e, ee; s, se
            Self::Mutual => &[KEY + TAG, KEY + TAG, KEY + TAG + TAG],
            // e, es; e, ee
            Self::Anonymous => &[KEY + TAG, KEY + TAG],
        }
    }

    /// The dialler knows which key it expects.
    fn begin(self, key: &SecretKey, expected: Option<PublicKey>) -> Result<HandshakeState, snow::Error> {
        let prologue = [PROLOGUE, &[self.byte()], self.name().as_bytes()].concat();
        let mut builder = Builder::with_resolver(self.name().parse()?, Primitives::of(key)).prologue(&prologue)?;
        if expected.is_none() || self == Self::Mutual {
            builder = builder.local_private_key(key.expose())?;
        }
        match &expected {
            Some(expected) => builder.remote_public_key(expected.bytes())?.build_initiator(),
            None => builder.build_responder(),
        }
    }
}

/// The dialler's side.
pub(super) async fn initiate<S: Stream>(
    stream: S,
    pattern: Pattern,
    key: &SecretKey,
    expected: PublicKey,
) -> io::Result<NoiseStream<S>> {
    let state = pattern.begin(key, Some(expected)).map_err(|_| NoiseError::Unencrypted)?;
    Ok(shake(stream, pattern, state, &[pattern.byte()]).await?.0)
}

/// The listener's side. Returns the peer's key, unless the peer is anonymous.
pub(super) async fn respond<S: Stream>(
    mut stream: S,
    key: &SecretKey,
) -> io::Result<(NoiseStream<S>, Option<PublicKey>)> {
    let mut first = [0];
    read(&mut stream, &mut first).await?;
    let pattern = Pattern::of(first[0])?;
    let state = pattern.begin(key, None).map_err(|_| NoiseError::Unencrypted)?;
    shake(stream, pattern, state, &[]).await
}

/// Exchanges the messages of the handshake; `first` goes before the first one that this side sends.
async fn shake<S: Stream>(
    mut stream: S,
    pattern: Pattern,
    mut state: HandshakeState,
    first: &[u8],
) -> io::Result<(NoiseStream<S>, Option<PublicKey>)> {
    let mut buffer = [0; KEY + TAG + TAG];
    let mut leaving = first.to_vec();
    for &length in pattern.messages() {
        let message = buffer.get_mut(..length).ok_or(NoiseError::Handshake)?;
        if state.is_my_turn() {
            // It fails if there are no random numbers for the key of this handshake.
            state.write_message(&[], message).map_err(|_| NoiseError::Unencrypted)?;
            leaving.extend_from_slice(message);
            stream.write_all(&leaving).await?;
            stream.flush().await?;
            leaving.clear();
        } else {
            read(&mut stream, message).await?;
            state.read_message(message, &mut []).map_err(|_| NoiseError::Handshake)?;
        }
    }
    let peer = state.get_remote_static().and_then(|key| key.try_into().ok()).map(PublicKey::new);
    let keys = state.into_transport_mode().map_err(|_| NoiseError::Handshake)?;
    Ok((NoiseStream::new(stream, keys), peer))
}

async fn read<S: Stream>(stream: &mut S, bytes: &mut [u8]) -> io::Result<()> {
    match stream.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(NoiseError::HandshakeTruncated.into()),
        Err(error) => Err(error),
    }
}
