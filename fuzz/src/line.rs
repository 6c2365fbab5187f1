//! A node and one peer, whose bytes the fuzzer has in its hands.

use amiko_core::PublicKey;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use amiko_runtime::{Acceptance, Event, RuntimeSettings, Protocol, Runtime, Transport};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// What one side has ready for the other, at the most.
const ROOM: usize = 64;

/// Bytes of a line: few, so that a short input can have a longer one.
const LINE: usize = 200;

/// What the target says for a peer that is to get further than the greetings.
const GREETING: &[u8] =
    b"{\"index\":null,\"message\":{\"_class\":\"Hello\"}}\n{\"resume\":{\"received\":0,\"first\":0,\"sent\":0}}\n";

/// What a peer says.
#[derive(Debug, Clone, PartialEq, Serializable)]
enum Said {
    Hello,
    Say { number: u64 },
    Note { text: String },
}

/// The conversation with the one peer.
#[derive(Clone, Default, PartialEq, Debug, Serializable)]
#[amiko(key = String, kind = "ear")]
struct Ear {
    heard: Vec<Said>,
}

impl StateMachine for Ear {
    type Node = Ears;
    type Message = Said;

    fn handle(&mut self, message: Said, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        if self.heard.len() > 100 {
            return Err(Rejection::new("expected less"));
        }
        cx.transmit(&Id::new(cx.id().key().clone()), message.clone());
        self.heard.push(message);
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = Said)]
struct Ears {
    #[amiko(machines)]
    ears: Table<Ear>,
}

/// Begins the one conversation.
#[derive(Clone, Serializable)]
struct Begin;

impl StateMachine for Ears {
    type Node = Self;
    type Message = Begin;

    fn handle(&mut self, Begin: Begin, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        cx.create(&Id::new("one"), Ear::default());
        cx.connect(&Id::new("one"), None);
        Ok(())
    }
}

struct Listening;

impl Protocol for Listening {
    type Node = Ears;

    fn hello(&self, _: &Ears, _: &Id<Connection<Ears>>, _: [u8; 4]) -> Result<Said, Rejection> {
        Ok(Said::Hello)
    }

    fn accept(&self, _: &Ears, _: Option<PublicKey>, hello: Said) -> Result<Acceptance<Ears>, Rejection> {
        match hello {
            Said::Hello => Ok(Acceptance { connection: Id::new("one"), tie_breaker: None, event: None }),
            _ => Err(Rejection::new("expected a hello")),
        }
    }

    fn envelope(&self, _: &Ears, from: &Id<Connection<Ears>>, said: Said) -> Result<EarsEnvelope, Rejection> {
        match said {
            Said::Hello => Err(Rejection::new("one hello is enough")),
            said => Ok(EarsEnvelope::Ear(Id::new(from.key().clone()), said)),
        }
    }
}

/// A transport on which one peer dials, once.
struct Once(Mutex<Option<DuplexStream>>);

impl Transport for Once {
    type Stream = DuplexStream;
    type Incoming = DuplexStream;
    type Listener = ();

    async fn listen(&self, _: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    fn local_addr(&self, (): &()) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 1).into())
    }

    async fn accept(&self, (): &()) -> io::Result<(DuplexStream, SocketAddr)> {
        let stream = self.0.lock().ok().and_then(|mut stream| stream.take());
        match stream {
            Some(stream) => Ok((stream, ([127, 0, 0, 1], 2).into())),
            None => std::future::pending().await,
        }
    }

    async fn handshake(&self, incoming: DuplexStream) -> io::Result<(DuplexStream, Option<PublicKey>)> {
        Ok((incoming, None))
    }

    async fn dial(&self, _: &str) -> io::Result<DuplexStream> {
        Err(io::ErrorKind::NotConnected.into())
    }
}

/// What a node makes of these bytes if they come in pieces of this length: what it heard, and what it has logged.
async fn understood(bytes: &[u8], piece: usize) -> (Vec<Said>, u64, Vec<String>) {
    let (mut peer, stream) = duplex(ROOM);
    let mut engine = Engine::<Ears, _>::open(Memory::new(), Settings::default()).unwrap_or_else(|e| panic!("{e}"));
    let begun = engine.send(&Id::<Ears>::new(()), Begin, Time::from_secs(1));
    begun.unwrap_or_else(|error| panic!("{error}"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut settings = RuntimeSettings::default();
    (settings.conversation.line, settings.conversation.depth) = (LINE, 8);
    settings.listen = Some(([127, 0, 0, 1], 0).into());
    settings.clock = Arc::new(|| Time::from_secs(2));
    let (log, over) = (Arc::clone(&told), Arc::new(AtomicBool::new(false)));
    let is_over = Arc::clone(&over);
    settings.log = Some(Arc::new(move |event| {
        let ends = matches!(event, Event::Disconnected { .. } | Event::Refused { .. });
        is_over.fetch_or(ends, Ordering::Relaxed);
        if let Ok(mut log) = log.lock() {
            log.push(event.to_string());
        }
    }));
    let runtime = Runtime::with_settings(engine, settings).with_network(Listening, Once(Mutex::new(Some(stream)))).await;
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let handle = runtime.handle();
    let talk = async {
        let (mut reading, mut writing) = tokio::io::split(&mut peer);
        let write = async {
            for piece in bytes.chunks(piece) {
                // The node may have had enough.
                if writing.write_all(piece).await.is_err() {
                    return;
                }
            }
            drop(writing.shutdown().await);
        };
        let mut answer = Vec::new();
        let (_, read) = tokio::join!(write, reading.read_to_end(&mut answer));
        drop(read);
        // What it answered are lines of text.
        assert!(answer.iter().all(|byte| (32..127).contains(byte) || *byte == b'\n'));
        // The peer may see the end before the node has said why.
        while !over.load(Ordering::Relaxed) {
            assert!(handle.query(|_| ()).await.is_ok());
        }
        handle.stop();
    };
    let (engine, ()) = tokio::join!(runtime.run(), talk);
    let engine = engine.unwrap_or_else(|error| panic!("{error}"));
    let ear = engine.node().ears.get(&Id::new("one")).cloned().unwrap_or_default();
    let received = engine.connection(&Id::new("one")).map_or(0, |connection| connection.received);
    let logged = told.lock().map(|told| told.clone()).unwrap_or_default();
    (ear.heard, received, logged)
}

/// The target `line`: bytes of a peer, the first of which says in what pieces they come, and whether the peer has greeted.
/// However they are cut, the node understands the same, and each message of the peer at most once.
pub fn line(bytes: &[u8]) {
    let [how, said @ ..] = bytes else { return };
    let greeting: &[u8] = if how % 2 == 0 { GREETING } else { b"" };
    let bytes = [greeting, said].concat();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap_or_else(|error| panic!("{error}")).block_on(async {
        let whole = understood(&bytes, bytes.len().max(1)).await;
        let pieces = understood(&bytes, usize::from(how / 2) + 1).await;
        // Whether a confirmation comes before the message that it is of is a matter of how fast the disk is: no peer can
        // confirm what it hasn't got.
        let early = |(.., logged): &(_, _, Vec<String>)| logged.iter().any(|line| line.contains("what was sent"));
        if !early(&whole) && !early(&pieces) {
            assert_eq!(whole, pieces);
        }
        assert!(whole.0.len() as u64 <= whole.1);
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        assert!(whole.1 as usize <= lines, "{lines} lines, {} messages", whole.1);
        assert!(!whole.2.iter().any(|line| line.contains("panicked")), "{:?}", whole.2);
    });
}
