//! The thread that talks to the database: the store blocks, and may be called from anywhere, also inside an async runtime.
//!
//! Invariant: whatever this process writes, it writes in the epoch in which it leads. A statement whose answer is lost isn't sent
//! again: before anything else is written a new epoch is claimed, after which the lost one can't happen any more.

mod leading;
mod reading;
mod writing;

use crate::error::{Failure, OpenError};
use crate::session::{CHANNEL, Session};
use crate::settings::PostgresSettings;
use crate::tls::{self, Tls};
use amiko_core::store::{Batch, Leader, StoreError};
pub(crate) use leading::{LEADER, leader};
pub(crate) use reading::{Page, Position, Row};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_postgres::Config;
pub(crate) use writing::split;

/// What the thread is asked to do, with where the answer goes.
enum Request {
    /// Look for what follows this position.
    Read(Position, SyncSender<Result<Page, Failure>>),
    /// Measure the journal since the newest snapshot, and that.
    Sizes(SyncSender<Result<Sizes, Failure>>),
    Lead(SyncSender<Result<Result<u64, Leader>, Failure>>),
    Describe(String, SyncSender<Result<(), Failure>>),
    Commit(Batch, SyncSender<Result<u64, StoreError>>),
    Wait(Duration, SyncSender<()>),
    /// End, and give the lease back or keep it.
    End(Ending, SyncSender<()>),
}

/// How far the journal goes, and how large it is.
pub(crate) struct Sizes {
    /// The last record, as the database says it.
    pub(crate) last: u64,
    /// Bytes of the journal since the newest snapshot, and of that.
    pub(crate) journal: u64,
    pub(crate) snapshot: u64,
}

/// How the thread ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The lease is given back, so that another one leads at once.
    Release,
    /// As a crash would: the lease runs out.
    Abandon,
}

/// What the thread knows of its lease, for those who ask without waiting for it.
pub(crate) struct Lease(Mutex<Held>);

#[derive(Clone)]
struct Held {
    epoch: u64,
    /// Until when it leads for certain, by this machine's clock; none before it leads, and once another one does.
    until: Option<Instant>,
    leader: Option<String>,
}

impl Lease {
    fn update(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How long it still leads for certain.
    pub(crate) fn left(&self) -> Result<Duration, StoreError> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let left = held.until.and_then(|until| until.checked_duration_since(Instant::now()));
        left.ok_or(StoreError::Fenced { epoch: held.epoch, leader: held.leader })
    }
}

/// The thread, from outside.
pub(crate) struct Worker {
    requests: mpsc::UnboundedSender<Request>,
    thread: Option<thread::JoinHandle<()>>,
    pub(crate) node: String,
    pub(crate) lease: Arc<Lease>,
}

/// Sends commits to the thread.
#[derive(Clone)]
pub(crate) struct Commits {
    requests: mpsc::UnboundedSender<Request>,
    node: String,
}

impl Commits {
    /// Makes a batch durable; gives the bytes of the snapshot that it has finished, if it has.
    pub(crate) fn commit(&self, batch: Batch) -> Result<u64, StoreError> {
        let (answer, answered) = sync_channel(1);
        let sent = self.requests.send(Request::Commit(batch, answer));
        let lost = || gone().store(&self.node);
        sent.map_err(|_| lost())?;
        answered.recv().map_err(|_| lost())?
    }
}

fn gone() -> Failure {
    Failure::new("ask the database", "the thread that talks to it has ended")
}

impl Worker {
    /// Starts the thread; connects, and makes the tables.
    pub(crate) fn start(url: &str, node: &str, settings: &PostgresSettings) -> Result<Self, OpenError> {
        check_name(node)?;
        if let Some(reason) = settings.fault() {
            return Err(OpenError::Settings { reason });
        }
        let config = configure(url, settings)?;
        let tls = tls::find(&config)?;
        let lease = Arc::new(Lease(Mutex::new(Held { epoch: 0, until: None, leader: None })));
        let (requests, asked) = mpsc::unbounded_channel();
        let (ready, is_ready) = sync_channel(1);
        let mut inside = Inside {
            config,
            tls,
            settings: settings.clone(),
            node: node.to_owned(),
            holder: holder().map_err(OpenError::System)?,
            session: None,
            listens: false,
            leads: None,
            lease: Arc::clone(&lease),
            renew_at: Instant::now(),
            announced: Instant::now(),
            ending: None,
        };
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(OpenError::System(error)))),
            };
            runtime.block_on(async {
                let prepared = inside.prepare().await;
                let go_on = prepared.is_ok();
                // Whoever starts it waits for it.
                if ready.send(prepared).is_ok() && go_on {
                    inside.serve(asked).await;
                }
            });
        };
        let thread = thread::Builder::new().name("amiko-postgres".to_owned()).spawn(run).map_err(OpenError::System)?;
        let worker = Self { requests, thread: Some(thread), node: node.to_owned(), lease };
        is_ready.recv().unwrap_or_else(|_| Err(gone().open())).map(|()| worker)
    }

    pub(crate) fn commits(&self) -> Commits {
        Commits { requests: self.requests.clone(), node: self.node.clone() }
    }

    fn ask<T>(&self, request: impl FnOnce(SyncSender<Result<T, Failure>>) -> Request) -> Result<T, Failure> {
        let (answer, answered) = sync_channel(1);
        self.requests.send(request(answer)).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }

    /// What follows a position in the journal, as much as fits into the memory.
    pub(crate) fn read(&self, after: Position) -> Result<Page, Failure> {
        self.ask(|answer| Request::Read(after, answer))
    }

    /// How far the journal goes, and how large it is.
    pub(crate) fn sizes(&self) -> Result<Sizes, Failure> {
        self.ask(Request::Sizes)
    }

    /// Leads from now on, if nobody else does; gives the epoch.
    pub(crate) fn lead(&self) -> Result<Result<u64, Leader>, Failure> {
        self.ask(Request::Lead)
    }

    /// Keeps the description of the classes.
    pub(crate) fn describe(&self, text: String) -> Result<(), Failure> {
        self.ask(|answer| Request::Describe(text, answer))
    }

    /// Waits until there may be something new.
    pub(crate) fn wait(&self, at_most: Duration) {
        let (answer, answered) = sync_channel(1);
        if self.requests.send(Request::Wait(at_most, answer)).is_ok() {
            // One that has ended has nothing to wait for.
            let _ = answered.recv();
        }
    }

    /// Ends the thread, and waits for that.
    pub(crate) fn end(&mut self, ending: Ending) {
        let Some(thread) = self.thread.take() else { return };
        let (answer, _answered) = sync_channel(1);
        drop(self.requests.send(Request::End(ending, answer)));
        drop(thread.join());
    }
}

/// It gives its lease back, but nobody waits for long for a database that doesn't answer: the thread ends by itself then.
impl Drop for Worker {
    fn drop(&mut self) {
        const LONGEST: Duration = Duration::from_secs(1);
        if self.thread.is_none() {
            return;
        }
        let led = self.lease.left().is_ok();
        let (answer, answered) = sync_channel(1);
        if self.requests.send(Request::End(Ending::Release, answer)).is_ok() && led {
            let _ = answered.recv_timeout(LONGEST);
        }
    }
}

/// Refuses a name that no node can have.
pub(crate) fn check_name(node: &str) -> Result<(), OpenError> {
    /// Bytes of a name.
    const LIMIT: usize = 200;
    if !(1..=LIMIT).contains(&node.len()) || node.contains('\0') {
        return Err(OpenError::Name { limit: LIMIT, found: node.len() });
    }
    Ok(())
}

/// The way to the database: to one that can be written, and without waiting for ever for one that doesn't answer.
pub(crate) fn configure(url: &str, settings: &PostgresSettings) -> Result<Config, OpenError> {
    let mut config: Config = url.parse().map_err(OpenError::Url)?;
    config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
    // One that takes connections and says nothing doesn't hide the others for ever.
    config.load_balance_hosts(tokio_postgres::config::LoadBalanceHosts::Random);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(attempt(&config, settings));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(settings.timeout);
    }
    if config.get_application_name().is_none() {
        config.application_name("amiko");
    }
    Ok(config)
}

/// How long an attempt to connect may take.
pub(crate) fn attempt(config: &Config, settings: &PostgresSettings) -> Duration {
    let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(u32::MAX).max(1);
    (settings.timeout / hosts).min(settings.lease)
}

/// A name that no other process, and no later one, has.
fn holder() -> std::io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "host" } else { host.trim() };
    Ok(format!("{host}/{}/{}", std::process::id(), hex::encode(bytes)))
}

/// The thread, from inside.
struct Inside {
    config: Config,
    tls: Tls,
    settings: PostgresSettings,
    node: String,
    /// The name of this process.
    holder: String,
    session: Option<Session>,
    /// Whether the session hears of what is new.
    listens: bool,
    leads: Option<Leads>,
    lease: Arc<Lease>,
    renew_at: Instant,
    /// When standbys were told last.
    announced: Instant,
    ending: Option<Ending>,
}

/// What this process writes with.
#[derive(Clone, Copy)]
struct Leads {
    epoch: i64,
    last: i64,
    /// The snapshot that is being written, and its next piece.
    draft: Option<(i64, i64, i32)>,
}

impl Inside {
    /// The connection; a new one if the last one is broken.
    async fn session(&mut self) -> Result<&mut Session, Failure> {
        if self.session.as_ref().is_none_or(Session::is_closed) {
            self.listens = false;
            self.session = None;
            self.session = Some(Session::connect(&self.config, &self.tls, &self.node, &self.settings).await?);
        }
        // It was put there.
        self.session.as_mut().ok_or_else(gone)
    }

    async fn serve(&mut self, mut asked: mpsc::UnboundedReceiver<Request>) {
        while self.ending.is_none() {
            let renew_at = self.leads.map(|_| tokio::time::Instant::from_std(self.renew_at));
            let renewal = async {
                match renew_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                request = asked.recv() => match request {
                    Some(request) => self.serve_one(request).await,
                    None => return,
                },
                () = renewal => self.renew().await,
            }
        }
    }

    /// An answer that nobody waits for any more isn't needed.
    async fn serve_one(&mut self, request: Request) {
        match request {
            Request::Read(after, answer) => {
                let page = self.page(after).await;
                self.doubt(&page);
                drop(answer.send(page));
            }
            Request::Sizes(answer) => {
                let last = self.leads.map_or(0, |leads| leads.last.unsigned_abs());
                let sizes = self.sizes().await.map(|(journal, snapshot)| Sizes { last, journal, snapshot });
                self.doubt(&sizes);
                drop(answer.send(sizes));
            }
            Request::Lead(answer) => {
                let led = self.lead().await;
                self.doubt(&led);
                drop(answer.send(led));
            }
            Request::Describe(text, answer) => {
                let described = self.describe(&text).await;
                self.doubt(&described);
                drop(answer.send(described));
            }
            Request::Commit(batch, answer) => drop(answer.send(self.commit(batch).await)),
            Request::Wait(at_most, answer) => {
                self.wait(at_most).await;
                let _ = answer.send(());
            }
            Request::End(ending, answer) => {
                if ending == Ending::Release {
                    self.release().await;
                }
                self.ending = Some(ending);
                let _ = answer.send(());
            }
        }
    }

    /// After a failure nobody knows what comes next over a connection.
    fn doubt<T>(&mut self, outcome: &Result<T, Failure>) {
        if outcome.is_err() {
            self.session = None;
        }
    }

    /// Waits until a leader says that there is something new. Without a connection it only waits.
    async fn wait(&mut self, at_most: Duration) {
        let begun = Instant::now();
        if !self.listens
            && let Ok(session) = self.session().await
        {
            self.listens = session.batch("listen to the leader", &format!("LISTEN {CHANNEL}")).await.is_ok();
        }
        let left = at_most.saturating_sub(begun.elapsed());
        match &self.session {
            Some(session) if !session.is_closed() => drop(timeout(left, session.news()).await),
            _ => tokio::time::sleep(left).await,
        }
    }
}
