//! What can be set, and every limit.
//!
//! Invariant: each limit has a name, a default, and an error or an event that says that it was reached; none of them is
//! taken as less than what the runtime needs to make progress.

use crate::event::{Event, Log};
use amiko_core::Time;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// What has to happen before an answer is given, a message sent, or anything else leaves that a commit has caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The commit is on disk: nothing that anybody knows of is ever lost.
    #[default]
    Always,
    /// The commit was given to the operating system, which is told to put it on disk this often: the end of the process
    /// loses nothing, that of the machine at most so much. If that was something that a peer has been told, the state is
    /// older than it should be, and the peer notices: see [`Event::Conflict`](crate::Event::Conflict).
    Interval(Duration),
    /// The commit was given to the operating system, which puts it on disk when it likes. When the node stops, and with
    /// each snapshot, everything is put on disk all the same.
    Never,
}

/// What is said on the wire besides messages and their confirmations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// After the hello both sides say where they stand, and a side that hears nothing for a while asks whether the other
    /// one is there.
    #[default]
    Amiko,
    /// Nothing: a conversation is resumed by the numbers of its messages alone. A peer that has forgotten what it has
    /// said, or heard, can't be told from one that missed a confirmation, and one that has gone only from one that owes
    /// nothing. For peers that speak no other.
    ByIndex,
}

/// How a runtime works.
///
/// ```
/// use amiko_net::NetSettings;
/// let mut settings = NetSettings::default();
/// settings.listen = Some(([127, 0, 0, 1], 4321).into());
/// settings.log = Some(std::sync::Arc::new(|event| println!("{event}")));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct NetSettings {
    /// Where peers dial; port 0 lets the operating system choose. Default: nowhere, this node only dials.
    pub listen: Option<SocketAddr>,
    /// What is said besides messages and confirmations. Default: [`Dialect::Amiko`].
    pub dialect: Dialect,
    /// Bytes of one line, without its end. Default 64 KiB.
    pub line: usize,
    /// Levels of objects and arrays in one line. Default 32.
    pub depth: u32,
    /// Pause before a peer is dialled the second time; it doubles with each failure, and is shortened at random by up
    /// to a half. Default 50 ms.
    pub back_off_first: Duration,
    /// The longest such pause. Default 30 s.
    pub back_off_limit: Duration,
    /// How long dialling may take; how long a peer may take to say who it is and where it stands, however many bytes and
    /// lines that are; and how long the dice decide between two sockets of one connection. Default 5 s.
    pub handshake: Duration,
    /// Sockets at one time whose peers haven't said hello yet; one more, and the oldest is closed. Default 64.
    pub strangers: usize,
    /// Sockets at one time that were dialled from one address (of IPv6, from one network of 64 bits); one more is closed.
    /// Default 1,024.
    pub sockets_per_address: usize,
    /// How long a peer may say nothing, and one write may take, before its socket is given up and dialled anew. After half
    /// of it the peer is asked whether it is there; by index alone, it counts only while the peer owes a confirmation.
    /// Default 30 s.
    pub silence: Duration,
    /// How long a socket that this side closes may take to send the rest and hear the peer close it too. Default 1 s.
    pub farewell: Duration,
    /// Lines from peers that wait for the node; while so many wait, nothing more is read. Default 1,024.
    pub inbound: usize,
    /// Lines from one peer that wait for the node; while so many wait, nothing more of this peer is read. Default 128.
    pub waiting: usize,
    /// Lines a second from one peer, on average; beyond that, reading pauses. Default 50,000.
    pub rate: u32,
    /// Lines that a peer may say at once before the rate counts. Default 10,000.
    pub burst: u32,
    /// Commands and queries that wait for the node; while so many wait, callers wait too. Default 1,024.
    pub calls: usize,
    /// Inputs that are made durable with one sync; as many more are taken meanwhile, then they wait. Default 1,000.
    pub group: usize,
    /// What has to happen before anything leaves. Default: it is on disk.
    pub durability: Durability,
    /// Bytes that are given to a socket at once; the line that goes beyond is the last. Default 64 KiB.
    pub batch: usize,
    /// Notices that wait for one watcher; one more, and it is dropped. Default 1,024.
    pub notices: usize,
    /// Watchers at one time; one more gets an end instead of notices. Default 1,024.
    pub watchers: usize,
    /// Told what happens on the network. Default: nobody.
    pub log: Option<Log>,
    /// Tells the time of events. Default: the system's clock.
    pub clock: Clock,
}

impl Default for NetSettings {
    fn default() -> Self {
        Self {
            listen: None,
            dialect: Dialect::Amiko,
            line: 64 << 10,
            depth: 32,
            back_off_first: Duration::from_millis(50),
            back_off_limit: Duration::from_secs(30),
            handshake: Duration::from_secs(5),
            strangers: 64,
            sockets_per_address: 1_024,
            silence: Duration::from_secs(30),
            farewell: Duration::from_secs(1),
            inbound: 1_024,
            waiting: 128,
            rate: 50_000,
            burst: 10_000,
            calls: 1_024,
            group: 1_000,
            durability: Durability::Always,
            batch: 64 << 10,
            notices: 1_024,
            watchers: 1_024,
            log: None,
            clock: Arc::new(system_time),
        }
    }
}

impl NetSettings {
    pub(crate) fn tell(&self, event: Event<'_>) {
        if let Some(log) = &self.log {
            log(event);
        }
    }
}

/// A clock that stands before 1970 stands at its beginning.
fn system_time() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
