//! The event loop: the one place where the engine, the callers and the sockets meet.
//!
//! Invariant: outputs are passed on only in [`Runtime::release`], which asks the engine for those that may leave; and a
//! socket is bound to a connection, and a question answered, only when nothing waits for a sync.

mod network;
mod syncing;
mod timers;

use crate::disk::{Disk, Gone};
use crate::error::{BindError, RunError, SendError};
use crate::handle::{Call, Callers, Command, Failed, Handle, Question, Rehearsal};
use crate::offline::Offline;
use crate::performing::{EffectState, Ended, Performer, Performing};
use crate::settings::{Durability, RuntimeSettings};
use crate::socket::Signal;
use crate::sockets::Sockets;
use crate::transport::Transport;
use crate::watching::Watcher;
use amiko_core::conversation::{Conversations, NoPeers, Protocol};
use amiko_core::effect::Effect;
use amiko_core::engine::EventError;
use amiko_core::event::{Output, Reply, Request};
use amiko_core::store::{Store, StoreError, Work};
use amiko_core::{Engine, Node, Performs, Time, Version, tree::Tree};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use timers::Held;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

/// The longest time between two looks at the clock while a timer is set: the clock may be put forward in between.
const RECHECK: Duration = Duration::from_secs(1);

/// What the loop does next.
enum Input<N: Node, S: Store, T: Transport> {
    /// The outcome of the sync that was under way.
    Done(<S::Work as Work>::Done),
    Call(Call<N, S>),
    Signal(Signal<T>),
    /// An attempt to perform an effect has ended.
    Ended(Ended<N, S>),
    Due,
    Stop,
}

/// A command that was carried out or rejected. Its caller is told when the outcome is on disk.
///
/// Invariant: whoever drops it before that, with a loop that ends in its midst, tells the caller that nobody knows.
struct Pending {
    /// The version that its outcome rests on.
    version: Version,
    /// None once the caller was told.
    answer: Option<oneshot::Sender<Result<Option<Reply>, SendError>>>,
    outcome: Result<Option<Reply>, SendError>,
}

impl Pending {
    fn tell(mut self) {
        if let Some(answer) = self.answer.take() {
            // A caller that has stopped waiting needs no answer.
            let _ = answer.send(std::mem::replace(&mut self.outcome, Err(SendError::Unknown)));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(Err(SendError::Unknown));
        }
    }
}

/// A question to be answered when everything before it is on disk.
enum Asked<N: Node, S: Store> {
    State(Question<N, S>),
    Connected(oneshot::Sender<Vec<String>>),
    Effects(usize, oneshot::Sender<Vec<EffectState>>),
    DryRun(Rehearsal<N>),
    /// Somebody begins to watch.
    Watch(Box<dyn Watcher<N>>),
}

/// A node that runs: an engine, and the one event loop around it.
///
/// It needs a tokio runtime of either kind, with time enabled; and with I/O, if it has peers. [`Runtime::run`] is one
/// task, and each socket is another. All of them are `Send`, so `tokio::spawn(runtime.run())` works everywhere;
/// [`Runtime::spawn`] is shorter, and [`Runtime::thread`] is for programs that aren't async.
pub struct Runtime<P: Protocol, S: Store, T: Transport> {
    engine: Engine<P::Node, S>,
    disk: Disk<S::Work>,
    /// Inputs since the last sync began.
    gathered: usize,
    /// Since when there is something to be synced that nobody waits for.
    lazy: Option<Instant>,
    /// Inputs that wait for timers that were due before they came.
    held: Held<Input<P::Node, S, T>>,
    /// When the last sync that was more than a write began.
    synced: Instant,
    protocol: P,
    settings: RuntimeSettings,
    conversations: Conversations,
    performing: Performing<P::Node, S>,
    sockets: Sockets<T>,
    /// The start of the clock for sockets.
    begun: Instant,
    listener: Option<T::Listener>,
    address: Option<SocketAddr>,
    handle: Handle<P::Node, S>,
    stop: Arc<Notify>,
    calls: mpsc::Receiver<Call<P::Node, S>>,
    signals: mpsc::Receiver<Signal<T>>,
    /// By the number of the request.
    pending: BTreeMap<u64, Pending>,
    asked: Vec<Asked<P::Node, S>>,
    /// Once somebody takes some: their places take memory.
    notices: Option<broadcast::Sender<Arc<<P::Node as Tree>::Notice>>>,
    watchers: Vec<Box<dyn Watcher<P::Node>>>,
    /// The version at which the watchers last looked, if what they saw isn't shown yet.
    looked: Option<Version>,
    requests: u64,
}

impl<N: Node, S: Store> Runtime<NoPeers<N>, S, Offline> {
    /// A node without peers. [`Runtime::with_network`] gives it some.
    pub fn new(engine: Engine<N, S>) -> Self {
        Self::with_settings(engine, RuntimeSettings::default())
    }

    /// The same with other settings.
    pub fn with_settings(engine: Engine<N, S>, settings: RuntimeSettings) -> Self {
        let Callers { handle, stop, calls } = Callers::new(&settings);
        let performing = Performing::new();
        Self::assemble(Parts { engine, settings, handle, stop, calls, performing }, NoPeers::new(), Offline::new())
    }

    /// The same for callers that were there before.
    pub(crate) fn with_callers(engine: Engine<N, S>, settings: RuntimeSettings, callers: Callers<N, S>) -> Self {
        let Callers { handle, stop, calls } = callers;
        let performing = Performing::new();
        Self::assemble(Parts { engine, settings, handle, stop, calls, performing }, NoPeers::new(), Offline::new())
    }
}

/// What doesn't depend on the network.
struct Parts<N: Node, S: Store> {
    engine: Engine<N, S>,
    settings: RuntimeSettings,
    handle: Handle<N, S>,
    stop: Arc<Notify>,
    calls: mpsc::Receiver<Call<N, S>>,
    performing: Performing<N, S>,
}

impl<P: Protocol, S: Store, T: Transport> Runtime<P, S, T> {
    fn assemble(parts: Parts<P::Node, S>, protocol: P, transport: T) -> Self {
        let Parts { engine, settings, handle, stop, calls, performing } = parts;
        let (signal, signals) = mpsc::channel(settings.inbound.max(1));
        Self {
            engine,
            disk: Disk::new(handle.times()),
            gathered: 0,
            lazy: None,
            held: Held::default(),
            synced: Instant::now(),
            protocol,
            conversations: Conversations::new(settings.conversation.clone(), random),
            performing,
            sockets: Sockets::new(transport, settings.clone(), signal),
            begun: Instant::now(),
            listener: None,
            address: None,
            handle,
            stop,
            calls,
            signals,
            pending: BTreeMap::new(),
            asked: Vec::new(),
            notices: None,
            watchers: Vec::new(),
            looked: None,
            requests: 0,
            settings,
        }
    }

    /// The same node with peers: they speak this protocol, over this transport. It listens from now on if
    /// [`RuntimeSettings::listen`] says so, and does everything else in [`Runtime::run`].
    ///
    /// # Errors
    /// The address can't be listened on.
    pub async fn with_network<Q, U>(self, protocol: Q, transport: U) -> Result<Runtime<Q, S, U>, BindError>
    where
        Q: Protocol<Node = P::Node>,
        U: Transport,
    {
        let (mut listener, mut address) = (None, None);
        if let Some(wanted) = self.settings.listen {
            let refused = |source| BindError::Listen { address: wanted, source };
            let found = transport.listen(wanted).await.map_err(refused)?;
            address = Some(transport.local_addr(&found).map_err(refused)?);
            listener = Some(found);
        }
        let Self { engine, settings, handle, stop, calls, performing, .. } = self;
        let parts = Parts { engine, settings, handle, stop, calls, performing };
        Ok(Runtime { listener, address, ..Runtime::assemble(parts, protocol, transport) })
    }

    /// The same node with somebody who performs its effects of class `E`. Without, they wait in the state.
    #[must_use]
    pub fn with_performer<E>(mut self, performer: impl Performer<E>) -> Self
    where
        E: Effect,
        P::Node: Performs<E>,
        S: 'static,
    {
        self.performing.serve(performer, <P::Node as Performs<E>>::CLASS, self.settings.attempts);
        self
    }

    /// Where peers dial.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The state, before it runs.
    pub fn node(&self) -> &P::Node {
        self.engine.node()
    }

    /// How other tasks and threads talk to the node.
    pub fn handle(&self) -> Handle<P::Node, S> {
        self.handle.clone()
    }

    /// Runs the node until it is told to stop, then makes everything durable once more and returns the engine.
    ///
    /// # Errors
    /// The disk failed. Nothing that isn't on disk has left. Open the state anew.
    pub fn run(self) -> impl Future<Output = Result<Engine<P::Node, S>, RunError>> {
        // A future has room for what it was given, once more for each one that it is handed on to: this one, for a pointer.
        let runtime = Box::new(self);
        async move { runtime.lead().await.map_err(|failed| failed.error) }
    }

    /// The same; after a failure those who call are still there, for whatever answers them next.
    pub(crate) async fn lead(mut self: Box<Self>) -> Result<Engine<P::Node, S>, Box<Failed<P::Node, S>>> {
        let outcome = match self.serve().await {
            Ok(()) => self.stop_in_time().await,
            Err(error) => Err(error),
        };
        // A write under way is completed, but nobody is told of it.
        if let Err(error) = outcome {
            self.pending.clear();
            if error.is_fenced() {
                self.handle.role().follow(None);
            }
            let callers = Callers { handle: self.handle, stop: self.stop, calls: self.calls };
            return Err(Box::new(Failed { error, callers }));
        }
        // From here on callers are told that the node has stopped.
        drop((self.calls, self.held));
        self.sockets.farewell(&mut self.signals).await;
        self.engine.leave_timers(false);
        Ok(self.engine)
    }

    async fn serve(&mut self) -> Result<(), RunError> {
        self.engine.leave_timers(true);
        if let Some(listener) = self.listener.take() {
            self.sockets.listen(listener);
        }
        let now = self.moment();
        self.conversations.start(&self.engine, now);
        // What the engine was given before has to be on disk before anybody outside hears of it.
        self.settle().await?;
        self.performing.start(&self.engine, (self.settings.clock)());
        self.obey();
        loop {
            // Before anything is waited for: whatever was released since, by a sync or for a question, and after a start what the
            // state has.
            self.performing.begin(&self.engine, (self.settings.clock)());
            match self.input().await? {
                Input::Stop => return Ok(()),
                Input::Done(done) => self.end_sync(done)?,
                input => {
                    self.turn(input).await?;
                    // The sockets and the callers get their turn: what they have goes into the same sync.
                    tokio::task::yield_now().await;
                    if self.held.is_empty()
                        && !self.is_full()
                        && let Some(next) = self.queued(self.gathered)
                    {
                        self.turn(next).await?;
                    }
                }
            }
            self.look_after();
            if let Some(done) = self.disk.try_done().map_err(|Gone| RunError::DiskThread)? {
                self.end_sync(done)?;
            }
            self.advance()?;
            self.answer().await?;
            self.sockets.reap();
        }
    }

    async fn input(&mut self) -> Result<Input<P::Node, S, T>, RunError> {
        let now = (self.settings.clock)();
        let due = self.timers_due(now);
        let lease = self.engine.lease().map_err(RunError::Sync)?;
        let effect_due = self.performing.due(now).map(|due| due.min(RECHECK));
        let sync_due = self.sync_due();
        let look_due = self.conversations.poll_timeout().map(|at| at.saturating_sub(self.moment()));
        // When the next group is full, it waits for the one before it.
        let room = !self.is_full();
        let busy = self.disk.is_busy();
        let ready = (room || !busy) && self.held.is_empty();
        Ok(tokio::select! {
            done = self.disk.done() => Input::Done(done.map_err(|Gone| RunError::DiskThread)?),
            () = self.stop.notified() => Input::Stop,
            () = wait(due), if room || !busy => Input::Due,
            () = wait(lease) => Input::Due,
            () = wait(effect_due), if room || !busy => Input::Due,
            () = wait(sync_due), if !busy => Input::Due,
            () = wait(look_due), if room || !busy => Input::Due,
            Some(call) = self.calls.recv(), if ready => Input::Call(call),
            Some(signal) = self.signals.recv(), if ready => Input::Signal(signal),
            Some(ended) = self.performing.inbox.recv(), if ready => Input::Ended(ended),
        })
    }

    /// Takes this input and the ones that are waiting, to be made durable with one sync. Due timers go first.
    async fn turn(&mut self, first: Input<P::Node, S, T>) -> Result<(), RunError> {
        if !self.held.is_empty() {
            self.held.add(first);
            return self.go_on().await;
        }
        let mut input = Some(first);
        for count in self.gathered.. {
            let queued = |runtime: &mut Self| if runtime.is_full() { None } else { runtime.queued(count) };
            let Some(next) = input.take().or_else(|| queued(self)) else { break };
            if self.fire_slice((self.settings.clock)(), usize::MAX).await? > 0 {
                self.hold(next);
                break;
            }
            self.take(next).await?;
        }
        Ok(())
    }

    async fn take(&mut self, input: Input<P::Node, S, T>) -> Result<(), RunError> {
        self.gathered += 1;
        match input {
            Input::Call(call) => self.call(call).await,
            Input::Signal(signal) => self.signal(signal).await,
            Input::Ended(ended) => self.ended(ended).await,
            Input::Done(_) | Input::Due | Input::Stop => Ok(()),
        }
    }

    /// The next input that is waiting already. Callers, peers and the outside take turns, so none can starve another.
    fn queued(&mut self, turn: usize) -> Option<Input<P::Node, S, T>> {
        (turn..turn + 3).find_map(|turn| match turn % 3 {
            0 => self.calls.try_recv().ok().map(Input::Call),
            1 => self.signals.try_recv().ok().map(Input::Signal),
            _ => self.performing.inbox.try_recv().ok().map(Input::Ended),
        })
    }

    /// An attempt to perform an effect has ended.
    async fn ended(&mut self, ended: Ended<P::Node, S>) -> Result<(), RunError> {
        let Ended { number, mut end } = ended;
        let outcome = self.attempt(|engine, now| end(engine, now)).await;
        self.performing.handle_ended(number);
        // A rejection is listed among those of the engine; the effect is over all the same.
        outcome.map(drop)
    }

    async fn call(&mut self, call: Call<P::Node, S>) -> Result<(), RunError> {
        match call {
            Call::Command(command) => return self.command(command).await,
            Call::Group(commands) => {
                for command in commands {
                    self.command(command).await?;
                }
            }
            Call::Query(question) => self.asked.push(Asked::State(question)),
            Call::Connected(answer) => self.asked.push(Asked::Connected(answer)),
            Call::Effects(most, answer) => self.asked.push(Asked::Effects(most, answer)),
            Call::DryRun(rehearsal) => self.asked.push(Asked::DryRun(rehearsal)),
            // One that has stopped waiting needs none.
            Call::Notices(answer) => {
                let most = self.settings.notices.max(1);
                let notices = self.notices.get_or_insert_with(|| broadcast::Sender::new(most));
                drop(answer.send(notices.subscribe()));
            }
            Call::Watch(watcher) => self.asked.push(Asked::Watch(watcher)),
        }
        Ok(())
    }

    async fn command(&mut self, command: Command<P::Node>) -> Result<(), RunError> {
        let Command { envelope, key, caller, answer } = command;
        self.requests += 1;
        let request = self.requests;
        let command = |engine: &mut Engine<P::Node, S>, now| {
            caller.within(|| match &key {
                Some(key) => engine.command_once(key, envelope.clone(), Some(Request(request)), now),
                None => engine.command(envelope.clone(), Some(Request(request)), now),
            })
        };
        let (outcome, end) = match self.attempt(command).await {
            Ok(Ok(_)) => (Ok(None), Ok(())),
            Ok(Err(error)) => (Err(error.into()), Ok(())),
            Err(error) => (Err(SendError::Unknown), Err(error)),
        };
        let version = self.engine.version();
        self.pending.insert(request, Pending { version, answer: Some(answer), outcome });
        end
    }

    /// Runs an event now. If the store must write its buffer first, it does; if that fails, the loop ends.
    async fn attempt<R>(
        &mut self,
        mut event: impl FnMut(&mut Engine<P::Node, S>, Time) -> Result<R, EventError>,
    ) -> Result<Result<R, EventError>, RunError> {
        let now = (self.settings.clock)();
        loop {
            match event(&mut self.engine, now) {
                // Each round puts at least one event on disk, so the next one gets further.
                Err(EventError::Store(StoreError::BufferFull { .. })) if self.engine.unreleased() => {
                    self.settle().await?
                }
                Err(EventError::Store(error)) => return Err(RunError::Store(error)),
                outcome => return Ok(outcome),
            }
        }
    }

    /// Stops, unless that takes too long.
    async fn stop_in_time(&mut self) -> Result<(), RunError> {
        let limit = self.settings.stop_limit;
        match timeout(limit, self.finish()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let (version, durable) = (self.engine.version(), self.engine.durable());
                Err(RunError::StopTimeout { limit, waiting: version.0.saturating_sub(durable.0) })
            }
        }
    }

    /// The last settling: puts everything on disk, whatever the durability setting.
    async fn finish(&mut self) -> Result<(), RunError> {
        self.settings.durability = Durability::Always;
        // The limit of a stop is for the disk, too: it can't end what is done in the loop.
        self.settings.quick_sync = Duration::ZERO;
        self.settle().await?;
        self.end_attempts().await?;
        while self.engine.unsynced() {
            self.wait_for_disk().await?;
            self.release()?;
            self.begin_sync()?;
        }
        self.settle().await?;
        self.answer().await?;
        self.conversations.stop();
        self.obey();
        Ok(())
    }

    /// Gives the attempts that are under way a moment to end.
    async fn end_attempts(&mut self) -> Result<(), RunError> {
        self.performing.cancel_all();
        for ended in self.held.take_ended() {
            self.ended(ended).await?;
        }
        let begun = Instant::now();
        while !self.performing.is_idle() {
            let left = self.settings.attempts_stop.saturating_sub(begun.elapsed());
            match timeout(left, self.performing.inbox.recv()).await {
                Ok(Some(ended)) => self.ended(ended).await?,
                Ok(None) | Err(_) => break,
            }
        }
        Ok(())
    }

    /// Passes on what may leave, in order.
    fn release(&mut self) -> Result<(), RunError> {
        self.engine.lease().map_err(RunError::Sync)?;
        for output in self.engine.outputs() {
            self.hand_on(output);
        }
        self.obey();
        self.pump();
        let released = self.engine.released();
        while let Some(first) = self.pending.first_entry().filter(|first| first.get().version <= released) {
            first.remove().tell();
        }
        if self.looked.take_if(|looked| *looked <= released).is_some() {
            self.watchers.iter_mut().for_each(|watcher| watcher.show());
        }
        Ok(())
    }

    /// Answers questions about the state. What they see is on disk.
    async fn answer(&mut self) -> Result<(), RunError> {
        if self.asked.is_empty() {
            return Ok(());
        }
        self.settle().await?;
        for asked in std::mem::take(&mut self.asked) {
            match asked {
                Asked::State(question) => question(&self.engine),
                Asked::Watch(mut watcher) => {
                    self.watchers.retain_mut(|watcher| sees(&mut **watcher, self.engine.node()));
                    if self.watchers.len() < self.settings.watchers && sees(&mut *watcher, self.engine.node()) {
                        watcher.show();
                        self.watchers.push(watcher);
                    }
                }
                Asked::Connected(answer) => drop(answer.send(self.conversations.connected())),
                Asked::DryRun(Rehearsal { envelope, answer }) => {
                    let outcome = self.engine.dry_run(envelope, (self.settings.clock)());
                    drop(answer.send(outcome.map_err(SendError::from)));
                }
                Asked::Effects(most, answer) => drop(answer.send(self.performing.states(&self.engine, most))),
            }
        }
        Ok(())
    }

    fn hand_on(&mut self, output: Output<P::Node>) {
        let now = self.moment();
        self.conversations.handle_output(&output, &self.engine, now);
        match output {
            Output::Transmit { .. } | Output::Confirm { .. } | Output::Opened { .. } | Output::Closed { .. } => {}
            Output::Perform { .. } | Output::EffectEnded { .. } => {
                self.performing.handle_output(&output, &self.engine, (self.settings.clock)());
            }
            Output::Reply { request, reply } => {
                if let Some(Pending { outcome: Ok(given), .. }) = self.pending.get_mut(&request.0) {
                    *given = Some(reply);
                }
            }
            // It isn't an error if nobody listens.
            Output::Notice(notice) => {
                if let Some(notices) = &self.notices {
                    drop(notices.send(Arc::new(notice)));
                }
            }
        }
    }
}

/// Lets a watcher look. One that panics is removed: nothing that it looks at is changed by it.
fn sees<N>(watcher: &mut dyn Watcher<N>, node: &N) -> bool {
    catch_unwind(AssertUnwindSafe(|| watcher.look(node))).unwrap_or(false)
}

async fn wait(due: Option<Duration>) {
    match due {
        None => std::future::pending().await,
        Some(Duration::ZERO) => {}
        Some(pause) => sleep(pause).await,
    }
}

/// Random bytes for back-off, and for the tie-break between two sockets. Zeros if the operating system has none: that
/// costs a few attempts and no more.
fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_or(0, |()| u64::from_ne_bytes(bytes))
}
