//! A node that several processes can run, of which one leads.
//!
//! Invariant: a caller is answered by the engine of a leader, or told that there is none here: nothing is answered from what a
//! standby has followed, but what [`Replica`] reads, which says so.

use crate::error::RunError;
use crate::handle::{Call, Callers, Handle};
use crate::observe;
use crate::offline::Offline;
use crate::runtime::Runtime;
use crate::settings::RuntimeSettings;
use crate::transport::Transport;
use amiko_core::conversation::{NoPeers, Protocol};
use amiko_core::engine::{Document, EngineOpenError, Follower, Settings, SyncError};
use amiko_core::store::{Leader, RecoverError, Recovery, Refused, Standby, StoreError, Takeover};
use amiko_core::{Engine, Node, Version};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// The longest time for which a standby waits until it looks again.
const LOOK: Duration = Duration::from_secs(1);

/// How long a leader whose store has failed doesn't try to lead again: another one may have more luck, and a disk that is full stays
/// so for a while.
const PAUSE: Duration = Duration::from_secs(1);

/// A process that can run a node of which there is one: it follows the leader's journal with the state in memory, and leads when
/// nobody else does.
///
/// Its handle is there from the beginning, and stays. While another one leads, a call fails with
/// [`SendError::NotLeader`](crate::SendError::NotLeader), which says where the leader answers, if the leader says so. While this
/// one begins to lead, calls wait. A leader that loses its lease follows again.
///
/// ```no_run
/// # use amiko_core::{prelude::*, store::Standby};
/// # #[derive(Clone, Default, Serializable, Node)]
/// # #[amiko(machine)]
/// # struct Counter { value: u64 }
/// # #[derive(Clone, Serializable)]
/// # struct Add { amount: u64 }
/// # impl StateMachine for Counter {
/// #     type Node = Self;
/// #     type Message = Add;
/// #     fn handle(&mut self, add: Add, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
/// #         self.value += add.amount;
/// #         Ok(())
/// #     }
/// # }
/// # async fn run(cluster: impl Standby<Store: Send>) -> Result<(), Box<dyn std::error::Error>> {
/// use amiko_runtime::{Member, RuntimeSettings, stop_signal};
///
/// // let cluster = amiko_postgres::Cluster::join("postgres://db.example/amiko", "counter", Default::default())?;
/// let member = Member::<Counter, _>::new(cluster, Settings::default(), RuntimeSettings::default());
/// let counter = member.handle();
/// tokio::spawn(async move {
///     stop_signal().await;
///     counter.stop();
/// });
/// // With performers and a network, if it has any: for each time that it leads.
/// member.run(|runtime| async { Ok::<_, amiko_runtime::BindError>(runtime) }).await?;
/// # Ok(())
/// # }
/// ```
pub struct Member<N: Node, C: Standby> {
    standby: C,
    engine: Settings,
    settings: RuntimeSettings,
    initial: Arc<dyn Fn() -> Document<N> + Send + Sync>,
    callers: Callers<N, C::Store>,
    replica: Replica<N>,
}

/// Why a member has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum MemberError {
    /// What is in the store can't be read.
    Recover(RecoverError),
    /// The state can't be opened.
    Open(EngineOpenError),
    /// Whoever completes the runtime of a leader has refused.
    Equip(Box<dyn std::error::Error + Send + Sync>),
    /// A leader has failed otherwise than by its store.
    Run(RunError),
    /// The operating system gives no thread.
    Thread(io::Error),
}

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recover(_) => "the journal of the cluster can't be read",
            Self::Open(_) => "the state of the cluster can't be opened",
            Self::Equip(_) => "the node can't be set up to lead",
            Self::Run(_) => "the node has failed while it led",
            Self::Thread(_) => "expected a thread to follow with, found that the operating system gives none",
        })
    }
}

impl std::error::Error for MemberError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Recover(error) => Some(error),
            Self::Open(error) => Some(error),
            Self::Equip(error) => Some(&**error),
            Self::Run(error) => Some(error),
            Self::Thread(error) => Some(error),
        }
    }
}

/// The state that a member has followed, to be read. It is older than the leader's: see [`Replica::read`].
pub struct Replica<N: Node>(Arc<Mutex<Followed<N>>>);

struct Followed<N: Node> {
    follower: Follower<N>,
    /// When it was known to be the newest one; none while this one leads, or before anything was read.
    fresh: Option<Instant>,
}

// Written by hand: a derive would require `N: Clone`.
impl<N: Node> Clone for Replica<N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<N: Node> Replica<N> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Followed { follower: Follower::new(), fresh: None })))
    }

    fn with<R>(&self, act: impl FnOnce(&mut Followed<N>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows the state that was followed, its version, and how long ago it was the newest one that the store knew of. None before
    /// anything was read, and while this process leads: then ask the [`Handle`].
    ///
    /// What it shows may be taken back, if the store loses a machine: a decision that matters is the leader's.
    pub fn read<R>(&self, look: impl FnOnce(&N, Version, Duration) -> R) -> Option<R> {
        self.with(|Followed { follower, fresh }| {
            let age = fresh.as_ref()?.elapsed();
            Some(look(follower.node()?, follower.version(), age))
        })
    }
}

/// Hands over to the replica, a record at a time, so that it can be read meanwhile.
impl<N: Node> Recovery for Replica<N> {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        self.with(|followed| {
            // It may be older than what was there.
            followed.fresh = None;
            followed.follower.snapshot(sequence, document)
        })
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        self.with(|followed| followed.follower.record(sequence, record))
    }
}

/// What a standby knows of who leads.
#[derive(Clone)]
enum Seen {
    /// Nobody leads, as far as is known: this one is about to try.
    Nobody,
    Leader(Leader),
    /// The store doesn't answer.
    Unknown,
}

/// How following has ended.
enum Outcome<N: Node, C: Standby> {
    Leads(C, Box<Engine<N, C::Store>>),
    Failed(MemberError),
    /// Nobody waits for it any more.
    Stopped,
}

/// What a standby needs to become a leader.
struct Look<N: Node> {
    settings: Settings,
    initial: Arc<dyn Fn() -> Document<N> + Send + Sync>,
    replica: Replica<N>,
    seen: watch::Sender<Seen>,
    stopped: Arc<AtomicBool>,
    /// It doesn't try to lead before.
    not_before: Instant,
}

impl<N: Node, C: Standby> Member<N, C>
where
    C::Store: Send + 'static,
{
    /// A member whose node begins with the default, if there is nothing yet.
    pub fn new(standby: C, engine: Settings, settings: RuntimeSettings) -> Self {
        Self::with_initial(standby, engine, settings, || Document::new(N::default()))
    }

    /// The same with another beginning.
    pub fn with_initial(
        standby: C,
        engine: Settings,
        settings: RuntimeSettings,
        initial: impl Fn() -> Document<N> + Send + Sync + 'static,
    ) -> Self {
        let callers = Callers::new(&settings);
        callers.handle.role().follow(None);
        Self { standby, engine, settings, initial: Arc::new(initial), callers, replica: Replica::new() }
    }

    /// How other tasks and threads talk to the node, whoever leads.
    pub fn handle(&self) -> Handle<N, C::Store> {
        self.callers.handle.clone()
    }

    /// The state that this one follows.
    pub fn replica(&self) -> Replica<N> {
        self.replica.clone()
    }

    /// Follows, and leads whenever nobody else does, until it is told to stop by its handle. `equip` completes the runtime of a
    /// leader, with performers and a network.
    ///
    /// A leader that is told to stop makes everything durable, and gives its lease back: another member leads at once.
    ///
    /// # Errors
    /// What can't be mended by waiting; a store that doesn't answer is waited for.
    pub async fn run<P, T, E>(
        self,
        mut equip: impl AsyncFnMut(Runtime<NoPeers<N>, C::Store, Offline>) -> Result<Runtime<P, C::Store, T>, E>,
    ) -> Result<(), MemberError>
    where
        P: Protocol<Node = N>,
        T: Transport,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Self { mut standby, engine: settings, settings: runtime, initial, mut callers, replica } = self;
        // Whichever way it ends, callers are told that it has.
        let _ended = callers.handle.clone().stopped_at_the_end();
        let mut not_before = Instant::now();
        loop {
            let (seen, sees) = watch::channel(Seen::Nobody);
            let stopped = Arc::new(AtomicBool::new(false));
            let look = Look {
                settings: settings.clone(),
                initial: Arc::clone(&initial),
                replica: replica.clone(),
                seen,
                stopped: Arc::clone(&stopped),
                not_before,
            };
            let outcome = follow(standby, look, sees, &mut callers).await;
            stopped.store(true, Ordering::Relaxed);
            let engine = match outcome? {
                Outcome::Leads(back, engine) => {
                    standby = back;
                    *engine
                }
                Outcome::Failed(error) => return Err(error),
                Outcome::Stopped => return Ok(()),
            };
            let handle = callers.handle.clone();
            handle.role().follow(None);
            observe::leads(engine.version().0);
            let leads = equip(Runtime::with_callers(engine, runtime.clone(), callers)).await;
            let led = Box::new(leads.map_err(|error| MemberError::Equip(error.into()))?).lead().await;
            observe::leads_no_more(led.as_ref().err().map(|failed| &failed.error as _));
            match led {
                Ok(engine) => {
                    // It waits for the store, and whoever waits for this task may do other things meanwhile.
                    let released = tokio::task::spawn_blocking(move || C::release(engine.into_store()));
                    return released.await.map_err(|_| MemberError::Run(RunError::Cancelled));
                }
                Err(failed) => match &failed.error {
                    // It was told to stop, and had lost its lease before it knew.
                    error if error.is_fenced() && handle.role().is_stopped() => return Ok(()),
                    // What the store has is read anew, and somebody leads: maybe this one.
                    RunError::Sync(SyncError::Store(_) | SyncError::Poisoned { .. }) | RunError::Store(_)
                        if !handle.role().is_stopped() =>
                    {
                        handle.role().follow(None);
                        callers = failed.callers;
                        if !failed.error.is_fenced() {
                            not_before = Instant::now() + PAUSE;
                        }
                    }
                    _ => return Err(MemberError::Run(failed.error)),
                },
            }
        }
    }
}

/// Follows until this one leads, or is told to stop. Meanwhile calls that another one could answer are sent away.
async fn follow<N: Node, C: Standby>(
    standby: C,
    look: Look<N>,
    mut sees: watch::Receiver<Seen>,
    callers: &mut Callers<N, C::Store>,
) -> Result<Outcome<N, C>, MemberError>
where
    C::Store: Send + 'static,
{
    let (ended, mut has_ended) = oneshot::channel();
    let run = move || drop(ended.send(look.until_it_leads(standby)));
    thread::Builder::new().name("amiko-standby".to_owned()).spawn(run).map_err(MemberError::Thread)?;
    loop {
        let elsewhere = match &*sees.borrow_and_update() {
            Seen::Nobody => None,
            Seen::Unknown => Some(None),
            Seen::Leader(leader) => Some(leader.address.clone()),
        };
        if let Some(leader) = &elsewhere {
            callers.handle.role().follow(leader.clone());
        }
        tokio::select! {
            outcome = &mut has_ended => {
                return outcome.map_err(|_| MemberError::Run(RunError::Panicked("the thread that follows".to_owned())));
            }
            () = callers.stop.notified() => return Ok(Outcome::Stopped),
            // The thread has ended, and says how.
            Ok(()) = sees.changed() => {}
            // Its caller is told by that.
            Some(call) = callers.calls.recv(), if elsewhere.is_some() => drop::<Call<N, C::Store>>(call),
        }
    }
}

impl<N: Node> Look<N> {
    fn until_it_leads<C: Standby>(self, mut standby: C) -> Outcome<N, C> {
        while !self.stopped.load(Ordering::Relaxed) {
            match standby.follow(&mut self.replica.clone()) {
                Ok(()) => self.replica.with(|followed| followed.fresh = Some(Instant::now())),
                Err(RecoverError::Io { .. }) => {
                    self.see(Seen::Unknown);
                    standby.wait(LOOK);
                    continue;
                }
                Err(error) => return Outcome::Failed(MemberError::Recover(error)),
            }
            let left = self.not_before.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                standby.wait(left);
                continue;
            }
            let wait = match standby.take_over() {
                Ok(Takeover::Leads(store)) if self.stopped.load(Ordering::Relaxed) => {
                    C::release(store);
                    return Outcome::Stopped;
                }
                Ok(Takeover::Leads(store)) => match self.open_leading(store) {
                    Ok(engine) => return Outcome::Leads(standby, Box::new(engine)),
                    Err(error) if is_passing(&error) => LOOK,
                    Err(error) => return Outcome::Failed(MemberError::Open(error)),
                },
                Ok(Takeover::Follows(leader)) => {
                    let left = leader.left;
                    self.see(Seen::Leader(leader));
                    left
                }
                Ok(_) | Err(_) => {
                    self.see(Seen::Unknown);
                    LOOK
                }
            };
            standby.wait(wait.min(LOOK));
        }
        Outcome::Stopped
    }

    /// Opens the state of a leader: what was followed, and the rest of the journal.
    fn open_leading<S: amiko_core::store::Store>(&self, store: S) -> Result<Engine<N, S>, EngineOpenError> {
        // Nobody else leads, so callers may wait for this one.
        self.see(Seen::Nobody);
        let follower = self.replica.with(|followed| {
            followed.fresh = None;
            std::mem::take(&mut followed.follower)
        });
        Engine::open_following(store, self.settings.clone(), follower, || (self.initial)())
    }

    fn see(&self, seen: Seen) {
        // Nobody looks any more once it is told to stop.
        self.seen.send_replace(seen);
    }
}

/// Whether it may succeed later, and here or elsewhere: the store didn't answer, or another one leads again.
fn is_passing(error: &EngineOpenError) -> bool {
    matches!(
        error,
        EngineOpenError::Recover(RecoverError::Io { .. })
            | EngineOpenError::Snapshot(SyncError::Store(_))
            | EngineOpenError::Describe(StoreError::Io { .. } | StoreError::Fenced { .. })
    )
}
