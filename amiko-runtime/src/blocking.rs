//! A node on a thread of its own, for programs that aren't async.

use crate::error::{AskError, RunError, SendError};
use crate::handle::{Call, Handle, command, given, question, typed};
use crate::running::text;
use crate::runtime::Runtime;
use crate::transport::Transport;
use amiko_core::conversation::Protocol;
use amiko_core::event::Reply;
use amiko_core::store::{Directory, Store};
use amiko_core::{Engine, Hosts, Id, Node, StateMachine};
use std::thread;

/// A thread that runs a node: join it to get the engine back once the node has stopped.
pub struct Thread<N: Node, S: Store>(thread::JoinHandle<Result<Engine<N, S>, RunError>>);

impl<N: Node, S: Store> Thread<N, S> {
    /// Waits until the node has stopped.
    ///
    /// # Errors
    /// The node ended with an error; see [`Runtime::run`].
    pub fn join(self) -> Result<Engine<N, S>, RunError> {
        self.0.join().unwrap_or_else(|panic| Err(RunError::Panicked(text(&*panic))))
    }
}

impl<P: Protocol, S: Store, T: Transport> Runtime<P, S, T>
where
    P: Send + Sync + 'static,
    S: Send + 'static,
{
    /// Runs the node on a thread of its own, for programs that aren't async.
    ///
    /// ```
    /// use amiko_core::{prelude::*, store::Memory};
    /// use amiko_runtime::Runtime;
    ///
    /// # #[derive(Clone, Default, Serializable)]
    /// # #[amiko(key = String, reply = u64)]
    /// # struct Counter { count: u64 }
    /// # #[derive(Clone, Serializable)]
    /// # enum Count { Up { by: u64 } }
    /// # impl StateMachine for Counter {
    /// #     type Node = Counters;
    /// #     type Message = Count;
    /// #     fn handle(&mut self, Count::Up { by }: Count, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
    /// #         self.count = self.count.checked_add(by).ok_or(Rejection::new("the counter is full"))?;
    /// #         cx.reply(self.count);
    /// #         Ok(())
    /// #     }
    /// # }
    /// # #[derive(Clone, Default, Serializable, Node)]
    /// # struct Counters { #[amiko(machines)] counters: Table<Counter> }
    /// let engine = Engine::open_with(Memory::new(), Settings::default(), || {
    ///     Counters { counters: [(Id::new("one"), Counter::default())].into_iter().collect() }
    /// })?;
    /// let (counters, thread) = Runtime::new(engine).thread()?;
    /// assert_eq!(counters.send(&Id::<Counter>::new("one"), Count::Up { by: 7 })?, 7);
    /// counters.stop();
    /// thread.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The operating system gives no thread, or no event queue.
    #[expect(clippy::type_complexity, reason = "a pair, as `spawn` gives it")]
    pub fn thread(self) -> Result<(BlockingHandle<P::Node, S>, Thread<P::Node, S>), RunError> {
        let handle = self.handle().blocking();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(RunError::Thread)?;
        let run = move || runtime.block_on(self.run());
        let thread = thread::Builder::new().name("amiko-node".to_owned()).spawn(run).map_err(RunError::Thread)?;
        Ok((handle, Thread(thread)))
    }
}

/// Talks to a node from threads that aren't async. Cloning it is cheap.
///
/// # Panics
/// Each of its methods but `stop` panics inside async code, where it would hold up other tasks: use a [`Handle`] there.
pub struct BlockingHandle<N: Node, S: Store = Directory>(Handle<N, S>);

// Written by hand: a derive would require `N: Clone` and `S: Clone`.
impl<N: Node, S: Store> Clone for BlockingHandle<N, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<N: Node, S: Store> Handle<N, S> {
    /// The same for threads that aren't async.
    pub fn blocking(&self) -> BlockingHandle<N, S> {
        BlockingHandle(self.clone())
    }
}

impl<N: Node, S: Store> BlockingHandle<N, S> {
    /// As [`Handle::send`].
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send<M>(&self, to: &Id<M>, message: M::Message) -> Result<M::Reply, SendError>
    where
        M: StateMachine<Node = N>,
        M::Reply: Clone,
        N: Hosts<M>,
    {
        typed(self.ask(None, N::envelope(to.clone(), message)))
    }

    /// As [`Handle::send`] with [`Sending::key`](crate::Sending::key).
    ///
    /// # Errors
    /// [`SendError`].
    pub fn send_once<M>(&self, key: &str, to: &Id<M>, message: M::Message) -> Result<M::Reply, SendError>
    where
        M: StateMachine<Node = N>,
        M::Reply: Clone,
        N: Hosts<M>,
    {
        typed(self.ask(Some(key.to_owned()), N::envelope(to.clone(), message)))
    }

    fn ask(&self, key: Option<String>, envelope: N::Envelope) -> Result<Option<Reply>, SendError> {
        let (mut command, answer) = command::<N>(envelope);
        command.key = key;
        self.0.call_blocking(Call::Command(command)).map_err(SendError::from)?;
        answer.blocking_recv().unwrap_or_else(|_| Err(self.0.gone().into()))
    }

    /// As [`Handle::read`].
    ///
    /// # Errors
    /// The node has stopped.
    pub fn read<R: Send + 'static>(&self, look: impl FnOnce(&N) -> R + Send + 'static) -> Result<R, AskError> {
        let (question, answered) = question(|engine: &Engine<N, S>| look(engine.node()));
        self.0.call_blocking(Call::Query(question))?;
        given(answered.blocking_recv(), || self.0.gone())
    }

    /// As [`Handle::stop`].
    pub fn stop(&self) {
        self.0.stop();
    }
}
