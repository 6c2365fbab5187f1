//! What can be set, and every limit.
//!
//! Invariant: each limit has a name, a default, and an error or an event that says that it was reached; none of them is
//! taken as less than what the runtime needs to make progress.

use amiko_core::Time;
use amiko_core::conversation::{ConversationSettings, Event};
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

/// Is told what happens on the network, from inside the event loop: it must be quick, and must not block.
pub type Log = Arc<dyn Fn(&Event) + Send + Sync>;

/// How a runtime works.
///
/// ```
/// use amiko_runtime::NetSettings;
/// let mut settings = NetSettings::default();
/// settings.listen = Some(([127, 0, 0, 1], 4321).into());
/// settings.log = Some(std::sync::Arc::new(|event| println!("{event}")));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct NetSettings {
    /// Where peers dial; port 0 lets the operating system choose. Default: nowhere, this node only dials.
    pub listen: Option<SocketAddr>,
    /// How this node talks to its peers.
    pub conversation: ConversationSettings,
    /// Sockets at one time that were dialled from one address (of IPv6, from one network of 64 bits); one more is closed.
    /// Default 1,024.
    pub sockets_per_address: usize,
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
            conversation: ConversationSettings::default(),
            sockets_per_address: 1_024,
            farewell: Duration::from_secs(1),
            inbound: 1_024,
            waiting: 128,
            rate: 50_000,
            burst: 10_000,
            calls: 1_024,
            group: 1_000,
            durability: Durability::Always,
            notices: 1_024,
            watchers: 1_024,
            log: None,
            clock: Arc::new(system_time),
        }
    }
}

impl NetSettings {
    pub(crate) fn tell(&self, event: &Event) {
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
