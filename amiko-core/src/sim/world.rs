//! The world: nodes, their clocks and disks, and what stands between them.
//!
//! Invariant: a node sees of the world only what a real one sees: lines on sockets, a clock, and a disk; and one step of the
//! world is one thing that happens to one node.

mod disturbances;
mod driver;
mod processes;
mod puppets;
mod services;
mod watching;

use super::clock::Clock;
use super::faults::Faults;
use super::network::{Network, Packet, Side, SocketNumber};
use super::trace::{Happening, Trace, TraceEntry};
use super::{FaultKind, NodeIndex, Random, SimVfs};
use crate::conversation::{ConversationSettings, Conversations, Protocol, SocketId};
use crate::dispatcher::Connection;
use crate::engine::{Engine, EventError, Settings};
use crate::event::{Reply, Request};
use crate::machine::Node;
use crate::serializable::{Json, Serializable, to_json};
use crate::store::Directory;
use crate::time::Time;
use crate::tree::{Id, Tree};
use crate::version::Version;
use disturbances::Remedy;
pub use processes::StartError;
use processes::{Power, open};
use puppets::Puppet;
pub use services::{Call, Called};
use services::{Calling, Services};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The engine of a node of a world.
pub type SimEngine<N> = Engine<N, Directory<SimVfs>>;

struct Host<N: Node> {
    address: String,
    /// None while the node is down.
    engine: Option<SimEngine<N>>,
    disk: SimVfs,
    clock: Clock,
    /// None while the node is down, and of a puppet.
    conversations: Option<Conversations>,
    /// What its conversations call its sockets.
    sockets: BTreeMap<SocketId, (SocketNumber, Side)>,
    /// It is up and connected, but says and hears nothing: its lines wait.
    silent: bool,
    waiting: Vec<Packet>,
    /// How long its disk takes for a sync, at the most; none if it takes no time.
    slow: Option<Duration>,
    sync_at: Option<Time>,
    /// The last version of which somebody outside may know.
    left: Version,
    power: Power,
    /// None while the node is down.
    calling: Option<Calling>,
    puppet: Option<Puppet>,
    replies: Vec<Reply>,
    notices: Vec<N::Notice>,
}

/// A peer's message that a node has received, for observers.
pub struct Heard<N: Node> {
    /// Who has said it.
    pub from: NodeIndex,
    /// Who has heard it.
    pub to: NodeIndex,
    /// Over which connection, as the hearer calls it.
    pub connection: Id<Connection<N>>,
    /// Its number on that connection.
    pub index: u64,
    /// The message.
    pub message: Arc<N::Network>,
    /// Whether it acted: it was the next one, and wasn't rejected.
    pub acted: bool,
}

/// Any number of nodes of one kind, in one process, with everything around them simulated.
///
/// Each node is an [`Engine`] on a [`Directory`] on a disk of its own, a [`SimVfs`]; its [`Conversations`] are those of a
/// runtime, on a network that carries the same bytes and in which everything can go wrong. Time passes only in [`World::run_until`]
/// and [`World::run_for`], from one thing that happens to the next.
///
/// How to put a node of your own into a world: `docs/testing.md` in the repository.
pub struct World<P: Protocol> {
    protocol: P,
    hosts: Vec<Host<P::Node>>,
    network: Network,
    now: Time,
    random: Random,
    settings: Settings,
    conversation: ConversationSettings,
    /// Sockets that were given up because of what the peer did, or didn't.
    given_up: u64,
    /// The last dials of each node to each address, and who has dialled too often.
    dials: BTreeMap<(NodeIndex, String), VecDeque<Time>>,
    storm: Option<(NodeIndex, String)>,
    /// Dials that nobody has answered yet.
    unanswered: Vec<(NodeIndex, SocketId, String)>,
    services: Services<P::Node>,
    /// Why nothing came of what was heard last, if nothing did.
    refused: Option<String>,
    faults: Option<Faults>,
    next_faults: BTreeMap<FaultKind, Time>,
    remedies: BTreeMap<(Time, u64), Remedy>,
    /// Disturbances so far, and how many there may be.
    disturbances: u64,
    limit: u64,
    counts: BTreeMap<FaultKind, u64>,
    steps: u64,
    inputs: u64,
    changed: BTreeSet<NodeIndex>,
    heard: Option<Vec<Heard<P::Node>>>,
    trace: Option<Trace>,
}

/// How long a peer may be silent. Days pass in a world, and each question takes a line.
const SILENCE: Duration = Duration::from_secs(600);

/// What happens next; of two things at one time the one that stands first here.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Remedy,
    Fault,
    Timer(NodeIndex),
    Sync(NodeIndex),
    Line,
    Timeout(NodeIndex),
    Call(NodeIndex),
    Coming(Time, u64),
}

impl<P: Protocol> World<P> {
    /// An empty world, in which everything that is left to chance follows from `seed`.
    pub fn new(protocol: P, seed: u64) -> Self {
        Self {
            protocol,
            hosts: Vec::new(),
            network: Network::new(),
            now: Time::from_secs(1_800_000_000),
            random: Random::new(seed),
            settings: Settings { check_records: true, ..Settings::default() },
            conversation: ConversationSettings { silence: SILENCE, ..ConversationSettings::default() },
            given_up: 0,
            dials: BTreeMap::new(),
            storm: None,
            unanswered: Vec::new(),
            services: Services::default(),
            refused: None,
            faults: None,
            next_faults: BTreeMap::new(),
            remedies: BTreeMap::new(),
            disturbances: 0,
            limit: u64::MAX,
            counts: BTreeMap::new(),
            steps: 0,
            inputs: 0,
            changed: BTreeSet::new(),
            heard: None,
            trace: None,
        }
    }

    /// The settings of engines that are started from now on. Their entropy is the world's.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// How nodes that are started from now on talk to each other. By default as in production, but that a peer may be silent for
    /// ten minutes: days pass in a world, and asking takes lines.
    pub fn set_conversation(&mut self, settings: ConversationSettings) {
        self.conversation = settings;
    }

    /// How many sockets were closed so far because a peer broke a rule, or was silent.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// A node that has dialled one address again and again, with hardly a pause, and the address.
    pub fn dial_storm(&self) -> Option<(NodeIndex, &str)> {
        self.storm.as_ref().map(|(node, address)| (*node, address.as_str()))
    }

    /// Adds a node that others dial at `address`: `KEY@PLACE` if it has a key, which those whom it dials at such an address
    /// see then; or any text, if nobody is to prove anything.
    ///
    /// # Errors
    /// Its first snapshot can't be written.
    pub fn add(&mut self, address: &str, node: P::Node) -> Result<NodeIndex, StartError> {
        let (disk, settings) = (SimVfs::new(), self.engine_settings());
        let engine = Engine::open_with(open(&disk)?, settings, || node).map_err(StartError::Engine)?;
        let index = self.push(address, disk, Some(engine), None);
        self.start(index);
        Ok(index)
    }

    fn push(
        &mut self,
        address: &str,
        disk: SimVfs,
        engine: Option<SimEngine<P::Node>>,
        puppet: Option<Puppet>,
    ) -> NodeIndex {
        self.hosts.push(Host {
            address: address.to_owned(),
            engine,
            disk,
            clock: Clock::default(),
            conversations: None,
            sockets: BTreeMap::new(),
            silent: false,
            waiting: Vec::new(),
            slow: None,
            sync_at: None,
            left: Version(0),
            power: Power::default(),
            calling: None,
            puppet,
            replies: Vec::new(),
            notices: Vec::new(),
        });
        self.hosts.len() - 1
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The time of the world.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The time on a node's own clock.
    pub fn clock(&self, node: NodeIndex) -> Time {
        self.hosts.get(node).map_or(self.now, |host| host.clock.read(self.now))
    }

    /// The engine of a node; none while it is down.
    pub fn engine(&self, node: NodeIndex) -> Option<&SimEngine<P::Node>> {
        self.hosts.get(node)?.engine.as_ref()
    }

    /// Draws from the numbers of this world's seed.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// The replies to the commands of a node, since the last call.
    pub fn take_replies(&mut self, node: NodeIndex) -> Vec<Reply> {
        self.hosts.get_mut(node).map(|host| std::mem::take(&mut host.replies)).unwrap_or_default()
    }

    /// The notices to the watchers of a node, since the last call.
    pub fn take_notices(&mut self, node: NodeIndex) -> Vec<<P::Node as Tree>::Notice> {
        self.hosts.get_mut(node).map(|host| std::mem::take(&mut host.notices)).unwrap_or_default()
    }

    /// The nodes that something has happened to, since the last call.
    pub fn take_changed(&mut self) -> BTreeSet<NodeIndex> {
        std::mem::take(&mut self.changed)
    }

    /// The messages that nodes have received, since the last call. Nothing is kept before the first call.
    pub fn take_heard(&mut self) -> Vec<Heard<P::Node>> {
        self.heard.replace(Vec::new()).unwrap_or_default()
    }

    /// Keeps a trace from now on.
    pub fn record(&mut self) {
        self.trace.get_or_insert_default();
    }

    /// What has happened since [`World::record`].
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// Events that the engines were given: commands, lines, and due timers.
    pub fn events(&self) -> u64 {
        self.inputs
    }

    /// What has happened so far, one thing after the other: also what was no event to an engine, like a dial or a ping.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How often each fault has happened.
    pub fn counts(&self) -> &BTreeMap<FaultKind, u64> {
        &self.counts
    }

    /// Lets a node handle a command.
    ///
    /// # Errors
    /// The node rejects it. A node that is down has no connection to anybody.
    pub fn command(&mut self, node: NodeIndex, envelope: <P::Node as Tree>::Envelope) -> Result<(), EventError> {
        let shown = self.trace.as_ref().map(|_| json(&envelope));
        let outcome = self.input(node, |engine, now| engine.command(envelope, Some(Request(0)), now));
        if let Some(envelope) = shown {
            let rejected = outcome.as_ref().err().map(ToString::to_string);
            self.note(Happening::Command { node, envelope, rejected });
        }
        outcome
    }

    /// Gives the engine of a node something to do.
    fn input<R>(
        &mut self,
        node: NodeIndex,
        event: impl FnOnce(&mut SimEngine<P::Node>, Time) -> Result<R, EventError>,
    ) -> Result<(), EventError> {
        let none = || EventError::NoConnection { connection: format!("node {node}") };
        let host = self.hosts.get_mut(node).ok_or_else(none)?;
        let now = host.clock.read(self.now);
        let outcome = event(host.engine.as_mut().ok_or_else(none)?, now).map(drop);
        self.inputs += 1;
        self.changed.insert(node);
        if let Err(error @ (EventError::Store(_) | EventError::Poisoned { .. })) = &outcome {
            self.end_process(node, &error.to_string());
        }
        self.release(node);
        self.drive(node);
        outcome
    }

    /// Lets time pass until `done` holds, but no longer than `patience`. Returns whether `done` holds.
    pub fn run_until(&mut self, patience: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + patience;
        while !done(self) {
            if !self.step(end) {
                return done(self);
            }
        }
        true
    }

    /// Lets this much time pass.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Lets the next thing happen, if it happens before `end`; otherwise moves the time to `end` and returns false.
    pub fn step(&mut self, end: Time) -> bool {
        let Some((at, next)) = self.next().filter(|(at, _)| *at <= end) else {
            self.now = self.now.max(end);
            return false;
        };
        self.now = self.now.max(at);
        self.steps += 1;
        match next {
            Next::Remedy => self.remedy(),
            Next::Fault => self.next_fault(),
            Next::Timer(node) => {
                self.note(Happening::Timer { node });
                // Rejections are noted by the engine.
                drop(self.input(node, |engine, now| engine.tick(now)));
            }
            Next::Sync(node) => self.sync(node),
            Next::Line => {
                if let Some(packet) = self.network.take_next() {
                    self.arrive(packet);
                }
            }
            Next::Timeout(node) => self.look_after(node),
            Next::Call(node) => self.call(node),
            Next::Coming(at, number) => self.comes((at, number)),
        }
        true
    }

    fn next(&self) -> Option<(Time, Next)> {
        let timers = self.hosts.iter().enumerate().filter_map(|(node, host)| {
            let due = host.engine.as_ref().filter(|_| !host.silent)?.next_due()?;
            Some((host.clock.shows(due)?, Next::Timer(node)))
        });
        let syncs = self.hosts.iter().enumerate().filter_map(|(node, host)| Some((host.sync_at?, Next::Sync(node))));
        let timeouts = (0..self.hosts.len()).filter_map(|node| Some((self.timeout(node)?, Next::Timeout(node))));
        let calls = (0..self.hosts.len()).filter_map(|node| Some((self.calls_due(node)?, Next::Call(node))));
        let others = [
            self.remedies.keys().next().map(|(at, _)| (*at, Next::Remedy)),
            self.next_faults.values().min().map(|at| (*at, Next::Fault)),
            self.network.next_arrival().map(|at| (at, Next::Line)),
            self.next_coming().map(|(at, number)| (at, Next::Coming(at, number))),
        ];
        // What should have happened already happens now, in the same order as everything else that does.
        timers
            .chain(syncs)
            .chain(timeouts)
            .chain(calls)
            .chain(others.into_iter().flatten())
            .map(|(at, next)| (at.max(self.now), next))
            .min()
    }

    fn note(&mut self, what: Happening) {
        if let Some(trace) = &mut self.trace {
            trace.entries.push(TraceEntry { step: self.steps, time: self.now, what });
        }
    }

    fn host(&self, node: NodeIndex) -> &Host<P::Node> {
        &self.hosts[node]
    }

    fn host_mut(&mut self, node: NodeIndex) -> &mut Host<P::Node> {
        &mut self.hosts[node]
    }
}

fn json(object: &impl Serializable) -> Json {
    to_json(object).ok().and_then(|text| Json::parse(&text).ok()).unwrap_or_else(|| Json::text("(no exact text)"))
}
