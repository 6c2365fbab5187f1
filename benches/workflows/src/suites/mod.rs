//! What is measured.
//!
//! Invariant: all contenders of a table have turns, each in a process of its own; another one begins in each round.

pub mod restart;
pub mod steps;
pub mod syncs;
pub mod timers;

use crate::contender::Contender;

/// Contenders that are measured side by side.
pub type Contenders = Vec<&'static dyn Contender>;

/// Workflows of one table: for all, or for those alone that aren't slow.
#[derive(Clone, Copy)]
pub struct Amount {
    /// How many.
    pub count: usize,
    /// Whether those take part that are slow.
    pub with_slow: bool,
}

impl Amount {
    /// Those who take part.
    pub fn of(self, contenders: &Contenders) -> Contenders {
        contenders.iter().copied().filter(|contender| self.with_slow || !contender.is_slow()).collect()
    }
}

/// Turns of some contenders, another one of which begins in each round.
pub fn rounds(what: &str, rounds: usize, contenders: &Contenders, mut turn: impl FnMut(usize, &'static dyn Contender)) {
    for round in 0..rounds {
        for offset in 0..contenders.len() {
            let which = (offset + round) % contenders.len();
            eprintln!("  {what}: round {} of {rounds}: {}", round + 1, contenders[which].name());
            turn(which, contenders[which]);
        }
    }
}
