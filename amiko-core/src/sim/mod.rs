//! Simulated networks of nodes: a virtual clock, sockets that break, nodes that crash, disks that fail, all from one seed.
//!
//! Invariant: the same seed and the same calls give the same world, byte for byte: nothing in here reads a clock, a hash
//! order or an address.

mod clock;
mod disk;
mod faults;
mod network;
mod swarm;
mod trace;
mod world;

pub use crate::machine::phases::coverage::Coverage;
pub use disk::{Fate, Fault, Pending, SimFile, SimLock, SimVfs};
pub use faults::{FaultKind, Faults};
pub use swarm::{Failed, Summary, Swarm};
pub use trace::{Happening, Trace, TraceEntry};
pub use world::{Call, Called, Heard, SimEngine, StartError, World};

/// A node of a world, in the order in which they were added.
pub type NodeIndex = usize;

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough to choose faults.
///
/// ```
/// use amiko_core::sim::Random;
///
/// let (mut one, mut other) = (Random::new(7), Random::new(7));
/// assert_eq!(one.next(), other.next());
/// assert!(one.below(6) < 6);
/// ```
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers that follow from a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    #[expect(
        clippy::should_implement_trait,
        reason = "there is no end to them, so an iterator would only be in the way"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next number below a limit; 0 if that is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}
