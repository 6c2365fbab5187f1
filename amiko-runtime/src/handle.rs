//! How other tasks and threads talk to the node.
//!
//! Invariant: an answer is sent only when everything that it rests on is on disk.

use crate::disk::SyncTimes;
use crate::error::{AskError, RunError, SendError};
use crate::observe::Caller;
use crate::performing::EffectState;
use crate::settings::RuntimeSettings;
use crate::watching::{Look, Notices, Watched, Watcher};
use amiko_core::engine::DryRun;
use amiko_core::event::Reply;
use amiko_core::store::{Directory, Store};
use amiko_core::{Engine, Hosts, Id, Keeps, Node, Object, StateMachine};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::{Notify, broadcast, mpsc, oneshot};

/// A question about the state, with the channel for its answer inside.
pub(crate) type Question<N, S> = Box<dyn FnOnce(&Engine<N, S>) + Send>;

/// A command to be tried and undone, and who waits for what it would do.
pub(crate) struct Rehearsal<N: Node> {
    pub(crate) envelope: N::Envelope,
    pub(crate) answer: oneshot::Sender<Result<DryRun<N>, SendError>>,
}

/// A command, and who waits for its outcome.
pub(crate) struct Command<N: Node> {
    pub(crate) envelope: N::Envelope,
    /// What makes it act once.
    pub(crate) key: Option<String>,
    pub(crate) caller: Caller,
    pub(crate) answer: oneshot::Sender<Result<Option<Reply>, SendError>>,
}

/// What a handle asks the loop to do.
pub(crate) enum Call<N: Node, S: Store> {
    Command(Command<N>),
    /// To be made durable with one sync.
    Group(Vec<Command<N>>),
    Query(Question<N, S>),
    Connected(oneshot::Sender<Vec<String>>),
    Effects(usize, oneshot::Sender<Vec<EffectState>>),
    DryRun(Rehearsal<N>),
    Notices(oneshot::Sender<broadcast::Receiver<Arc<N::Notice>>>),
    Watch(Box<dyn Watcher<N>>),
}

/// Talks to a node from other tasks and threads, whatever runtime they run on. Cloning it is cheap.
///
/// A node goes on without handles. Stop it with [`Handle::stop`] before you drop the last one.
pub struct Handle<N: Node, S: Store = Directory> {
    calls: mpsc::Sender<Call<N, S>>,
    stop: Arc<Notify>,
    group: usize,
    syncs: Arc<SyncTimes>,
    role: Arc<Role>,
}

/// Why those who ask may get no answer here.
///
/// Invariant: one that can follow says `NotLeader` until it is told to stop: a call that a standby has sent away may hear of it
/// only when the standby leads already.
#[derive(Debug, Default)]
pub(crate) struct Role {
    stopped: AtomicBool,
    /// Who leads, if another one may.
    leader: Mutex<Option<Option<String>>>,
}

impl Role {
    /// Another one leads, here if it says so, or none does.
    pub(crate) fn follow(&self, leader: Option<String>) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(leader);
    }

    /// Whether the node was told to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Why a call wasn't answered.
    pub(crate) fn gone(&self) -> AskError {
        match &*self.leader.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(leader) if !self.is_stopped() => AskError::NotLeader { leader: leader.clone() },
            _ => AskError::Stopped,
        }
    }
}

// Written by hand: a derive would require `N: Clone` and `S: Clone`.
impl<N: Node, S: Store> Clone for Handle<N, S> {
    fn clone(&self) -> Self {
        Self {
            calls: self.calls.clone(),
            stop: Arc::clone(&self.stop),
            group: self.group,
            syncs: Arc::clone(&self.syncs),
            role: Arc::clone(&self.role),
        }
    }
}

impl<N: Node, S: Store> Handle<N, S> {
    pub(crate) fn new(calls: mpsc::Sender<Call<N, S>>, stop: Arc<Notify>, group: usize, role: Arc<Role>) -> Self {
        Self { calls, stop, group, syncs: Arc::default(), role }
    }

    /// Marks the node as stopped when what it gives is dropped.
    pub(crate) fn stopped_at_the_end(self) -> StoppedAtTheEnd {
        StoppedAtTheEnd(self.role)
    }

    pub(crate) fn role(&self) -> &Role {
        &self.role
    }

    /// Why a call that nobody took wasn't answered.
    pub(crate) fn gone(&self) -> AskError {
        self.role.gone()
    }

    pub(crate) fn times(&self) -> Arc<SyncTimes> {
        Arc::clone(&self.syncs)
    }

    /// How long the last syncs took, at most 256 of them, the oldest first: each from its beginning to its end on the disk.
    pub fn sync_times(&self) -> Vec<Duration> {
        self.syncs.get()
    }

    /// Sends a message to a machine, and gives its reply once everything that it rests on is on disk. Waits while the
    /// queue of calls is full. If the caller stops waiting, the command isn't cancelled.
    ///
    /// A stream of commands is sent as any futures are, so many at once, and gives their replies in order:
    /// `commands.map(|(id, message)| shop.send(&id, message).into_future()).buffered(64)`.
    ///
    /// The type of the reply is the one that the machine names: `#[amiko(reply = u64)]`. With [`Sending::key`], the
    /// command acts once, however often it is sent.
    ///
    /// # Errors
    /// [`SendError`]: a handler rejected the command, the node has stopped, or the disk failed.
    pub fn send<M>(&self, to: &Id<M>, message: M::Message) -> Sending<'_, M, N, S>
    where
        M: StateMachine<Node = N>,
        N: Hosts<M>,
    {
        Sending {
            handle: self,
            envelope: N::envelope(to.clone(), message),
            key: None,
            machine: std::marker::PhantomData,
        }
    }

    /// Sends many messages, [`RuntimeSettings::group`](crate::RuntimeSettings::group) of them to be made durable with
    /// one sync. Gives their outcomes in the same order. Each is a command of its own: one that is rejected leaves the
    /// others as they are.
    pub async fn send_all<M>(
        &self,
        messages: impl IntoIterator<Item = (Id<M>, M::Message)>,
    ) -> Vec<Result<M::Reply, SendError>>
    where
        M: StateMachine<Node = N>,
        M::Reply: Clone,
        N: Hosts<M>,
    {
        let mut envelopes = messages.into_iter().map(|(to, message)| N::envelope(to, message)).peekable();
        let mut outcomes = Vec::new();
        while envelopes.peek().is_some() {
            let (group, answers): (Vec<_>, Vec<_>) = envelopes.by_ref().take(self.group).map(command).unzip();
            // A node that has stopped drops the commands, and their answers say so.
            let _ = self.call(Call::Group(group)).await;
            for answer in answers {
                outcomes.push(typed(answered(answer, &self.role).await));
            }
        }
        outcomes
    }

    /// The same as [`Handle::send`] for an envelope: for messages that came as text.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn command(&self, envelope: N::Envelope) -> Result<Option<Reply>, SendError> {
        let (command, answer) = command::<N>(envelope);
        self.call(Call::Command(command)).await.map_err(SendError::from)?;
        answered(answer, &self.role).await
    }

    /// Reads the node between events. Everything that it sees is on disk.
    ///
    /// # Errors
    /// The node has stopped, or another process leads it.
    ///
    /// # Panics
    /// If `look` panics, so does this, and the node goes on.
    pub async fn read<R: Send + 'static>(&self, look: impl FnOnce(&N) -> R + Send + 'static) -> Result<R, AskError> {
        self.query(|engine| look(engine.node())).await
    }

    /// The same with the whole engine: its timers, its connections, its past.
    ///
    /// # Errors
    /// The node has stopped, or another process leads it.
    ///
    /// # Panics
    /// If `look` panics, so does this, and the node goes on.
    pub async fn query<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Engine<N, S>) -> R + Send + 'static,
    ) -> Result<R, AskError> {
        let (question, answered) = question(look);
        self.call(Call::Query(question)).await?;
        given(answered.await, || self.gone())
    }

    /// What a message would do if it came now: nothing happens, and nothing leaves. Due timers don't fire first.
    ///
    /// # Errors
    /// Those that [`Handle::send`] would have.
    pub async fn dry_run<M>(&self, to: &Id<M>, message: M::Message) -> Result<DryRun<N>, SendError>
    where
        M: StateMachine<Node = N>,
        N: Hosts<M>,
    {
        self.dry_run_command(N::envelope(to.clone(), message)).await
    }

    /// The same as [`Handle::dry_run`] for an envelope: for messages that came as text.
    ///
    /// # Errors
    /// Those that [`Handle::command`] would have.
    pub async fn dry_run_command(&self, envelope: N::Envelope) -> Result<DryRun<N>, SendError> {
        let (answer, tried) = oneshot::channel();
        self.call(Call::DryRun(Rehearsal { envelope, answer })).await.map_err(SendError::from)?;
        tried.await.unwrap_or_else(|_| Err(self.gone().into()))
    }

    /// The node's notices from now on. Who doesn't take them in time is told how many were missed, and goes on.
    pub async fn notices(&self) -> Notices<N> {
        let (answer, subscribed) = oneshot::channel();
        // A node that has stopped has no more notices.
        let _ = self.call(Call::Notices(answer)).await;
        Notices::new(subscribed.await.ok())
    }

    /// What `look` sees in the node: now, and after each commit that changes it. Values that nobody has taken are
    /// replaced by newer ones. Everything that it sees is on disk.
    ///
    /// `look` runs in the event loop, once for each group of events: it must be quick.
    pub async fn watch<R>(&self, look: impl FnMut(&N) -> R + Send + 'static) -> Watched<R>
    where
        R: Clone + PartialEq + Send + Sync + 'static,
    {
        self.watch_with(look, |new, old| new != old).await
    }

    /// The same for one object; `None` while there is none.
    pub async fn watch_object<T: Object>(&self, id: &Id<T>) -> Watched<Option<T>>
    where
        N: Keeps<T>,
    {
        let id = id.clone();
        let differ = |new: &Option<T>, old: &Option<T>| match (new, old) {
            (Some(new), Some(old)) => crate::watching::differ(new, old),
            (None, None) => false,
            _ => true,
        };
        self.watch_with(move |node: &N| node.table().get(&id).cloned(), differ).await
    }

    async fn watch_with<R: Clone + Send + Sync + 'static>(
        &self,
        look: impl FnMut(&N) -> R + Send + 'static,
        differ: impl Fn(&R, &R) -> bool + Send + 'static,
    ) -> Watched<R> {
        let (watcher, mut receiver) = Look::new(look, differ);
        // A node that has stopped, or has too many watchers, drops this one, which ends what is watched.
        let _ = self.call(Call::Watch(Box::new(watcher))).await;
        let _ = receiver.wait_for(Option::is_some).await;
        Watched::new(receiver)
    }

    /// The keys of the connections that have a socket right now, in order.
    ///
    /// # Errors
    /// The node has stopped, or another process leads it.
    pub async fn connected(&self) -> Result<Vec<String>, AskError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Connected(answer)).await?;
        answered.await.map_err(|_| self.gone())
    }

    /// The oldest effects that aren't over, at most so many, with what each of them waits for: an answer, its time, its turn, or
    /// a program that performs its class.
    ///
    /// # Errors
    /// The node has stopped, or another process leads it.
    pub async fn effects(&self, most: usize) -> Result<Vec<EffectState>, AskError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Effects(most, answer)).await?;
        answered.await.map_err(|_| self.gone())
    }

    /// Stops the node. Inputs that it has taken are made durable and answered; the rest is dropped.
    pub fn stop(&self) {
        self.role.stopped.store(true, Ordering::Relaxed);
        // If the loop isn't waiting, one permit is kept, and the loop asks for it before each input.
        self.stop.notify_one();
    }

    /// Waits until the node takes no more calls, whatever the reason: for a server around it, which could only refuse from then on. What it
    /// has taken is on disk and answered by then, or never will be. Peers may still be told good-bye: await [`Running`](crate::Running) as
    /// well, or whatever runs the node, before the process ends or the directory is opened again.
    ///
    /// ```
    /// # use amiko_core::{prelude::*, store::Memory};
    /// # use amiko_runtime::Runtime;
    /// # #[derive(Clone, Default, Serializable, Node)]
    /// # struct Shop {}
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let (shop, running) = Runtime::new(Engine::<Shop, _>::open(Memory::new(), Settings::default())?).spawn();
    /// let server = tokio::spawn(shop.stopped()); // in a service: `axum::serve(…).with_graceful_shutdown(shop.stopped())`
    /// shop.stop();
    /// running.await?;
    /// server.await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<N, S> {
        let calls = self.calls.clone();
        async move { calls.closed().await }
    }

    async fn call(&self, call: Call<N, S>) -> Result<(), AskError> {
        self.calls.send(call).await.map_err(|_| self.gone())
    }

    pub(crate) fn call_blocking(&self, call: Call<N, S>) -> Result<(), AskError> {
        self.calls.blocking_send(call).map_err(|_| self.gone())
    }
}

/// Those who call a node, and their calls that wait.
pub(crate) struct Callers<N: Node, S: Store> {
    pub(crate) handle: Handle<N, S>,
    pub(crate) stop: Arc<Notify>,
    pub(crate) calls: mpsc::Receiver<Call<N, S>>,
}

/// A node whose loop has ended, and those who still call it.
pub(crate) struct Failed<N: Node, S: Store> {
    pub(crate) error: RunError,
    pub(crate) callers: Callers<N, S>,
}

impl<N: Node, S: Store> Callers<N, S> {
    pub(crate) fn new(settings: &RuntimeSettings) -> Self {
        let (call, calls) = mpsc::channel(settings.calls.max(1));
        let stop = Arc::new(Notify::new());
        let handle = Handle::new(call, Arc::clone(&stop), settings.group.max(1), Arc::default());
        Self { handle, stop, calls }
    }
}

/// While it is there, the node isn't marked as stopped by it.
pub(crate) struct StoppedAtTheEnd(Arc<Role>);

impl Drop for StoppedAtTheEnd {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

/// A message on its way: await it.
#[must_use = "nothing is sent before it is awaited"]
pub struct Sending<'a, M: StateMachine, N: Node, S: Store> {
    handle: &'a Handle<N, S>,
    envelope: N::Envelope,
    key: Option<String>,
    machine: std::marker::PhantomData<fn() -> M>,
}

impl<M: StateMachine, N: Node, S: Store> Sending<'_, M, N, S> {
    /// Names the command: sent again under the same name it doesn't act again, and its sender gets the first reply,
    /// also after a crash and a restart. Reply and name are kept for a time and up to a number: see
    /// [`Limits::answers`](amiko_core::event::Limits::answers). A command that was rejected has no answer, and
    /// may be sent again.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl<'a, M, N, S> IntoFuture for Sending<'a, M, N, S>
where
    M: StateMachine<Node = N>,
    M::Reply: Clone,
    N: Hosts<M>,
    S: Store + 'a,
{
    type Output = Result<M::Reply, SendError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { handle, envelope, key, .. } = self;
        Box::pin(async move {
            let (mut command, answer) = command::<N>(envelope);
            command.key = key;
            handle.call(Call::Command(command)).await.map_err(SendError::from)?;
            typed(answered(answer, &handle.role).await)
        })
    }
}

type Answered = oneshot::Receiver<Result<Option<Reply>, SendError>>;

pub(crate) fn command<N: Node>(envelope: N::Envelope) -> (Command<N>, Answered) {
    let (answer, answered) = oneshot::channel();
    (Command { envelope, key: None, caller: Caller::current(), answer }, answered)
}

async fn answered(answer: Answered, role: &Role) -> Result<Option<Reply>, SendError> {
    // The loop answers every command that it has begun, so no answer means that it hasn't begun this one.
    answer.await.unwrap_or_else(|_| Err(role.gone().into()))
}

/// The reply as the machine's type. A machine without a type of reply needs no reply.
pub(crate) fn typed<R: Clone + amiko_core::Serializable>(
    outcome: Result<Option<Reply>, SendError>,
) -> Result<R, SendError> {
    match outcome? {
        Some(reply) => reply.read().map_err(SendError::Reply),
        None => {
            let nothing: Box<dyn Any> = Box::new(());
            nothing.downcast().map_or(Err(SendError::NoReply), |nothing| Ok(*nothing))
        }
    }
}

type Looked<R> = oneshot::Receiver<thread::Result<R>>;

pub(crate) fn question<N: Node, S: Store, R: Send + 'static>(
    look: impl FnOnce(&Engine<N, S>) -> R + Send + 'static,
) -> (Question<N, S>, Looked<R>) {
    let (answer, answered) = oneshot::channel();
    let question = Box::new(move |engine: &Engine<N, S>| {
        // It sees the engine only, and can't leave anything half done in it. A caller that has stopped waiting needs no
        // answer.
        let _ = answer.send(catch_unwind(AssertUnwindSafe(|| look(engine))));
    });
    (question, answered)
}

/// The panic of a question belongs to whoever asked.
pub(crate) fn given<R, E>(
    answer: Result<thread::Result<R>, E>,
    gone: impl FnOnce() -> AskError,
) -> Result<R, AskError> {
    match answer {
        Ok(Ok(given)) => Ok(given),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(gone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_machine_without_a_type_of_reply_needs_no_reply() {
        assert!(typed::<()>(Ok(None)).is_ok());
        assert!(matches!(typed::<u64>(Ok(None)), Err(SendError::NoReply)));
        assert_eq!(typed::<u64>(Ok(Some(Reply::new(7_u64)))).ok(), Some(7));
    }
}
