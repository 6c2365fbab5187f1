//! Encrypted streams whose bytes the fuzzer has in its hands.

use amiko_runtime::{Noise, SecretKey, Transport};
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// What one side has ready for the other, at the most.
const ROOM: usize = 1 << 20;

/// A transport that dials one stream in memory.
struct Wire(Mutex<Option<DuplexStream>>);

impl Wire {
    fn new(stream: Option<DuplexStream>, key: u8) -> Noise<Self> {
        Noise::over(Self(Mutex::new(stream)), SecretKey::new([key; 32]))
    }
}

impl Transport for Wire {
    type Stream = DuplexStream;
    type Incoming = DuplexStream;
    type Listener = ();

    async fn listen(&self, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    fn local_addr(&self, (): &()) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept(&self, (): &()) -> io::Result<(DuplexStream, SocketAddr)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn handshake(&self, incoming: DuplexStream) -> io::Result<(DuplexStream, Option<amiko_core::PublicKey>)> {
        Ok((incoming, None))
    }

    async fn dial(&self, _: &str) -> io::Result<DuplexStream> {
        self.0.lock().ok().and_then(|mut stream| stream.take()).ok_or(io::ErrorKind::NotConnected.into())
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap_or_else(|error| panic!("{error}")).block_on(future)
}

/// The target `handshake`: bytes of somebody who doesn't know the key of the node. It isn't answered, and doesn't get in.
pub fn handshake(bytes: &[u8]) {
    block_on(async {
        let (mut stranger, stream) = duplex(ROOM);
        let bytes = &bytes[..bytes.len().min(ROOM)];
        stranger.write_all(bytes).await.unwrap_or_else(|error| panic!("{error}"));
        stranger.shutdown().await.unwrap_or_else(|error| panic!("{error}"));
        assert!(Wire::new(None, 2).handshake(stream).await.is_err());
        let mut answer = Vec::new();
        stranger.read_to_end(&mut answer).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(answer.is_empty());
    });
}

/// The target `frame`: what a peer has encrypted, changed on the way. The first byte says how it is changed, the next two
/// where, the others by what. Nothing is read but what was said, in its order, up to the change.
pub fn frame(bytes: &[u8]) {
    let [how, high, low, by @ ..] = bytes else { return };
    block_on(async {
        let said = [b"one".to_vec(), vec![7; 1000], b"three".to_vec()].concat();
        let (dialler, mut near) = duplex(ROOM);
        let (mut far, stream) = duplex(ROOM);
        let listener = Wire::new(None, 2);
        let key = SecretKey::new([2; 32]).public();
        let dial = async {
            let mut stream = Wire::new(Some(dialler), 1).dial(&format!("{key}@here")).await?;
            for text in [&said[..3], &said[3..1003], &said[1003..]] {
                stream.write_all(text).await?;
                stream.flush().await?;
            }
            stream.shutdown().await
        };
        let carry = async {
            let mut hands = [0; 64];
            for (length, there) in [(49, true), (48, false), (64, true)] {
                let (from, to) = if there { (&mut near, &mut far) } else { (&mut far, &mut near) };
                from.read_exact(&mut hands[..length]).await?;
                to.write_all(&hands[..length]).await?;
            }
            let mut frames = Vec::new();
            near.read_to_end(&mut frames).await?;
            let whole = frames.clone();
            let at = usize::from(u16::from_be_bytes([*high, *low])) % frames.len();
            match how % 4 {
                0 => frames.iter_mut().skip(at).zip(by).for_each(|(byte, by)| *byte ^= by),
                1 => drop(frames.splice(at..at, by.iter().copied())),
                2 => drop(frames.drain(at..(at + by.len()).min(whole.len()))),
                _ => frames.truncate(at),
            }
            far.write_all(&frames).await?;
            far.shutdown().await?;
            io::Result::Ok(frames == whole)
        };
        let (dialled, shaken, same) = tokio::join!(dial, listener.handshake(stream), carry);
        let (mut stream, peer) = shaken.unwrap_or_else(|error| panic!("{error}"));
        assert!(dialled.is_ok() && peer == Some(SecretKey::new([1; 32]).public()));
        let mut heard = Vec::new();
        let ended = stream.read_to_end(&mut heard).await.is_ok();
        assert!(said.starts_with(&heard));
        assert!(matches!(same, Ok(false)) || (ended && heard == said));
        // Cut between two frames, or with something less at its end, it is whole frames still; never with more.
        assert!(!ended || heard.is_empty() || [3, 1003, said.len()].contains(&heard.len()));
    });
}
