//! What one node of a model does with an input.
//!
//! Invariant: a step is a function of the node's document, the moment and the input. So an engine takes it once, as in
//! production, and it is looked up whenever another state of the world contains the same node: the states of a world
//! are many, those of a single node are few.

use crate::NodeIndex;
use crate::outcomes::Tell;
use amiko_core::Node;
use amiko_core::conversation::Protocol;
use amiko_core::dispatcher::{Connection, ResumePoint};
use amiko_core::engine::{Document, Engine, Entropy, EventError, Settings};
use amiko_core::event::{Output, Reply, Request};
use amiko_core::serializable::{WriteError, to_json};
use amiko_core::sim::Coverage;
use amiko_core::store::Memory;
use amiko_core::tree::Id;
use amiko_core::{Pending, Time, Version};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One state of one node: everything on its disk.
pub(crate) struct NodeState<N: Node> {
    /// The number of this state, in the order of discovery.
    number: usize,
    /// A fingerprint that is the same in every run.
    pub(crate) fingerprint: u64,
    pub(crate) text: Arc<str>,
    pub(crate) document: Document<N>,
    /// When the next timer is due.
    pub(crate) due: Option<Time>,
    /// For each connection, the first message that the peer hasn't confirmed.
    pub(crate) waiting: BTreeMap<Id<Connection<N>>, Line<N>>,
}

/// One message on its way.
pub(crate) struct Line<N: Node> {
    pub(crate) index: u64,
    pub(crate) message: Arc<N::Network>,
    text: Arc<str>,
}

impl<N: Node> PartialEq for NodeState<N> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<N: Node> NodeState<N> {
    fn new(number: usize, fingerprint: u64, text: Arc<str>, document: Document<N>) -> Result<Self, WriteError> {
        let timers = document.beside.timers.iter().map(|(_, timer)| timer.at);
        let closing = document.beside.connections.iter().filter_map(|(_, connection)| connection.closing);
        let due = timers.chain(closing).min();
        let mut waiting = BTreeMap::new();
        for (id, connection) in document.beside.connections.iter() {
            if let Some((index, message)) = connection.outbox.iter().next() {
                let text = to_json(&**message)?.into();
                waiting.insert(id, Line { index: *index, message: Arc::clone(message), text });
            }
        }
        Ok(Self { number, fingerprint, text, document, due, waiting })
    }

    /// The resume point of one of its connections. Everything is on disk.
    pub(crate) fn resume_point(&self, connection: &Id<Connection<N>>) -> Option<ResumePoint> {
        let state = self.document.beside.connections.get(connection)?;
        Some(ResumePoint { received: state.received, first: state.first_unconfirmed(), sent: state.sent })
    }
}

/// An input of a node.
pub(crate) enum Input<'a, N: Node> {
    Tick,
    Command { envelope: &'a N::Envelope, text: Arc<str> },
    Message { connection: &'a Id<Connection<N>>, line: &'a Line<N> },
    Confirmation { connection: &'a Id<Connection<N>>, index: u64 },
    Resume { connection: &'a Id<Connection<N>>, theirs: ResumePoint },
    Answer { effect: &'a Id<Pending<N>>, number: u64, outcome: usize, tell: Tell<N> },
}

/// The input as a key for look-ups.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Tick,
    Command(Arc<str>),
    Message(String, u64, Arc<str>),
    Confirmation(String, u64),
    Resume(String, [u64; 3]),
    Answer(String, usize),
}

impl<N: Node> Input<'_, N> {
    fn key(&self) -> Key {
        match self {
            Self::Tick => Key::Tick,
            Self::Command { text, .. } => Key::Command(Arc::clone(text)),
            Self::Message { connection, line } => {
                Key::Message(connection.key().clone(), line.index, Arc::clone(&line.text))
            }
            Self::Confirmation { connection, index } => Key::Confirmation(connection.key().clone(), *index),
            Self::Resume { connection, theirs: ResumePoint { received, first, sent } } => {
                Key::Resume(connection.key().clone(), [*received, *first, *sent])
            }
            Self::Answer { effect, outcome, .. } => Key::Answer(effect.key().clone(), *outcome),
        }
    }
}

/// The outcome of a step.
pub(crate) struct Outcome<N: Node> {
    pub(crate) after: Arc<NodeState<N>>,
    pub(crate) rejections: Vec<String>,
    /// Whether the node confirms the message.
    pub(crate) confirmed: bool,
    pub(crate) closed: Vec<Id<Connection<N>>>,
}

/// A guarantee that the engine has broken.
pub(crate) type Broken = Arc<str>;

fn broken(error: impl fmt::Display) -> Broken {
    error.to_string().into()
}

type States<N> = HashMap<(NodeIndex, Arc<str>), Arc<NodeState<N>>>;
type Steps<N> = HashMap<(usize, Time, Key), Result<Arc<Outcome<N>>, Broken>>;

/// All states of nodes so far, and all steps between them.
pub(crate) struct Nodes<N: Node> {
    states: Mutex<States<N>>,
    steps: Mutex<Steps<N>>,
    /// The moves of phases in all steps.
    coverage: Mutex<Coverage>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Entries are inserted whole, so a poisoned lock is safe to use.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<N: Node> Nodes<N> {
    pub(crate) fn new() -> Self {
        Self { states: Mutex::default(), steps: Mutex::default(), coverage: Mutex::default() }
    }

    /// The number of states of single nodes so far.
    pub(crate) fn count(&self) -> usize {
        locked(&self.states).len()
    }

    /// All reasons for which anything was rejected.
    pub(crate) fn rejections(&self) -> BTreeSet<String> {
        let steps = locked(&self.steps);
        steps.values().flatten().flat_map(|outcome| outcome.rejections.iter().cloned()).collect()
    }

    /// The moves of phases in all steps so far.
    pub(crate) fn coverage(&self) -> Coverage {
        locked(&self.coverage).clone()
    }

    /// The state with this document.
    pub(crate) fn state(&self, node: NodeIndex, document: Document<N>) -> Result<Arc<NodeState<N>>, WriteError> {
        let text: Arc<str> = to_json(&document)?.into();
        let mut states = locked(&self.states);
        if let Some(known) = states.get(&(node, Arc::clone(&text))) {
            return Ok(Arc::clone(known));
        }
        let fingerprint = foldhash::quality::FixedState::default().hash_one((node, &*text));
        let state = Arc::new(NodeState::new(states.len(), fingerprint, Arc::clone(&text), document)?);
        states.insert((node, text), Arc::clone(&state));
        Ok(state)
    }

    /// Takes a step, or looks it up. An error means that the engine has broken a guarantee.
    pub(crate) fn step<P: Protocol<Node = N>>(
        &self,
        protocol: &P,
        node: NodeIndex,
        state: &NodeState<N>,
        now: Time,
        input: &Input<'_, N>,
    ) -> Result<Arc<Outcome<N>>, Broken> {
        let step = (state.number, now, input.key());
        if let Some(known) = locked(&self.steps).get(&step) {
            return known.clone();
        }
        let outcome = self.take(protocol, node, state, now, input).map(|(outcome, _)| Arc::new(outcome));
        // If two threads have taken the same step, both keep the first result.
        locked(&self.steps).entry(step).or_insert(outcome).clone()
    }

    /// Takes a step, with a new engine.
    pub(crate) fn take<P: Protocol<Node = N>>(
        &self,
        protocol: &P,
        node: NodeIndex,
        state: &NodeState<N>,
        now: Time,
        input: &Input<'_, N>,
    ) -> Result<(Outcome<N>, Vec<Reply>), Broken> {
        let opened = Engine::open_document(Memory::new(), settings(state.fingerprint), || state.document.clone());
        let mut engine = opened.map_err(broken)?;
        let mut coverage = Coverage::default();
        coverage.collect(|| handle(protocol, &mut engine, now, input))?;
        locked(&self.coverage).add(&coverage);
        if engine.version().0 > engine.durable().0 && !engine.outputs().is_empty() {
            return Err("something left before it was synced".into());
        }
        reopen(&engine, &state.text, "a crash before the sync doesn't lead back to the state before")?;
        let outputs = engine.sync().map_err(broken)?;
        let text = to_json(&engine.to_document()).map_err(broken)?;
        // What isn't written is no part of a state, so the step continues with what a restart reads.
        let reopened = reopen(&engine, &text, "a crash after the sync doesn't lead to the state after")?;
        let after = self.state(node, reopened).map_err(broken)?;
        let rejections = engine.rejections().map(|rejected| rejected.rejection.to_string()).collect();
        let mut outcome = Outcome { after, rejections, confirmed: false, closed: Vec::new() };
        let mut replies = Vec::new();
        for output in outputs {
            match output {
                Output::Confirm { .. } => outcome.confirmed = true,
                Output::Closed { connection } => outcome.closed.push(connection),
                Output::Reply { reply, .. } => replies.push(reply),
                _ => {}
            }
        }
        if let Input::Message { connection, .. } = input
            && !outcome.closed.contains(connection)
            && outcome.after.due.is_none_or(|due| due > now)
        {
            handle(protocol, &mut engine, now, input)?;
            if to_json(&engine.to_document()).map_err(broken)? != *outcome.after.text {
                return Err("a message that is repeated acts again".into());
            }
        }
        if let Input::Answer { effect, number, .. } = input
            && engine.effect(effect).is_none_or(|pending| pending.number != *number)
        {
            handle(protocol, &mut engine, now, input)?;
            if to_json(&engine.to_document()).map_err(broken)? != *outcome.after.text {
                return Err("an answer that is repeated acts again".into());
            }
        }
        Ok((outcome, replies))
    }
}

fn handle<P: Protocol>(
    protocol: &P,
    engine: &mut Engine<P::Node, Memory>,
    now: Time,
    input: &Input<'_, P::Node>,
) -> Result<(), Broken> {
    let handled = match input {
        Input::Tick => engine.tick(now),
        Input::Command { envelope, .. } => engine.command((*envelope).clone(), Some(Request(0)), now),
        Input::Message { connection, line } => {
            let envelope = protocol.envelope(engine.node(), connection, (*line.message).clone());
            engine.receive(connection, line.index, envelope, now)
        }
        Input::Confirmation { connection, index } => engine.confirm(connection, *index, now),
        Input::Answer { effect, number, tell, .. } => tell(engine, effect, *number, now),
        Input::Resume { connection, theirs } => engine.resume(connection, *theirs, now).map(|_| Version::default()),
    };
    match handled {
        // The engine records what the node rejects; and a timer that was due may have closed the connection.
        Ok(_)
        | Err(
            EventError::Rejected(_)
            | EventError::Write(_)
            | EventError::TooLong { .. }
            | EventError::NoConnection { .. },
        ) => Ok(()),
        Err(error) => Err(broken(error)),
    }
}

/// What a restart after a crash would read now.
fn reopen<N: Node>(engine: &Engine<N, Memory>, text: &str, otherwise: &str) -> Result<Document<N>, Broken> {
    let reopened = Engine::<N, _>::open(engine.store().crash(), settings(0)).map_err(broken)?.to_document();
    let found = to_json(&reopened).map_err(broken)?;
    if found == text { Ok(reopened) } else { Err(broken(format_args!("{otherwise}: expected {text}, found {found}"))) }
}

/// Random bytes are derived from the node's state, so the path to it doesn't matter.
fn settings(fingerprint: u64) -> Settings {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&fingerprint.to_be_bytes());
    // The model itself checks what a restart reads, as one of its properties.
    let mut settings = Settings::default();
    (settings.entropy, settings.history, settings.check_records) = (Entropy::Seed(seed), 0, false);
    settings
}
