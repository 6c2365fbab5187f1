//! Measures contenders of nanoseconds or microseconds in turns.
//!
//! Invariant: every contender has a turn in each round, and each turn is as long as the others.

use crate::effort::Effort;
use crate::samples::Samples;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How often all contenders are measured.
const ROUNDS: usize = 301;
/// How long one contender is measured in one round: long against the clock, short against what disturbs the machine.
const TURN: Duration = Duration::from_millis(5);

/// Does so many repetitions of what is measured.
type Work<'w> = Box<dyn FnMut(usize) + 'w>;

/// Contenders that are about to be measured in turns.
pub struct Contest<'w> {
    name: &'static str,
    contenders: Vec<(&'static str, Work<'w>)>,
}

impl<'w> Contest<'w> {
    /// A contest to which contenders can be added; ours is the first.
    pub fn new(name: &'static str) -> Self {
        Self { name, contenders: Vec::new() }
    }

    /// Adds a contender that works on one thing after the other.
    pub fn turns<T, R>(&mut self, name: &'static str, things: &'w [T], mut work: impl FnMut(&'w T) -> R + 'w) {
        let mut things = things.iter().cycle();
        self.single(name, move || things.next().map(&mut work));
    }

    /// Adds a contender.
    pub fn single<R>(&mut self, name: &'static str, mut work: impl FnMut() -> R + 'w) {
        self.batch(name, move |times| {
            for _ in 0..times {
                black_box(work());
            }
        });
    }

    /// Adds a contender that repeats its work itself.
    pub fn batch(&mut self, name: &'static str, work: impl FnMut(usize) + 'w) {
        self.contenders.push((name, Box::new(work)));
    }

    /// Measures all contenders, in nanoseconds.
    pub fn measure(self, effort: Effort) -> Samples {
        let names: Vec<_> = self.contenders.iter().map(|(name, _)| *name).collect();
        let mut samples = Samples::new(self.name, "ns", &names);
        let turn = effort.time(TURN);
        let prepare = |(_, mut work): (_, Work<'w>)| (repetitions(&mut work, turn), work);
        let mut running: Vec<_> = self.contenders.into_iter().map(prepare).collect();
        eprintln!("  {}", self.name);
        for round in 0..effort.rounds(ROUNDS) {
            // Another one begins each time, so that none always follows the same neighbour's garbage in the caches.
            for offset in 0..running.len() {
                let which = (offset + round) % running.len();
                let (repetitions, work) = &mut running[which];
                samples.add(which, time(work, *repetitions) / *repetitions as f64);
            }
        }
        samples
    }
}

fn time(work: &mut Work<'_>, repetitions: usize) -> f64 {
    let start = Instant::now();
    work(repetitions);
    start.elapsed().as_nanos() as f64
}

/// How many repetitions fill a turn; finding out is the warm-up.
fn repetitions(work: &mut Work<'_>, turn: Duration) -> usize {
    let turn = turn.as_nanos() as f64;
    let mut repetitions = 1;
    loop {
        let taken = time(work, repetitions);
        if taken >= turn * 10.0 {
            return ((turn * repetitions as f64 / taken) as usize).max(1);
        }
        repetitions *= 2;
    }
}
