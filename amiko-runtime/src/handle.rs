//! How other tasks and threads talk to the node.
//!
//! Invariant: an answer is sent only when everything that it rests on is on disk.

use crate::error::{CommandError, Stopped};
use amiko_core::store::Store;
use amiko_core::{Engine, Node, tree::Tree};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};

/// What a caller waits for.
pub(crate) type Answer<N> = oneshot::Sender<Result<Vec<<N as Tree>::Reply>, CommandError>>;

/// A question about the state, with the channel for its answer inside.
pub(crate) type Question<N, S> = Box<dyn FnOnce(&Engine<N, S>) + Send>;

/// What a handle asks the loop to do.
pub(crate) enum Call<N: Node, S: Store> {
    Command { envelope: N::Envelope, answer: Answer<N> },
    Query(Question<N, S>),
    Connected(oneshot::Sender<Vec<String>>),
    Watch(mpsc::Sender<Arc<N::Notice>>),
}

/// Talks to a node from other tasks and threads, whatever runtime they run on.
///
/// It is `Send` if the node's envelopes, replies and notices are.
pub struct Handle<N: Node, S: Store> {
    calls: mpsc::Sender<Call<N, S>>,
    stop: Arc<Notify>,
    notices: usize,
}

// Written by hand: a derive would require `N: Clone` and `S: Clone`.
impl<N: Node, S: Store> Clone for Handle<N, S> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), stop: Arc::clone(&self.stop), notices: self.notices }
    }
}

impl<N: Node, S: Store> Handle<N, S> {
    pub(crate) const fn new(calls: mpsc::Sender<Call<N, S>>, stop: Arc<Notify>, notices: usize) -> Self {
        Self { calls, stop, notices }
    }

    /// Delivers a message to the node and returns its handlers' replies, once they are on disk. Waits while the queue
    /// of calls is full. If the caller stops waiting, the command isn't cancelled.
    ///
    /// # Errors
    /// The command was rejected, the node has stopped, or the disk failed.
    pub async fn command(&self, envelope: N::Envelope) -> Result<Vec<N::Reply>, CommandError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Command { envelope, answer }).await.map_err(|Stopped| CommandError::Stopped)?;
        // The loop answers every command that it has begun, so no answer means that it hasn't begun this one.
        answered.await.unwrap_or(Err(CommandError::Stopped))
    }

    /// Reads the state between events. Everything that it sees is on disk.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn query<R: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine<N, S>) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        let (answer, answered) = oneshot::channel();
        // A caller that has stopped waiting needs no answer.
        let question = Box::new(move |engine: &Engine<N, S>| drop(answer.send(question(engine))));
        self.call(Call::Query(question)).await?;
        answered.await.map_err(|_| Stopped)
    }

    /// The node's notices from now on. They end when the node stops, when there are too many watchers, or when
    /// [`NetSettings::notices`](crate::NetSettings::notices) of them wait for this one.
    pub async fn watch(&self) -> mpsc::Receiver<Arc<N::Notice>> {
        let (watcher, notices) = mpsc::channel(self.notices);
        // A node that has stopped drops the watcher, which ends the notices.
        let _ = self.call(Call::Watch(watcher)).await;
        notices
    }

    /// The keys of the connections that have a socket right now, in order.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn connected(&self) -> Result<Vec<String>, Stopped> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Connected(answer)).await?;
        answered.await.map_err(|_| Stopped)
    }

    /// Stops the node. Inputs that it has taken are made durable and answered; the rest is dropped.
    pub fn stop(&self) {
        // If the loop isn't waiting, one permit is kept, and the loop asks for it before each input.
        self.stop.notify_one();
    }

    async fn call(&self, call: Call<N, S>) -> Result<(), Stopped> {
        self.calls.send(call).await.map_err(|_| Stopped)
    }
}
