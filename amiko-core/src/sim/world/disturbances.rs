//! What goes wrong in a world, by hand or by chance, and what mends it.
//!
//! Invariant: each fault that a world draws has an end that is set when it begins; and when the faults are stopped, all of
//! them end at once.

use super::{World, processes::Power};
use crate::conversation::{Disconnect, Protocol};
use crate::sim::faults::{FaultKind, Faults, pause};
use crate::sim::network::{Chances, Side, SocketNumber, Way};
use crate::sim::trace::Happening;
use crate::sim::{Fault, NodeIndex};
use std::io;
use std::time::Duration;

/// What ends a fault.
#[derive(Debug, Clone, Copy)]
pub(super) enum Remedy {
    Restart(NodeIndex),
    /// Lets through what goes from one node to another.
    Open(NodeIndex, NodeIndex),
    Speak(NodeIndex),
    FastDisk(NodeIndex),
    GoOn(NodeIndex),
}

impl<P: Protocol> World<P> {
    /// Makes faults happen by chance, from now on and until [`World::stop_faults`].
    pub fn start_faults(&mut self, faults: Faults) {
        let chance = |kind| faults.chance(kind);
        self.network.chances = Chances {
            loss: chance(FaultKind::Loss),
            duplication: chance(FaultKind::Duplication),
            reordering: chance(FaultKind::Reordering),
        };
        for (kind, mean) in &faults.every {
            self.next_faults.insert(*kind, self.now + pause(*mean, &mut self.random));
        }
        self.faults = Some(faults);
    }

    /// No more faults by chance; those that are there end, nodes that are down are started, and clocks are set right.
    pub fn stop_faults(&mut self) {
        self.faults = None;
        self.next_faults.clear();
        self.remedies.clear();
        self.network.chances = Chances::default();
        let ways: Vec<_> = self.network.ways.keys().copied().collect();
        for (from, to) in ways {
            self.unclog(from, to);
        }
        for node in 0..self.hosts.len() {
            let host = self.host_mut(node);
            host.disk.clear_faults();
            host.power = Power::On;
            host.clock.set_right();
            host.slow = None;
            self.silence(node, false);
            self.sync(node);
            // A disk that was read before it failed is read again: nothing fails any more.
            self.restart(node).ok();
        }
        self.answer_dials();
    }

    /// Limits the faults by chance and the random actions of a scenario: used to find the shortest prefix of a run
    /// that still fails.
    pub fn limit_disturbances(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Faults by chance so far, plus the calls of [`World::disturb`] that returned true.
    pub fn disturbances(&self) -> u64 {
        self.disturbances
    }

    /// Whether a scenario may do one more thing of its own accord, like a random command. It then counts.
    pub fn disturb(&mut self) -> bool {
        let more = self.disturbances < self.limit;
        self.disturbances += u64::from(more);
        more
    }

    fn count(&mut self, kind: FaultKind, nodes: &[NodeIndex], over: bool) {
        if !over {
            *self.counts.entry(kind).or_default() += 1;
        }
        self.note(Happening::Fault { fault: kind, nodes: nodes.to_vec(), over });
    }

    fn mend_later(&mut self, remedy: Remedy, most: Duration) {
        let at = self.now + pause(most / 2, &mut self.random);
        let number = self.random.next();
        self.remedies.insert((at, number), remedy);
    }

    pub(super) fn restart_later(&mut self, node: NodeIndex) {
        if let Some(longest) = self.faults.as_ref().map(|faults| faults.longest) {
            self.mend_later(Remedy::Restart(node), longest);
        }
    }

    pub(super) fn remedy(&mut self) {
        let Some((_, remedy)) = self.remedies.pop_first() else { return };
        match remedy {
            Remedy::Restart(node) => {
                if self.restart(node).is_err() {
                    self.restart_later(node);
                }
            }
            Remedy::Open(from, to) => {
                self.unclog(from, to);
                self.answer_dials();
            }
            Remedy::Speak(node) => self.silence(node, false),
            Remedy::FastDisk(node) => self.slow_disk(node, Duration::ZERO),
            Remedy::GoOn(node) => self.start_clock(node),
        }
    }

    /// The fault by chance that is due.
    pub(super) fn next_fault(&mut self) {
        let due = self.next_faults.iter().find(|(_, at)| **at <= self.now).map(|(kind, _)| *kind);
        let Some((kind, faults)) = due.zip(self.faults.clone()) else { return };
        if let Some(mean) = faults.every.get(&kind) {
            let next = self.now + pause(*mean, &mut self.random);
            self.next_faults.insert(kind, next);
        }
        if self.hosts.is_empty() {
            return;
        }
        if self.disturbances >= self.limit {
            self.next_faults.clear();
            return;
        }
        self.disturbances += 1;
        let count = self.hosts.len() as u64;
        let node = self.random.below(count) as usize;
        let peer = self.peer_of(node);
        self.strike(kind, node, peer, &faults);
    }

    /// A node that this one has a socket with, if it has one with any.
    fn peer_of(&mut self, node: NodeIndex) -> Option<NodeIndex> {
        let sockets = self.network.sockets_of(node);
        let (socket, side) = *sockets.get(self.random.below(sockets.len() as u64) as usize)?;
        Some(self.network.socket(socket)?.end(side.other()).node)
    }

    fn strike(&mut self, kind: FaultKind, node: NodeIndex, peer: Option<NodeIndex>, faults: &Faults) {
        let up = self.host(node).engine.is_some();
        let longest = faults.longest;
        let (nodes, remedies) = match (kind, peer) {
            (FaultKind::Kill, _) if up => {
                self.kill(node);
                (vec![node], vec![Remedy::Restart(node)])
            }
            (FaultKind::PowerCut, _) if up => {
                // In the middle of what its disk does next; `end_process` sets the remedy.
                let operations = 1 + self.random.below(6);
                self.crash_after(node, operations);
                (vec![node], vec![])
            }
            (FaultKind::PowerCutInRecovery, _) if up => {
                self.crash(node);
                let operations = 1 + self.random.below(40);
                self.crash_after(node, operations);
                (vec![node], vec![Remedy::Restart(node)])
            }
            (FaultKind::Disk, _) if up => {
                self.fail_disk(node);
                (vec![node], vec![])
            }
            (FaultKind::SlowDisk, _) => {
                let most = Duration::from_millis(1 + self.random.below(200));
                self.slow_disk(node, most);
                (vec![node], vec![Remedy::FastDisk(node)])
            }
            (FaultKind::Cut, Some(peer)) => {
                self.cut(node, peer);
                (vec![node, peer], vec![Remedy::Open(node, peer), Remedy::Open(peer, node)])
            }
            (FaultKind::Partition, Some(peer)) => {
                self.swallow(node, peer);
                self.swallow(peer, node);
                (vec![node, peer], vec![Remedy::Open(node, peer), Remedy::Open(peer, node)])
            }
            (FaultKind::OneWayPartition, Some(peer)) => {
                self.swallow(node, peer);
                (vec![node, peer], vec![Remedy::Open(node, peer)])
            }
            (FaultKind::Clog, Some(peer)) => {
                self.clog(node, peer);
                (vec![node, peer], vec![Remedy::Open(node, peer)])
            }
            (FaultKind::HalfOpen, Some(peer)) => {
                self.half_open(node, peer);
                (vec![node, peer], vec![])
            }
            (FaultKind::Silence, _) if up => {
                self.silence(node, true);
                (vec![node], vec![Remedy::Speak(node)])
            }
            (FaultKind::ClockJump, _) => {
                let most = i64::try_from(faults.clock.as_millis()).unwrap_or(i64::MAX / 4).max(1);
                let millis = self.random.below(most.unsigned_abs() * 2) as i64 - most;
                self.host_mut(node).clock.set_right();
                self.put_clock_forward(node, millis);
                (vec![node], vec![])
            }
            (FaultKind::ClockStop, _) => {
                self.stop_clock(node);
                (vec![node], vec![Remedy::GoOn(node)])
            }
            _ => return,
        };
        self.count(kind, &nodes, false);
        for remedy in remedies {
            self.mend_later(remedy, longest);
        }
    }

    fn fail_disk(&mut self, node: NodeIndex) {
        let written = self.random.below(200) as usize;
        // After a sync that failed nobody can know what a file system has lost: it is taken for the end of the machine.
        let (fault, power) = match self.random.below(4) {
            0 => (Fault::Io, Power::Going),
            1 => (Fault::Full, Power::Going),
            2 => (Fault::ShortWrite(written), Power::On),
            _ => (Fault::Sync, Power::Going),
        };
        let operation = self.random.below(8);
        let host = self.host_mut(node);
        if host.power == Power::On {
            host.power = power;
        }
        host.disk.fail_at(host.disk.operations() + 1 + operation, fault);
    }

    /// Makes a node say and hear nothing, though its sockets stay; or lets it go on with what has arrived meanwhile.
    pub fn silence(&mut self, node: NodeIndex, silent: bool) {
        let Some(host) = self.hosts.get_mut(node) else { return };
        if host.silent == silent || (silent && host.engine.is_none()) {
            return;
        }
        host.silent = silent;
        if !silent {
            let waiting = std::mem::take(&mut host.waiting);
            // Due timers go before what comes from the network.
            drop(self.input(node, |engine, now| engine.tick(now)));
            for packet in waiting {
                self.arrive(packet);
            }
        }
    }

    /// Cuts two nodes off from each other: their sockets break, and no new ones come about.
    pub fn cut(&mut self, one: NodeIndex, other: NodeIndex) {
        for socket in self.network.sockets_between(one, other) {
            for side in Side::BOTH {
                self.lose_end(socket, side);
            }
        }
        self.swallow(one, other);
        self.swallow(other, one);
    }

    /// Lets two nodes reach each other again, whatever was between them. Whoever was told that a dial failed waits before the
    /// next one, as in life.
    pub fn heal(&mut self, one: NodeIndex, other: NodeIndex) {
        self.unclog(one, other);
        self.unclog(other, one);
        self.answer_dials();
    }

    /// Loses what one node says to another, until [`World::heal`]. Nobody is told.
    pub fn swallow(&mut self, from: NodeIndex, to: NodeIndex) {
        self.network.ways.insert((from, to), Way::Swallows);
    }

    /// Delays what one node says to another, until [`World::heal`].
    pub fn clog(&mut self, from: NodeIndex, to: NodeIndex) {
        self.network.ways.entry((from, to)).or_insert_with(|| Way::Clogged(Vec::new()));
    }

    fn unclog(&mut self, from: NodeIndex, to: NodeIndex) {
        self.network.unclog(from, to, self.now);
    }

    /// Takes one node's end of its sockets with another away, without telling the other.
    pub fn half_open(&mut self, node: NodeIndex, peer: NodeIndex) {
        for socket in self.network.sockets_between(node, peer) {
            let has = |side: &Side| self.network.socket(socket).is_some_and(|socket| socket.end(*side).node == node);
            if let Some(side) = Side::BOTH.into_iter().find(has) {
                self.lose_end(socket, side);
            }
        }
    }

    /// Puts the clock of a node forward by this many milliseconds, or back.
    pub fn put_clock_forward(&mut self, node: NodeIndex, millis: i64) {
        if let Some(host) = self.hosts.get_mut(node) {
            host.clock.put_forward(millis);
        }
    }

    /// Stops the clock of a node.
    pub fn stop_clock(&mut self, node: NodeIndex) {
        let now = self.now;
        if let Some(host) = self.hosts.get_mut(node) {
            host.clock.stop(now);
        }
    }

    /// Lets the clock of a node go on, at the time that it would show if it had never been stopped.
    pub fn start_clock(&mut self, node: NodeIndex) {
        if let Some(host) = self.hosts.get_mut(node) {
            host.clock.go_on();
        }
    }

    /// How long a line takes from one node to another: at least, and at the most.
    pub fn set_latency(&mut self, least: Duration, most: Duration) {
        self.network.latency = (least, most);
    }

    /// The operating system takes an end of a socket from its node. The other end isn't told.
    fn lose_end(&mut self, socket: SocketNumber, side: Side) {
        let Some(end) = self.network.socket(socket).map(|socket| socket.end(side)).filter(|end| end.open) else {
            return;
        };
        let (node, id) = (end.node, end.id);
        self.network.close(socket, side);
        if let Some(id) = id {
            self.host_mut(node).sockets.remove(&id);
            self.ended(node, id, Disconnect::Transport(io::ErrorKind::ConnectionReset.into()));
        }
    }
}
