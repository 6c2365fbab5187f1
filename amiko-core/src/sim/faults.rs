//! Which faults there are, and how often: drawn anew for each seed.
//!
//! Invariant: a world whose faults are stopped is one without faults some time later: whatever was broken is mended.

use super::Random;
use crate::Serializable;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What can go wrong in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serializable)]
#[non_exhaustive]
pub enum FaultKind {
    /// A process is killed, and started again later.
    Kill,
    /// The power of a node goes in the middle of what its disk is doing, and comes back later.
    PowerCut,
    /// The power goes while a node is starting.
    PowerCutInRecovery,
    /// An operation of a disk fails: input or output, room, a write cut short, a sync.
    Disk,
    /// A disk takes its time, so that several events are made durable at once, or lost together.
    SlowDisk,
    /// Two nodes lose their sockets, and can't reach each other for a while.
    Cut,
    /// Nothing comes through between two nodes, and nobody is told.
    Partition,
    /// Nothing comes through from one node to another, though it does the other way.
    OneWayPartition,
    /// What one node says to another waits.
    Clog,
    /// One end of a socket is gone, and the other isn't told.
    HalfOpen,
    /// A node does nothing for a while, though its sockets stay.
    Silence,
    /// A line is lost.
    Loss,
    /// A line arrives twice.
    Duplication,
    /// A line overtakes another.
    Reordering,
    /// A clock is put forward, or back.
    ClockJump,
    /// A clock stands still.
    ClockStop,
    /// A call of a service is lost: it fails when its time is over.
    LostCall,
    /// A service performs what it was called for, and its answer is lost.
    LostAnswer,
    /// A service hears a call twice, maybe when all is over.
    RepeatedCall,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Kill,
        Self::PowerCut,
        Self::PowerCutInRecovery,
        Self::Disk,
        Self::SlowDisk,
        Self::Cut,
        Self::Partition,
        Self::OneWayPartition,
        Self::Clog,
        Self::HalfOpen,
        Self::Silence,
        Self::Loss,
        Self::Duplication,
        Self::Reordering,
        Self::ClockJump,
        Self::ClockStop,
        Self::LostCall,
        Self::LostAnswer,
        Self::RepeatedCall,
    ];

    /// Those that meet lines, each by chance, and not a node now and then.
    const OF_LINES: [Self; 3] = [Self::Loss, Self::Duplication, Self::Reordering];

    /// Those that meet calls of services, in the same way.
    const OF_CALLS: [Self; 3] = [Self::LostCall, Self::LostAnswer, Self::RepeatedCall];

    fn is_by_chance(self) -> bool {
        Self::OF_LINES.contains(&self) || Self::OF_CALLS.contains(&self)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::PowerCut => "power cut",
            Self::PowerCutInRecovery => "power cut in recovery",
            Self::Disk => "disk failure",
            Self::SlowDisk => "slow disk",
            Self::Cut => "cut",
            Self::Partition => "partition",
            Self::OneWayPartition => "one-way partition",
            Self::Clog => "clog",
            Self::HalfOpen => "half-open socket",
            Self::Silence => "silence",
            Self::Loss => "lost line",
            Self::Duplication => "duplicated line",
            Self::Reordering => "reordered line",
            Self::ClockJump => "clock jump",
            Self::ClockStop => "stopped clock",
            Self::LostCall => "lost call",
            Self::LostAnswer => "lost answer",
            Self::RepeatedCall => "repeated call",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which faults meet a world, and how often.
///
/// ```
/// use amiko_core::sim::{FaultKind, Faults, Random};
/// use std::time::Duration;
///
/// let by_chance = Faults::draw(&mut Random::new(7));
/// let by_hand = Faults::none().every(FaultKind::Kill, Duration::from_secs(3)).per_line(FaultKind::Loss, 20);
/// # drop((by_chance, by_hand));
/// ```
#[derive(Debug, Clone)]
pub struct Faults {
    /// How long it is from one to the next, on average.
    pub(super) every: BTreeMap<FaultKind, Duration>,
    /// Chances in ten thousandths.
    pub(super) chances: BTreeMap<FaultKind, u64>,
    /// What a fault that has a duration lasts at the most. Default 20 s.
    pub longest: Duration,
    /// How far a clock is put forward or back at the most. Default one minute.
    pub clock: Duration,
}

impl Faults {
    /// No faults at all.
    #[must_use]
    pub fn none() -> Self {
        let (longest, clock) = (Duration::from_secs(20), Duration::from_secs(60));
        Self { every: BTreeMap::new(), chances: BTreeMap::new(), longest, clock }
    }

    /// About half of all kinds, each as often as chance wants it: what one mixture hides, another shows (Groce et al.,
    /// Swarm Testing, 2012).
    pub fn draw(random: &mut Random) -> Self {
        let mut faults = Self::none();
        for kind in FaultKind::ALL {
            // Drawn whether needed or not, so that each kind has its own place in the numbers of a seed.
            let (there, often) = (random.below(2) == 0, random.below(6));
            if there && FaultKind::OF_LINES.contains(&kind) {
                faults = faults.per_line(kind, 10 << often);
            } else if there && FaultKind::OF_CALLS.contains(&kind) {
                faults = faults.per_call(kind, 100 << often);
            } else if there {
                faults = faults.every(kind, Duration::from_millis(1_000 << often));
            }
        }
        faults
    }

    /// Adds this fault, with this average interval; for faults that meet lines, see [`Faults::per_line`], and [`Faults::per_call`] for those that meet calls.
    #[must_use]
    pub fn every(mut self, kind: FaultKind, mean: Duration) -> Self {
        if !kind.is_by_chance() {
            self.every.insert(kind, mean);
        }
        self
    }

    /// Adds this fault, for this many lines in 10,000.
    #[must_use]
    pub fn per_line(mut self, kind: FaultKind, chance: u64) -> Self {
        if FaultKind::OF_LINES.contains(&kind) {
            self.chances.insert(kind, chance);
        }
        self
    }

    /// Adds this fault, for this many calls of services in 10,000.
    #[must_use]
    pub fn per_call(mut self, kind: FaultKind, chance: u64) -> Self {
        if FaultKind::OF_CALLS.contains(&kind) {
            self.chances.insert(kind, chance);
        }
        self
    }

    /// Removes this fault.
    #[must_use]
    pub fn without(mut self, kind: FaultKind) -> Self {
        self.every.remove(&kind);
        self.chances.remove(&kind);
        self
    }

    pub(super) fn chance(&self, kind: FaultKind) -> u64 {
        self.chances.get(&kind).copied().unwrap_or(0)
    }
}

/// A time until the next one, of those that come every so often on average.
pub(super) fn pause(mean: Duration, random: &mut Random) -> Duration {
    let millis = u64::try_from(mean.as_millis()).unwrap_or(u64::MAX / 2);
    Duration::from_millis(1 + random.below(2 * millis))
}
