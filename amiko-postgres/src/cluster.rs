//! A process among several that can lead one node.

use crate::error::{Failure, OpenError};
use crate::settings::PostgresSettings;
use crate::store::{Postgres, read_on};
use crate::worker::{Position, Worker};
use amiko_core::store::{RecoverError, Recovery, Standby, StoreError, Takeover};
use std::fmt;
use std::time::Duration;

/// A place in the cluster of a node: it follows the journal in the database, and leads when nobody else does.
///
/// ```no_run
/// use amiko_core::engine::{Engine, Follower, Settings};
/// use amiko_core::prelude::*;
/// use amiko_core::store::{Standby, Takeover};
/// use amiko_postgres::Cluster;
/// use std::time::Duration;
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
///
/// // A runtime does this by itself.
/// let mut cluster = Cluster::join("postgres://amiko@db.example/amiko", "counter", Default::default())?;
/// let mut follower = Follower::<Counter>::new();
/// let engine = loop {
///     cluster.follow(&mut follower)?;
///     match cluster.take_over()? {
///         Takeover::Leads(store) => {
///             break Engine::open_following(store, Settings::default(), follower, || Counter::default().into())?;
///         }
///         _ => cluster.wait(Duration::from_millis(100)),
///     }
/// };
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Cluster {
    url: String,
    node: String,
    settings: PostgresSettings,
    /// Not there while this one leads.
    worker: Option<Worker>,
    position: Position,
}

/// Hides the address, which may contain a password.
impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Joins those who can lead a node of this name: makes the tables if they aren't there, and the node.
    ///
    /// # Errors
    /// As [`Postgres::open`], but it doesn't matter who leads.
    pub fn join(url: &str, node: &str, settings: PostgresSettings) -> Result<Self, OpenError> {
        let worker = Worker::start(url, node, &settings)?;
        Ok(Self {
            url: url.to_owned(),
            node: node.to_owned(),
            settings,
            worker: Some(worker),
            position: Position::Start,
        })
    }

    /// The name of the node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The connection to follow with; a new one after this one has led.
    fn worker(&mut self) -> Result<&Worker, Failure> {
        if self.worker.is_none() {
            const ACTION: &str = "join the cluster";
            let worker = Worker::start(&self.url, &self.node, &self.settings);
            self.worker = Some(worker.map_err(|error| Failure::new(ACTION, crate::error::in_full(&error)))?);
            self.position = Position::Start;
        }
        // It was put there.
        self.worker.as_ref().ok_or_else(|| Failure::new("join the cluster", "there is no connection"))
    }
}

impl Standby for Cluster {
    type Store = Postgres;

    fn follow(&mut self, visitor: &mut dyn Recovery) -> Result<(), RecoverError> {
        let node = self.node.clone();
        self.worker().map_err(|failure| failure.recover(&node))?;
        let Some(worker) = &self.worker else { return Ok(()) };
        let read = read_on(worker, &mut self.position, visitor);
        if let Err(error) = &read
            && !matches!(error, RecoverError::Io { .. })
        {
            // Some of what follows was handed over.
            self.position = Position::Start;
        }
        read.map(drop)
    }

    fn wait(&mut self, at_most: Duration) {
        let at_most = at_most.min(self.settings.poll);
        match self.worker() {
            Ok(worker) => worker.wait(at_most),
            Err(_) => std::thread::sleep(at_most),
        }
    }

    fn release(store: Postgres) {
        store.close();
    }

    fn take_over(&mut self) -> Result<Takeover<Postgres>, StoreError> {
        let node = self.node.clone();
        let led = self.worker().and_then(Worker::lead).map_err(|failure| failure.store(&node))?;
        match led {
            Err(leader) => Ok(Takeover::Follows(leader)),
            Ok(_) => {
                let worker = self.worker.take().ok_or(StoreError::NotRecovered)?;
                let position = std::mem::take(&mut self.position);
                Ok(Takeover::Leads(Postgres::leading(worker, &self.settings, position)))
            }
        }
    }
}
