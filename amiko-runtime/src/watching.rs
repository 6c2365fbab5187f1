//! What others see of a node as it changes: its notices, and values read from its state.
//!
//! Invariant: nothing is seen before it is on disk, and nobody who watches can hold up the node.

use crate::error::AskError;
use amiko_core::serializable::{Patch, Serializable};
use amiko_core::{Node, tree::Tree};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{broadcast, watch};
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use tokio_stream::wrappers::{BroadcastStream, WatchStream};
use tokio_stream::{Stream, StreamExt};

/// So many notices came and went before this watcher took them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed(pub u64);

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "missed {} notices: the watcher is slower than the node", self.0)
    }
}

impl std::error::Error for Missed {}

/// The notices of a node, in order. They end when the node ends.
///
/// [`RuntimeSettings::notices`](crate::RuntimeSettings::notices) of them are kept for whoever is slow; of older ones it
/// is told the number.
pub struct Notices<N: Tree>(Option<BroadcastStream<Arc<N::Notice>>>);

impl<N: Tree> Notices<N> {
    pub(crate) fn new(receiver: Option<broadcast::Receiver<Arc<N::Notice>>>) -> Self {
        Self(receiver.map(BroadcastStream::new))
    }

    /// The next notice, or how many were missed; `None` once the node has ended. Cancel safe.
    pub async fn recv(&mut self) -> Option<Result<Arc<N::Notice>, Missed>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<N: Tree> Stream for Notices<N> {
    type Item = Result<Arc<N::Notice>, Missed>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(notices) = &mut self.0 else { return Poll::Ready(None) };
        let next = ready!(Pin::new(notices).poll_next(cx));
        Poll::Ready(next.map(|next| next.map_err(|BroadcastStreamRecvError::Lagged(missed)| Missed(missed))))
    }
}

/// A value read from the state of a node, which follows its commits.
///
/// ```ignore
/// let mut open = shop.watch(|shop| shop.orders.len()).await;
/// while open.changed().await.is_ok() {
///     println!("{} orders", open.value());
/// }
/// ```
pub struct Watched<R>(watch::Receiver<Option<R>>);

impl<R: Clone> Watched<R> {
    pub(crate) const fn new(receiver: watch::Receiver<Option<R>>) -> Self {
        Self(receiver)
    }

    /// The newest value.
    ///
    /// # Errors
    /// The node had stopped before it could be asked, or had
    /// [`RuntimeSettings::watchers`](crate::RuntimeSettings::watchers) already.
    pub fn value(&mut self) -> Result<R, AskError> {
        self.0.borrow_and_update().clone().ok_or(AskError::Stopped)
    }

    /// Waits for a value that [`Watched::value`] hasn't given yet. Cancel safe.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn changed(&mut self) -> Result<(), AskError> {
        self.0.changed().await.map_err(|_| AskError::Stopped)
    }

    /// The value now, and then each new one; for page updates and other streams. It ends with the node.
    pub fn into_stream(self) -> impl Stream<Item = R> + Send
    where
        R: Send + Sync + 'static,
    {
        // There is a value, unless the node had stopped.
        WatchStream::new(self.0).filter_map(|value| value)
    }
}

/// Looks at a node for somebody who watches.
pub(crate) trait Watcher<N>: Send {
    /// Notes what there is to be seen now, to be shown once it is on disk. False if nobody watches any more.
    fn look(&mut self, node: &N) -> bool;

    /// Shows what was noted.
    fn show(&mut self);
}

/// One value of a node, and where it is shown: nothing, until the first look.
pub(crate) struct Look<R, L, D> {
    look: L,
    differ: D,
    noted: Option<R>,
    shown: watch::Sender<Option<R>>,
}

impl<R, L, D> Look<R, L, D> {
    pub(crate) fn new(look: L, differ: D) -> (Self, watch::Receiver<Option<R>>) {
        let (shown, receiver) = watch::channel(None);
        (Self { look, differ, noted: None, shown }, receiver)
    }
}

impl<N, R, L, D> Watcher<N> for Look<R, L, D>
where
    N: Node,
    R: Send + Sync + 'static,
    L: FnMut(&N) -> R + Send,
    D: Fn(&R, &R) -> bool + Send,
{
    fn look(&mut self, node: &N) -> bool {
        let value = (self.look)(node);
        let shown = self.shown.borrow();
        if self.noted.as_ref().or(shown.as_ref()).is_none_or(|last| (self.differ)(&value, last)) {
            self.noted = Some(value);
        }
        drop(shown);
        !self.shown.is_closed()
    }

    fn show(&mut self) {
        if let Some(value) = self.noted.take() {
            self.shown.send_replace(Some(value));
        }
    }
}

/// Whether an object has changed: by its text, which is all that there is of it after a restart.
pub(crate) fn differ<T: Serializable>(new: &T, old: &T) -> bool {
    let mut patch = Patch::new();
    // What can't be written has never been committed.
    new.difference(old, &mut patch).is_err() || patch.operations() > 0
}
