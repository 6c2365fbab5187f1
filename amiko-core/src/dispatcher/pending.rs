//! Effects that aren't over.
//!
//! Invariant: an effect is here from the commit that asked for it to the commit in which its owner hears what came of it, or in
//! which it is cancelled.

use crate::Serializable;
use crate::time::Time;
use crate::tree::Tree;

/// An effect that isn't over; its ID is its owner's kind and key, and its name.
#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "effect")]
pub struct Pending<N: Tree> {
    /// The effect.
    pub effect: N::Effects,
    /// The number of effects that were asked for before it, as long as any of them was there: the order in which they
    /// are performed.
    pub number: u64,
    /// What the outside tells repetitions by. It is the same for every attempt, and no other effect of any node has it.
    pub key: [u8; 16],
    /// When it was asked for.
    pub since: Time,
    /// Attempts that have failed.
    #[amiko(default)]
    pub attempts: u32,
    /// When it is tried next, at the earliest.
    pub next: Time,
    /// Why the last attempt failed.
    #[amiko(default)]
    pub error: Option<String>,
}

impl<N: Tree> Pending<N> {
    /// The key as it is given to the outside: 32 hex digits.
    pub fn key_text(&self) -> String {
        self.key.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
