//! The engine: one event in, one version out.
//!
//! Invariant: after every call the state is that of a committed version, and all outputs of a version stay sealed
//! until that version is on disk, or as far on its way there as the caller requested.

mod cause;
mod compaction;
mod deliveries;
mod document;
mod dry_run;
mod edit;
mod effects;
mod error;
mod follower;
mod history;
mod inspection;
mod resumption;
mod sealed;
mod settings;
mod shadow;
mod sync;
mod transaction;
mod ways_in;

pub use cause::Cause;
pub use document::Document;
pub use dry_run::DryRun;
pub use edit::EditError;
pub use error::{EngineOpenError, EventError, SyncError};
pub use follower::Follower;
pub use history::HistoryEntry;
pub use inspection::{repair, verify};
pub use settings::{Entropy, Settings};

use crate::dispatcher::{Answer, Connection, Dispatcher, Timer};
use crate::event::{CausedDelivery, Event};
use crate::machine::Node;
use crate::observe::{Recovery, Sampler};
use crate::rejection::Rejection;
use crate::sabotage::{Sabotage, sabotaged};
use crate::serializable::{Key, Lines, Patch, Secrets, WriteError, Writer};
use crate::store::{Damaged, Directory, Store, Torn};
use crate::time::Time;
use crate::tree::{EngineOnly, Id, Name, Object, Referrers, StrongReferences, Table};
use crate::version::Version;
use compaction::Compaction;
use deliveries::Deliveries;

use history::History;
use sealed::Sealed;
use shadow::Shadow;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use sync::UnderWay;

/// A rejected event, kept for inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// When it happened.
    pub time: Time,
    /// The version that it was tried on, which is unchanged.
    pub version: Version,
    /// Why.
    pub rejection: Rejection,
}

/// A node and its surroundings: one event at a time, each committed as a whole or not at all.
///
/// ```
/// use amiko_core::{engine::Settings, prelude::*, store::Memory};
///
/// #[derive(Clone, Serializable)]
/// #[amiko(key = String)]
/// struct Counter { value: u64 }
///
/// #[derive(Clone, Serializable)]
/// enum CounterMessage { Add { amount: u64 } }
///
/// impl StateMachine for Counter {
///     type Node = Counters;
///     type Message = CounterMessage;
///
///     fn handle(&mut self, CounterMessage::Add { amount }: CounterMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
///         self.value = self.value.checked_add(amount).ok_or(Rejection::new("the counter is full"))?;
///         Ok(())
///     }
/// }
///
/// #[derive(Clone, Default, Serializable, Node)]
/// struct Counters { #[amiko(machines)] counters: Table<Counter> }
///
/// let one = Id::new("one");
/// let mut engine = Engine::open_with(Memory::new(), Settings::default(), || {
///     Counters { counters: [(Id::new("one"), Counter { value: 0 })].into_iter().collect() }
/// })?;
/// engine.send(&one, CounterMessage::Add { amount: 7 }, Time::from_secs(1))?;
/// assert!(engine.send(&one, CounterMessage::Add { amount: u64::MAX }, Time::from_secs(2)).is_err());
/// engine.sync()?;
/// assert_eq!(engine.node().counters.get(&one).map(|counter| counter.value), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Engine<N: Node, S: Store = Directory> {
    node: N,
    event: Event<N>,
    only: EngineOnly,
    store: S,
    settings: Settings,
    version: Version,
    durable: Version,
    /// The version whose outputs may be released.
    released: Version,
    /// The last version that somebody waits for.
    awaited: Version,
    under_way: Option<UnderWay>,
    sealed: Sealed<N>,
    /// For connections with messages that may not be sent yet: the versions that sent some, each with the number of
    /// its first one.
    unreleased: HashMap<Id<Connection<N>>, VecDeque<(Version, u64)>>,
    compaction: Compaction,
    history: History<N>,
    references: StrongReferences,
    rejections: VecDeque<Rejected>,
    deliveries: Deliveries,
    /// The state that a restart would give, if that is checked.
    shadow: Option<Box<Shadow<N>>>,
    torn: Option<Torn>,
    damaged: Vec<Damaged>,
    /// Nothing is acknowledged any more: memory may differ from disk.
    poisoned: Option<&'static str>,
    /// The cause, until it has been reported.
    failure: Option<SyncError>,
    /// The changes of an event, as part of its record.
    patch: Patch,
    /// Bytes of the last record.
    record: usize,
    sampler: Sampler,
    /// Whether commands and messages fire no timers first.
    timers_left: bool,
}

/// Shows the position, and nothing of the state.
impl<N: Node, S: Store> fmt::Debug for Engine<N, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("version", &self.version)
            .field("durable", &self.durable)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

impl<N: Node, S: Store> Engine<N, S> {
    /// Opens the contents of a store; a new store gets the default node.
    ///
    /// # Errors
    /// The store can't be read, or has other contents.
    pub fn open(store: S, settings: Settings) -> Result<Self, EngineOpenError> {
        Self::open_with(store, settings, N::default)
    }

    /// The same; a new store gets this node.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with(store: S, settings: Settings, initial: impl FnOnce() -> N) -> Result<Self, EngineOpenError> {
        Self::open_document(store, settings, || Document::new(initial()))
    }

    /// The same; a new store gets this state, with its timers and connections.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_document(
        store: S,
        settings: Settings,
        initial: impl FnOnce() -> Document<N>,
    ) -> Result<Self, EngineOpenError> {
        Self::open_following(store, settings, Follower::new(), initial)
    }

    /// The same for a store that has handed over its beginning to a follower already, as a
    /// [`Standby`](crate::store::Standby) does: only the rest is read.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_following(
        mut store: S,
        settings: Settings,
        mut follower: Follower<N>,
        initial: impl FnOnce() -> Document<N>,
    ) -> Result<Self, EngineOpenError> {
        let recovery = Recovery::begin();
        let recovered = store.recover(&mut follower).map_err(EngineOpenError::Recover)?;
        let (found, foreign) = follower.finish().map_err(EngineOpenError::Lift)?;
        // Data of another program is rewritten, so that no journal has records of two programs. A damaged snapshot
        // must not remain the only one.
        let rewrite = found.is_none() || foreign || !recovered.damaged.is_empty();
        store.describe(&document::classes::<N>()).map_err(EngineOpenError::Describe)?;
        let document = found.unwrap_or_else(initial);
        let mut seed = [0; 32];
        match settings.entropy {
            Entropy::Seed(given) => seed = given,
            Entropy::System => {
                getrandom::fill(&mut seed).map_err(|error| EngineOpenError::Entropy(error.to_string()))?;
            }
        }
        let mut beside = document.beside;
        if sabotaged(Sabotage::TimerLostOnRestart) {
            beside.timers = Table::new();
        }
        if sabotaged(Sabotage::EffectLostOnRestart) {
            beside.effects = Table::new();
        }
        let dispatcher = Dispatcher::new(beside);
        let mut engine = Self {
            node: document.state,
            event: Event::new(dispatcher, settings.limits.clone(), seed),
            only: EngineOnly::new(),
            store,
            version: Version(recovered.sequence),
            durable: Version(recovered.sequence),
            released: Version(recovered.sequence),
            awaited: Version(recovered.sequence),
            under_way: None,
            sealed: Sealed::new(),
            unreleased: HashMap::new(),
            compaction: Compaction::default(),
            history: History::new(settings.history, settings.history_bytes),
            references: StrongReferences::default(),
            rejections: VecDeque::new(),
            deliveries: Deliveries::new(settings.deliveries),
            shadow: None,
            torn: recovered.torn,
            damaged: recovered.damaged,
            poisoned: None,
            failure: None,
            patch: Patch::new(),
            record: 0,
            sampler: Sampler::default(),
            timers_left: false,
            settings,
        };
        engine.event.names_all = engine.settings.deliveries > 0;
        // Insertions into tables while the state was built aren't part of an event.
        drop(engine.take_undo());
        engine.references = document::references(&engine.node, engine.event.dispatcher.beside());
        engine.renew_shadow();
        engine.hurry_snapshot();
        if rewrite {
            engine.snapshot_at_once().map_err(EngineOpenError::Snapshot)?;
        }
        recovery.end(engine.version.0, engine.torn.is_some());
        Ok(engine)
    }

    /// The state.
    pub fn node(&self) -> &N {
        &self.node
    }

    /// The version of the state: how many events were committed.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The version that is on disk.
    pub fn durable(&self) -> Version {
        self.durable
    }

    /// Whether something waits for [`Engine::sync`].
    pub fn unsynced(&self) -> bool {
        // A poisoned engine has an error to report there.
        self.durable < self.version || !self.sealed.is_empty() || self.poisoned.is_some()
    }

    /// Whether outputs, or callers that wait for a version, wait for a sync or a write.
    pub fn unreleased(&self) -> bool {
        self.released < self.version || !self.sealed.is_empty() || self.poisoned.is_some()
    }

    /// Whether somebody waits for a sync or a write: the caller of a command, or whoever gets an output that isn't a
    /// confirmation. Where nobody does, a sync may come later, together with that of later events: nothing is late by that
    /// but confirmations, and those are for peers who wait for nothing but room in their outboxes.
    pub fn awaited(&self) -> bool {
        self.released < self.awaited || self.poisoned.is_some()
    }

    /// The version whose outputs may be released: the last one that was made durable, or was written without that by
    /// [`Engine::begin_write`].
    pub fn released(&self) -> Version {
        self.released
    }

    /// The end of the journal that was cut off when the state was opened: events that were never synced.
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// Newer snapshots that were damaged when the state was opened: an older one and the journal led to the same
    /// state.
    pub fn damaged(&self) -> &[Damaged] {
        &self.damaged
    }

    /// The last versions, oldest first: the cause and time of each. [`Settings::history`] and
    /// [`Settings::history_bytes`] limit how many are kept.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &HistoryEntry> {
        self.history.entries()
    }

    /// The difference between two versions that are still kept, as a JSON Patch (RFC 6902) of the state. Costs two
    /// copies of all pointers to objects.
    ///
    /// # Errors
    /// The state has no exact text.
    pub fn diff(&self, from: impl Into<Version>, to: impl Into<Version>) -> Result<Option<Patch>, WriteError> {
        let (Some(from), Some(to)) = (self.state_at(from), self.state_at(to)) else { return Ok(None) };
        let mut patch = Patch::new();
        to.difference(&from, &mut patch)?;
        Ok(Some(patch))
    }

    /// The state at a version, if that is still kept. Costs a copy of all pointers to objects.
    pub fn state_at(&self, version: impl Into<Version>) -> Option<N> {
        self.history.state_at(version.into(), self.version, &self.node, &self.only)
    }

    /// Everything that contains this ID, strong or not: objects, the node's own fields, timers, and outboxes. Walks
    /// everything.
    pub fn referrers<T: Object>(&self, id: &Id<T>) -> Vec<Name> {
        let mut referrers = Referrers { kind: T::KIND, key: &id.key().encode(), found: Vec::new() };
        referrers.of_node(&self.node);
        self.event.dispatcher.beside().visit_objects(&mut |touched| referrers.of_object(touched));
        referrers.found
    }

    /// The last rejections, oldest first.
    pub fn rejections(&self) -> impl DoubleEndedIterator<Item = &Rejected> {
        self.rejections.iter()
    }

    /// The messages that the event of a version delivered, in order: what it began with, and what its handlers sent to each
    /// other. None if they aren't kept (any more); see [`Settings::deliveries`].
    pub fn deliveries(&self, version: impl Into<Version>) -> Option<&[CausedDelivery]> {
        self.deliveries.of(version.into())
    }

    /// All timers, by owner and name.
    pub fn timers(&self) -> impl Iterator<Item = (Id<Timer<N>>, &Timer<N>)> {
        self.event.dispatcher.timers().iter()
    }

    /// The answers to commands with a key that are still kept, by key.
    pub fn answers(&self) -> impl Iterator<Item = (Id<Answer>, &Answer)> {
        self.event.dispatcher.beside().answers.iter()
    }

    /// All connections.
    pub fn connections(&self) -> impl Iterator<Item = (Id<Connection<N>>, &Connection<N>)> {
        self.event.dispatcher.connections().iter()
    }

    /// One connection.
    pub fn connection(&self, connection: &Id<Connection<N>>) -> Option<&Connection<N>> {
        self.event.dispatcher.connections().get(connection)
    }

    fn first_unreleased(&self, connection: &Id<Connection<N>>) -> Option<u64> {
        self.unreleased.get(connection)?.front().map(|(_, index)| *index)
    }

    /// The messages of a connection that may be sent: those in the outbox that are on disk.
    pub fn outbox(&self, connection: &Id<Connection<N>>) -> impl Iterator<Item = (u64, &Arc<N::Network>)> {
        let end = self.first_unreleased(connection).unwrap_or(u64::MAX);
        let entries = self.connection(connection).map(|connection| connection.outbox.iter());
        entries
            .into_iter()
            .flatten()
            .map(|(index, message)| (*index, message))
            .take_while(move |(index, _)| *index < end)
    }

    /// The number of the first message of a connection that may not be sent yet.
    pub fn sendable(&self, connection: &Id<Connection<N>>) -> u64 {
        let sent = self.connection(connection).map_or(0, |connection| connection.sent);
        self.first_unreleased(connection).unwrap_or(sent)
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Time> {
        self.event.dispatcher.next_due()
    }

    /// How many deadlines there are, due or not: of timers, and of connections that are closing.
    pub fn deadlines(&self) -> usize {
        self.event.dispatcher.deadlines()
    }

    /// The whole document as text, as a snapshot of this version holds it.
    ///
    /// # Errors
    /// The state has no exact text.
    pub fn document(&self) -> Result<String, WriteError> {
        self.document_by(Writer::new())
    }

    /// The same for people, with each secret blanked out; it can't be read back.
    ///
    /// # Errors
    /// The state has no exact text.
    pub fn document_without_secrets(&self) -> Result<String, WriteError> {
        self.document_by(Writer::new().with_secrets(Secrets::Hidden))
    }

    fn document_by(&self, out: Writer) -> Result<String, WriteError> {
        let (out, beside) = (out.with_lines(Lines::PerEntry), self.event.dispatcher.beside());
        document::write_document(out, self.version, &self.node, beside).map(Writer::into_string)
    }

    /// Everything that is on disk, or will be with the next sync. It shares its objects with the engine.
    pub fn to_document(&self) -> Document<N> {
        Document { state: self.node.clone(), beside: self.event.dispatcher.beside().clone() }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Returns the store.
    pub fn into_store(self) -> S {
        self.store
    }
}
