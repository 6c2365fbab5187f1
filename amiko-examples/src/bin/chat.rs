//! Two nodes that chat, encrypted: what is typed while the other is away arrives later, once and in order.
//!
//! ```sh
//! cargo run --bin chat -- alice/ --listen 127.0.0.1:4321    # shows her address and public key
//! cargo run --bin chat -- bob/ --dial 127.0.0.1:4321 --peer PUBLICKEY
//! grep -h '"text"' alice/*.json*                            # the talk, as it is on disk
//! ```
//!
//! Each line that is typed is sent. Ctrl-C or the end of the input stops the node, and it goes on where it was: the address
//! to dial, the peer and what the peer hasn't confirmed are in its state. The peer is the one that `--peer` names, or else
//! the first that calls; it stays the same, and nobody else is listened to.
//!
//! A run shows the talk from its beginning: `> ` before our lines, `< ` before those of the peer. What it shows is on disk,
//! so after a crash the next run shows it again, and what the last one had no time for. Within a run each line is shown
//! once. A line that was typed and isn't shown yet may be lost in a crash; one that is shown will arrive.

use amiko_core::prelude::*;
use amiko_core::{PeerAddress, PublicKey};
use amiko_runtime::{
    Acceptance, BlockingHandle, Handle, Noise, Protocol, Runtime, RuntimeSettings, SecretKey, SendError,
};
use clap::Parser;
use std::error::Error;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Bytes of a line. However it is escaped, it fits into a message: see `ConversationSettings::line`.
const LONGEST: usize = 8_192;

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = Line)]
struct Talk {
    peer: Option<PublicKey>,
    #[amiko(objects)]
    said: Table<Said>,
}

/// What somebody said; the first is number 0.
#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Said {
    at: Time,
    ours: bool,
    text: String,
}

#[derive(Clone, Serializable)]
enum TalkMessage {
    Meet { peer: PublicKey, dial: Option<String> },
    Say { text: String },
    Hear { text: String },
}

impl StateMachine for Talk {
    type Node = Self;
    type Message = TalkMessage;

    fn handle(&mut self, message: TalkMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            TalkMessage::Meet { peer, dial } => {
                let known = *self.peer.get_or_insert(peer);
                if known != peer {
                    return Err(Rejection::new(format!("expected the peer {known}, found {peer}")));
                }
                let before = cx.connection(&peers()).and_then(|peers| peers.dial.clone());
                cx.connect(&peers(), dial.or(before).as_deref());
            }
            TalkMessage::Say { text } if text.len() > LONGEST => {
                return Err(Rejection::new(format!("expected at most {LONGEST} bytes, found {}", text.len())));
            }
            TalkMessage::Say { text } => {
                if cx.connection(&peers()).is_none() {
                    // There is no peer yet, but an outbox for it.
                    cx.connect(&peers(), None);
                }
                cx.transmit(&peers(), Line::Text { text: text.clone() });
                self.keep(true, text, cx);
            }
            TalkMessage::Hear { text } => self.keep(false, text, cx),
        }
        Ok(())
    }
}

impl Talk {
    fn keep(&self, ours: bool, text: String, cx: &mut Context<'_, Self>) {
        cx.create(&Id::new(self.count()), Said { at: cx.now(), ours, text });
    }

    fn count(&self) -> u64 {
        self.said.len() as u64
    }

    /// What was said from this number on, as it is shown.
    fn lines(&self, first: u64) -> Vec<String> {
        let said = (first..self.count()).filter_map(|number| self.said.get(&Id::new(number)));
        // A peer could move the cursor, and more, with control characters.
        let show = |Said { ours, text, .. }: &Said| {
            format!("{} {}", if *ours { '>' } else { '<' }, text.replace(char::is_control, "\u{fffd}"))
        };
        said.map(show).collect()
    }
}

/// What the nodes say to each other.
#[derive(Clone, Serializable)]
enum Line {
    Hello { tie_breaker: [u8; 4] },
    Text { text: String },
}

/// The connection to the peer, whoever that is.
fn peers() -> Id<Connection<Talk>> {
    Id::new("peer")
}

struct Talking;

impl Protocol for Talking {
    type Node = Talk;

    fn hello(&self, _: &Talk, _: &Id<Connection<Talk>>, tie_breaker: [u8; 4]) -> Result<Line, Rejection> {
        Ok(Line::Hello { tie_breaker })
    }

    fn accept(&self, _: &Talk, peer: Option<PublicKey>, hello: Line) -> Result<Acceptance<Talk>, Rejection> {
        let (Some(peer), Line::Hello { tie_breaker }) = (peer, hello) else {
            return Err(Rejection::new("expected a hello of a peer that shows its key"));
        };
        // Rejected if somebody else is our peer, who is refused then.
        let meet = Talk::envelope(Id::<Talk>::node(), TalkMessage::Meet { peer, dial: None });
        Ok(Acceptance { connection: peers(), tie_breaker: Some(tie_breaker), event: Some(meet) })
    }

    fn envelope(&self, _: &Talk, _: &Id<Connection<Talk>>, line: Line) -> Result<TalkEnvelope, Rejection> {
        let Line::Text { text } = line else { return Err(Rejection::new("expected one hello")) };
        Ok(Talk::envelope(Id::<Talk>::node(), TalkMessage::Hear { text }))
    }
}

/// Shows what is said, and gives how much it has shown when the node has stopped.
async fn show(talk: Handle<Talk>) -> io::Result<u64> {
    let (mut count, mut shown) = (talk.watch(Talk::count).await, 0);
    while let Ok(lines) = talk.read(move |talk| talk.lines(shown)).await {
        shown += print(&lines)?;
        if count.changed().await.is_err() {
            break;
        }
    }
    Ok(shown)
}

fn print(lines: &[String]) -> io::Result<u64> {
    lines.iter().try_for_each(|line| writeln!(io::stdout(), "{line}"))?;
    Ok(lines.len() as u64)
}

/// If nobody reads it any more, that is no reason to stop.
fn log(line: &dyn Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says what is typed. It has a thread of its own, because a line that nobody types can't be cancelled.
fn read(talk: &BlockingHandle<Talk>) {
    for line in io::stdin().lock().split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&line).into_owned();
        match talk.send(&Id::<Talk>::node(), TalkMessage::Say { text }) {
            Ok(()) => {}
            Err(SendError::Stopped) => return,
            Err(error) => log(&format!("not sent: {error}")),
        }
    }
    talk.stop();
}

/// The key of the node: made once, in a file that only its owner can open.
fn key(directory: &Path) -> Result<SecretKey, Box<dyn Error>> {
    let path = directory.join("key");
    if path.try_exists()? {
        let text = Zeroizing::new(fs::read_to_string(path)?);
        return Ok(SecretKey::new(
            hex::decode_to_array(text.trim_end()).map_err(|_| "expected 64 hex digits in `key`")?,
        ));
    }
    let key = SecretKey::generate()?;
    // It gets its name once it is whole. Temporary files have the mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    writeln!(file, "{}", *Zeroizing::new(hex::encode(key.expose())))?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    File::open(directory)?.sync_all()?;
    Ok(key)
}

/// Two nodes that chat, encrypted.
#[derive(Parser)]
struct Arguments {
    /// Where state and key are.
    directory: PathBuf,
    /// Where peers may call; with port 0 the system chooses one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where the peer is called: HOST:PORT.
    #[arg(long, requires = "peer")]
    dial: Option<String>,
    /// The public key of the peer; without it, the first that calls is the peer.
    #[arg(long)]
    peer: Option<PublicKey>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { directory, listen, dial, peer } = Arguments::parse();
    let mut engine = Engine::<Talk>::open(Directory::open(&directory)?, Settings::default())?;
    let key = key(&directory)?;
    let public = key.public();
    let mut settings = RuntimeSettings::default();
    settings.listen = listen;
    settings.log = Some(Arc::new(|event| log(event)));
    if let Some(peer) = peer {
        // Now, so that nobody else can call first.
        let dial = dial.map(|place| PeerAddress::Mutual { key: peer, place }.to_string());
        engine.send(&Id::<Talk>::node(), TalkMessage::Meet { peer, dial }, (settings.clock)())?;
        engine.sync()?;
    }
    let runtime = Runtime::with_settings(engine, settings).with_network(Talking, Noise::new(key)).await?;
    println!("public key {public}");
    if let Some(address) = runtime.local_addr() {
        println!("listening on {address}");
    }
    let (talk, running) = runtime.spawn();
    let typed = talk.blocking();
    std::thread::spawn(move || read(&typed));
    let (shown, engine) = tokio::join!(show(talk), running.until_signal());
    // What was said last, when nobody could ask the node any more.
    print(&engine?.node().lines(shown?))?;
    Ok(())
}
