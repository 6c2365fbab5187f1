//! What can be set, and every limit.
//!
//! Invariant: each limit has a name, a default, and an error or an event that reports when it is reached. A value below
//! what the runtime needs to make progress is raised to that.

use amiko_core::Time;
use amiko_core::conversation::{ConversationSettings, Event};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// What has to happen before any effect of a commit leaves the node: an answer, a message or anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The commit is on disk: nothing that anybody knows of is ever lost.
    #[default]
    Always,
    /// The commit was written to the operating system, which is told to put it on disk this often. If the process ends,
    /// nothing is lost; if the machine stops, at most the commits of this interval. If a peer has been told of a lost
    /// commit, the state is older than it should be, and the peer notices: see
    /// [`Event::Conflict`](crate::Event::Conflict).
    Interval(Duration),
    /// The commit was written to the operating system, which puts it on disk when it likes. Everything is still put on
    /// disk when the node stops, and with each snapshot.
    Never,
}

/// A callback for network events. It runs inside the event loop: it must be quick, and must not block. If it panics, the
/// event isn't logged, and the node goes on. What others can cause too often, [`LogLimit`](crate::LogLimit) sums up.
pub type Log = Arc<dyn Fn(&Event) + Send + Sync>;

/// How a runtime works.
///
/// ```
/// use amiko_runtime::RuntimeSettings;
/// let mut settings = RuntimeSettings::default();
/// settings.listen = Some(([127, 0, 0, 1], 4321).into());
/// settings.log = Some(std::sync::Arc::new(|event| println!("{event}")));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct RuntimeSettings {
    /// The address to listen on, for a node with [a network](crate::Runtime::with_network); with port 0 the operating system chooses the port. Default: none, this node only dials.
    pub listen: Option<SocketAddr>,
    /// How this node talks to its peers.
    pub conversation: ConversationSettings,
    /// Sockets at one time that were dialled from one address (for IPv6, from one /64 network); further ones are
    /// closed. Default 1,024.
    pub sockets_per_address: usize,
    /// Sockets at one time that were dialled from anywhere; further ones are closed. Default: half of the files that the process may
    /// have open, so that its journal, its snapshots and its own dialling never lack one.
    pub sockets: usize,
    /// How long a socket that this side closes may take to send the rest and to see the peer close it too. Default 1 s.
    pub farewell: Duration,
    /// Lines from peers that wait for the node; at this number, nothing more is read. Default 1,024.
    pub inbound: usize,
    /// Lines from one peer that wait for the node; at this number, nothing more is read from this peer. Default 128.
    pub waiting: usize,
    /// Lines a second from one peer, on average; beyond that, reading pauses. Default 50,000.
    pub rate: u32,
    /// Lines that a peer may send at once before the rate applies. Default 10,000.
    pub burst: u32,
    /// Commands and queries that wait for the node; at this number, callers wait too. Default 1,024.
    pub calls: usize,
    /// Inputs that are made durable with one sync, timers among them. As many more are taken meanwhile; further ones wait. Default 1,000.
    pub group: usize,
    /// How long due timers fire before the disk, the sockets and other tasks get their turn; the others go on after that, and
    /// still before any input that came later. Default 250 µs.
    pub timer_slice: Duration,
    /// What has to happen before anything leaves. Default: the commit is on disk.
    pub durability: Durability,
    /// A sync is done in the event loop, while nothing else waits, if those of late took less than this: to wake a thread and
    /// be woken by it takes some 80 µs where cores are idle. The loop is blocked meanwhile, and whatever else runs on its thread:
    /// for about this long at most, and for longer if a disk that was quick is slow for once. Zero: all are done on other
    /// threads. Default 1 ms.
    pub quick_sync: Duration,
    /// How long a commit that nobody waits for, since it answers nobody and sends nothing, may wait for the next one, to be made
    /// durable with it: that of a timer, or of a peer's confirmation. Whoever watches a value sees it then. Default 10 ms.
    pub commit_delay: Duration,
    /// Notices that are kept for those who are slow to take them; of older ones they get the number. Default 1,024.
    pub notices: usize,
    /// Values that are watched at one time, with [`Handle::watch`](crate::Handle::watch); a further one ends at once.
    /// Default 1,024.
    pub watchers: usize,
    /// Attempts at one time to perform effects of one class; further ones wait. Default 64.
    pub attempts: usize,
    /// How long attempts that are under way may take to end when the node stops; then they are aborted, and are made again
    /// after the next start. Default 1 s.
    pub attempts_stop: Duration,
    /// How long a stop may take to make everything durable; after that the loop ends with
    /// [`RunError::StopTimeout`](crate::RunError::StopTimeout). Default 30 s.
    pub stop_limit: Duration,
    /// Gets the events of the network. Default: none.
    pub log: Option<Log>,
    /// Tells the time of events. Default: the system's clock.
    pub clock: Clock,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self {
            listen: None,
            conversation: ConversationSettings::default(),
            sockets_per_address: 1_024,
            sockets: open_files() / 2,
            farewell: Duration::from_secs(1),
            inbound: 1_024,
            waiting: 128,
            rate: 50_000,
            burst: 10_000,
            calls: 1_024,
            group: 1_000,
            timer_slice: Duration::from_micros(250),
            durability: Durability::Always,
            quick_sync: Duration::from_millis(1),
            commit_delay: Duration::from_millis(10),
            notices: 1_024,
            watchers: 1_024,
            attempts: 64,
            attempts_stop: Duration::from_secs(1),
            stop_limit: Duration::from_secs(30),
            log: None,
            clock: Arc::new(|| SystemTime::now().into()),
        }
    }
}

impl RuntimeSettings {
    pub(crate) fn tell(&self, event: &Event) {
        crate::observe::network(event);
        if let Some(log) = &self.log {
            // Whether a node goes on isn't for its log to say. What panicked there is the program's, and stays as it is.
            drop(catch_unwind(AssertUnwindSafe(|| log(event))));
        }
    }
}

/// How many files the process may have open, if there is a limit.
pub fn open_files() -> usize {
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        return usize::try_from(limit).unwrap_or(usize::MAX);
    }
    usize::MAX
}
