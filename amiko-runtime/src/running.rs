//! A node that runs as a task.

use crate::error::RunError;
use crate::handle::Handle;
use crate::runtime::Runtime;
use crate::transport::Transport;
use amiko_core::conversation::Protocol;
use amiko_core::store::Store;
use amiko_core::{Engine, Node};
use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// A running node: await it to get the engine back once the node has stopped.
///
/// Dropping it leaves the node running.
pub struct Running<N: Node, S: Store> {
    task: JoinHandle<Result<Engine<N, S>, RunError>>,
    handle: Handle<N, S>,
}

impl<P: Protocol, S: Store, T: Transport> Runtime<P, S, T>
where
    P: Send + Sync + 'static,
    S: Send + 'static,
{
    /// Runs the node as a task of its own.
    ///
    /// # Panics
    /// It is called outside a tokio runtime.
    pub fn spawn(self) -> (Handle<P::Node, S>, Running<P::Node, S>) {
        let handle = self.handle();
        (handle.clone(), Running { task: tokio::spawn(self.run()), handle })
    }
}

impl<N: Node, S: Store> Running<N, S> {
    /// Waits until the process is told to stop, by SIGINT (Ctrl-C) or SIGTERM, or until the node ends by itself; stops
    /// the node, and gives the engine back.
    ///
    /// # Errors
    /// The node ended with an error; see [`Runtime::run`].
    pub async fn until_signal(mut self) -> Result<Engine<N, S>, RunError> {
        tokio::select! {
            outcome = &mut self => return outcome,
            () = stop_signal() => {}
        }
        self.handle.stop();
        self.await
    }
}

/// Waits until the process is told to stop, by SIGINT (Ctrl-C) or SIGTERM: for servers that stop beside a node. Where the
/// operating system gives no signals, it waits for ever.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut interrupt), Ok(mut terminate)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        {
            tokio::select! {
                _ = interrupt.recv() => return,
                _ = terminate.recv() => return,
            }
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_ok() {
        return;
    }
    std::future::pending().await
}

impl<N: Node, S: Store> Future for Running<N, S> {
    type Output = Result<Engine<N, S>, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.task).poll(cx)) {
            Ok(outcome) => outcome,
            Err(error) => {
                Err(error.try_into_panic().map_or(RunError::Cancelled, |panic| RunError::Panicked(text(&*panic))))
            }
        })
    }
}

/// The text of a panic.
pub(crate) fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}
