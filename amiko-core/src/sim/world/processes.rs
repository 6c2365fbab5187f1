//! Processes of nodes and their disks: starting, syncing, and ending in every way.
//!
//! Invariant: a node that is down has no sockets and no engine, and its disk is what the way in which it ended has left.

use super::{SimEngine, World};
use crate::conversation::{Conversations, Protocol};
use crate::engine::{Engine, EngineOpenError, Entropy, Settings};
use crate::event::Output;
use crate::sabotage::{Sabotage, sabotaged};
use crate::sim::Random;
use crate::sim::trace::Happening;
use crate::sim::{Fault, NodeIndex, SimVfs};
use crate::store::{Directory, DirectorySettings, OpenError, Retention};
use crate::version::Version;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// How much a journal file of a world grows by: small, so that many nodes fit; nor is any history kept.
const CHUNK: u64 = 8 << 10;

/// How long what nobody waits for waits for a sync, at the most.
const COMMIT_DELAY: Duration = Duration::from_millis(10);

/// What ends with a process when its disk fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Power {
    /// The process: what it has written is there, synced or not.
    #[default]
    On,
    /// The machine: what wasn't synced is there or not.
    Going,
}

/// A node of a world couldn't be started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// Its disk can't be read.
    Directory(OpenError),
    /// Its state can't be opened.
    Engine(EngineOpenError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the node can't be started")
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Directory(error) => Some(error),
            Self::Engine(error) => Some(error),
        }
    }
}

/// The store of a node, as it is on its disk.
pub(super) fn open(disk: &SimVfs) -> Result<Directory<SimVfs>, StartError> {
    let retention = Retention::Count(0);
    let settings = DirectorySettings { segment_chunk: CHUNK, retention, ..DirectorySettings::default() };
    Directory::open_with_vfs("state", settings, disk.clone()).map_err(StartError::Directory)
}

impl<P: Protocol> World<P> {
    pub(super) fn engine_settings(&mut self) -> Settings {
        let mut seed = [0; 32];
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.random.next().to_le_bytes());
        }
        Settings { entropy: Entropy::Seed(seed), ..self.settings.clone() }
    }

    /// Cuts the power of a node: what it hasn't synced is lost or not, as chance wants it, and its sockets break.
    pub fn crash(&mut self, node: NodeIndex) {
        if self.hosts.get(node).is_some_and(|host| host.engine.is_some()) {
            self.host_mut(node).power = Power::Going;
            self.stop_process(node);
        }
    }

    /// Kills the process of a node: what it has written is there, and its sockets break.
    pub fn kill(&mut self, node: NodeIndex) {
        if self.hosts.get(node).is_some_and(|host| host.engine.is_some()) {
            self.stop_process(node);
        }
    }

    fn stop_process(&mut self, node: NodeIndex) {
        self.stop_calling(node);
        let host = self.host_mut(node);
        host.engine = None;
        host.sync_at = None;
        host.waiting.clear();
        host.silent = false;
        let power = std::mem::take(&mut host.power);
        let disk = host.disk.clone();
        self.host_mut(node).disk = match power {
            Power::On => disk.kill(),
            Power::Going => disk.crash_by_chance(&mut self.random),
        };
        self.changed.insert(node);
        self.host_mut(node).conversations = None;
        self.host_mut(node).sockets.clear();
        self.unanswered.retain(|(dialler, ..)| *dialler != node);
        for (socket, side) in self.network.sockets_of(node) {
            self.hang_up(socket, side);
        }
    }

    /// Begins the conversations of a node that was opened.
    pub(super) fn start(&mut self, node: NodeIndex) {
        let (now, mut random) = (self.moment(), Random::new(self.random.next()));
        let mut conversations = Conversations::new(self.conversation.clone(), move || random.next());
        if let Some(engine) = &self.host(node).engine {
            conversations.start(engine, now);
            self.host_mut(node).conversations = Some(conversations);
        }
        self.start_calling(node);
        self.drive(node);
    }

    /// The disk of a node has failed: the process says so and ends.
    pub(super) fn end_process(&mut self, node: NodeIndex, reason: &str) {
        if self.host(node).engine.is_none() {
            return;
        }
        self.note(Happening::Ended { node, reason: reason.to_owned() });
        self.stop_process(node);
        self.restart_later(node);
    }

    /// Starts a node that was stopped.
    ///
    /// # Errors
    /// Its disk can't be read back, or fails: it can be tried again.
    pub fn restart(&mut self, node: NodeIndex) -> Result<(), StartError> {
        let Some(host) = self.hosts.get(node).filter(|host| host.engine.is_none() && host.puppet.is_none()) else {
            return Ok(());
        };
        let disk = host.disk.clone();
        let settings = self.engine_settings();
        let opened =
            open(&disk).and_then(|store| Engine::<P::Node, _>::open(store, settings).map_err(StartError::Engine));
        self.changed.insert(node);
        let failed = opened.as_ref().err().map(with_sources);
        self.note(Happening::Started { node, failed });
        match opened {
            Ok(engine) => {
                let (found, left) = (engine.version(), self.host(node).left);
                if found < left {
                    self.promise_is_broken(format!(
                        "node {node} has told others of version {}, and a restart finds {}",
                        left.0, found.0
                    ));
                }
                self.host_mut(node).engine = Some(engine);
                self.start(node);
                Ok(())
            }
            Err(error) => {
                self.stop_process(node);
                Err(error)
            }
        }
    }

    /// The disk of a node, to make it fail for instance.
    pub fn disk(&self, node: NodeIndex) -> Option<&SimVfs> {
        self.hosts.get(node).map(|host| &host.disk)
    }

    /// A copy of the disk of a node that was stopped, as a backup of it would be.
    pub fn backup(&self, node: NodeIndex) -> Option<SimVfs> {
        self.hosts.get(node).filter(|host| host.engine.is_none()).map(|host| host.disk.kill())
    }

    /// Puts another disk into a node that was stopped.
    pub fn replace_disk(&mut self, node: NodeIndex, disk: SimVfs) {
        if let Some(host) = self.hosts.get_mut(node).filter(|host| host.engine.is_none()) {
            host.disk = disk;
            host.left = Version(0);
            self.expect_no_effects(node);
        }
    }

    /// From now on a sync of this node takes some time, up to `most`; with zero, none.
    pub fn slow_disk(&mut self, node: NodeIndex, most: Duration) {
        if let Some(host) = self.hosts.get_mut(node) {
            host.slow = Some(most).filter(|most| !most.is_zero());
        }
    }

    /// Cuts the power of a node after this many operations of its disk.
    pub fn crash_after(&mut self, node: NodeIndex, operations: u64) {
        if let Some(host) = self.hosts.get_mut(node) {
            host.power = Power::Going;
            host.disk.fail_from(host.disk.operations() + operations.max(1), Fault::Halt);
        }
    }

    /// Has what a node did made durable, now or when its disk comes to it.
    pub(super) fn release(&mut self, node: NodeIndex) {
        // What may leave without a sync leaves.
        let outputs = self.host_mut(node).engine.as_mut().map(SimEngine::outputs).unwrap_or_default();
        for output in outputs {
            self.hand_on(node, output);
        }
        let now = self.now;
        let host = &mut self.hosts[node];
        let Some(engine) = host.engine.as_ref().filter(|engine| engine.unreleased()) else { return };
        let delay = (!engine.awaited()).then_some(COMMIT_DELAY);
        if delay.is_some() && sabotaged(Sabotage::LazyCommitNeverSynced) {
            return;
        }
        match host.slow.max(delay) {
            None => self.sync(node),
            Some(most) if host.sync_at.is_none() => {
                let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
                host.sync_at = Some(now + Duration::from_millis(self.random.below(most.saturating_add(1))));
            }
            Some(_) => {}
        }
    }

    /// Syncs a node, and does what its outputs say.
    pub(super) fn sync(&mut self, node: NodeIndex) {
        self.host_mut(node).sync_at = None;
        let Some(engine) = self.host_mut(node).engine.as_mut().filter(|engine| engine.unreleased()) else { return };
        match engine.sync() {
            Ok(outputs) => {
                for output in outputs {
                    self.hand_on(node, output);
                }
            }
            Err(error) => self.end_process(node, &with_sources(&error)),
        }
    }

    fn hand_on(&mut self, node: NodeIndex, output: Output<P::Node>) {
        self.hear_of_effects(node, &output);
        let now = self.moment();
        let host = self.host_mut(node);
        if let Some(engine) = &host.engine {
            host.left = engine.released();
            if let Some(conversations) = &mut host.conversations {
                conversations.handle_output(&output, engine, now);
            }
        }
        match output {
            Output::Transmit { .. } | Output::Confirm { .. } | Output::Opened { .. } | Output::Closed { .. } => {}
            Output::Perform { .. } | Output::EffectEnded { .. } => {}
            Output::Reply { reply, .. } => self.host_mut(node).replies.push(reply),
            Output::Notice(notice) => self.host_mut(node).notices.push(notice),
        }
    }
}

/// An error and what it came from.
pub(super) fn with_sources(error: &impl Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
