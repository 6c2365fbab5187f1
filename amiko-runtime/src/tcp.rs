//! Plain TCP.
//!
//! Invariant: a small line never waits for another one.

use crate::transport::Transport;
use amiko_core::PublicKey;
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// Plain TCP, with `TCP_NODELAY`. Anybody on the path can read and change everything, and nobody proves who they are.
/// Addresses are `host:port`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Transport for Tcp {
    type Stream = TcpStream;
    type Incoming = TcpStream;
    type Listener = TcpListener;

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    fn local_addr(&self, listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(&self, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, peer))
    }

    async fn handshake(&self, incoming: TcpStream) -> io::Result<(TcpStream, Option<PublicKey>)> {
        Ok((incoming, None))
    }

    async fn dial(&self, address: &str) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
