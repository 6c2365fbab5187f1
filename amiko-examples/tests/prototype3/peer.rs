//! The other end of a socket of the node: says lines as they are, and hears what the node says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Peer {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// What was heard while something else was waited for.
    waiting: VecDeque<String>,
    /// The last message that the node has confirmed.
    confirmed: Option<u64>,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer, waiting: VecDeque::new(), confirmed: None }
    }

    /// Dials the node, and says this first.
    pub(crate) async fn dial(address: SocketAddr, hello: &str) -> Self {
        let mut peer = Self::new(TcpStream::connect(address).await.unwrap());
        peer.say(hello).await;
        peer
    }

    /// Is dialled by the node, and hears what it says first.
    pub(crate) async fn accept(listener: &TcpListener) -> (Self, String) {
        let (stream, _) = listener.accept().await.unwrap();
        let mut peer = Self::new(stream);
        let hello = peer.hears().await;
        (peer, hello)
    }

    pub(crate) async fn say(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line that isn't a confirmation.
    pub(crate) async fn hears(&mut self) -> String {
        while self.waiting.is_empty() {
            assert!(self.read().await, "expected a line, found the end of the connection");
        }
        self.waiting.pop_front().unwrap()
    }

    /// Waits for the end of the connection, before which nothing more is heard.
    pub(crate) async fn hears_the_end(mut self) {
        while self.read().await {}
        assert_eq!(self.waiting, [""; 0], "expected the end of the connection");
    }

    /// Waits until the node has confirmed a message.
    pub(crate) async fn is_confirmed(&mut self, index: u64) {
        while self.confirmed.is_none_or(|confirmed| confirmed < index) {
            assert!(self.read().await, "expected a confirmation of {index}, found the end of the connection");
        }
    }

    async fn read(&mut self) -> bool {
        let mut line = String::new();
        // A socket that the node has given up may be reset.
        if self.reader.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        let line = line.strip_suffix('\n').unwrap().to_owned();
        match line.strip_prefix("{\"received\":").and_then(|rest| rest.strip_suffix('}')) {
            Some(index) => self.confirmed = Some(index.parse().unwrap()),
            None => self.waiting.push_back(line),
        }
        true
    }
}
