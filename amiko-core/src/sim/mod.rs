//! Simulated networks of nodes: a virtual clock, sockets that break, nodes that crash, all from one seed.
//!
//! Invariant: the same seed and the same calls give the same world, byte for byte: nothing in here reads a clock, a hash
//! order or an address.

mod network;
mod world;

pub use world::{NodeIndex, World};

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough to choose faults.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}
