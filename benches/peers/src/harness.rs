//! Measures contenders of a few nanoseconds in turns and says how they compare.
//!
//! Invariant: a ratio is always one of two times of the same round.

use crate::spread::Spread;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How often all contenders of a group are measured.
const ROUNDS: usize = 301;
/// How long one contender is measured in one round: long against the clock, short against what disturbs the machine.
const TURN: Duration = Duration::from_millis(1);

/// Does so many repetitions of what is measured.
type Work<'w> = Box<dyn FnMut(usize) + 'w>;

/// Contenders that are about to be measured in turns.
pub struct Contest<'w> {
    name: &'static str,
    contenders: Vec<(&'static str, Work<'w>)>,
}

/// What a contest gave: nanoseconds of each contender in each round.
pub struct Group {
    name: &'static str,
    contenders: Vec<(&'static str, Vec<f64>)>,
}

impl Group {
    /// A contest to which contenders can be added.
    #[expect(clippy::new_ret_no_self, reason = "a group is what the contest gives in the end")]
    pub fn new<'w>(name: &'static str, what: &str) -> Contest<'w> {
        println!("\n{name} {what}");
        Contest { name, contenders: Vec::new() }
    }

    fn times(&self, contender: &str) -> Option<&[f64]> {
        self.contenders.iter().find(|(name, _)| *name == contender).map(|(_, times)| times.as_slice())
    }

    fn ratio(&self, contender: &str, other: &str) -> Option<Spread> {
        let rounds = self.times(contender)?.iter().zip(self.times(other)?);
        Some(Spread::of(rounds.map(|(time, other)| time / other)))
    }
}

impl<'w> Contest<'w> {
    /// Adds a contender that works on one thing after the other.
    pub fn turns<T, R>(&mut self, name: &'static str, things: &'w [T], mut work: impl FnMut(&'w T) -> R + 'w) {
        let mut things = things.iter().cycle();
        self.single(name, move || things.next().map(&mut work));
    }

    /// Adds a contender.
    pub fn single<R>(&mut self, name: &'static str, mut work: impl FnMut() -> R + 'w) {
        let repeat = move |times| {
            for _ in 0..times {
                black_box(work());
            }
        };
        self.contenders.push((name, Box::new(repeat)));
    }

    /// Measures all contenders and prints their times.
    pub fn measure(self) -> Group {
        let mut running: Vec<_> = self
            .contenders
            .into_iter()
            .map(|(name, mut work)| (name, repetitions(&mut work), work, Vec::with_capacity(ROUNDS)))
            .collect();
        for round in 0..ROUNDS {
            // Another one begins each time, so that none always follows the same neighbour's garbage in the caches.
            let count = running.len();
            for turn in 0..count {
                let (_, repetitions, work, times) = &mut running[(turn + round) % count];
                times.push(time(work, *repetitions) / *repetitions as f64);
            }
        }
        let contenders = running.into_iter().map(|(name, _, _, times)| (name, times)).collect();
        let group = Group { name: self.name, contenders };
        group.print();
        group
    }
}

fn time(work: &mut Work<'_>, repetitions: usize) -> f64 {
    let start = Instant::now();
    work(repetitions);
    start.elapsed().as_nanos() as f64
}

/// How many repetitions fill a turn; finding out is the warm-up.
fn repetitions(work: &mut Work<'_>) -> usize {
    let turn = TURN.as_nanos() as f64;
    let mut repetitions = 1;
    loop {
        let taken = time(work, repetitions);
        if taken >= turn * 10.0 {
            return ((turn * repetitions as f64 / taken) as usize).max(1);
        }
        repetitions *= 2;
    }
}

impl Group {
    fn print(&self) {
        let first = self.contenders.first().map_or("", |(name, _)| name);
        println!("  {:<26} {:>9}  {:<19} {first} to this", "", "median ns", "8 of 10");
        for (name, times) in &self.contenders {
            let Spread { low, median, high } = Spread::of(times.iter().copied());
            let range = format!("{low:.0}–{high:.0}");
            let ratio = self.ratio(first, name).map(|ratio| ratio.to_string()).unwrap_or_default();
            println!("  {name:<26} {median:>9.0}  {range:<19} {ratio}");
        }
    }
}

/// What must hold.
pub struct Bound {
    group: &'static str,
    contender: &'static str,
    /// Compared with this one; otherwise in nanoseconds.
    other: Option<&'static str>,
    most: f64,
}

impl Bound {
    /// A contender takes at most so much of another's time.
    pub fn ratio(group: &'static str, contender: &'static str, other: &'static str, most: f64) -> Self {
        Self { group, contender, other: Some(other), most }
    }

    /// A contender takes at most so many nanoseconds.
    pub fn time(group: &'static str, contender: &'static str, most: f64) -> Self {
        Self { group, contender, other: None, most }
    }
}

/// Prints the bounds of the groups that were measured, and whether they hold.
pub fn report(groups: &[Group], bounds: &[Bound]) {
    println!("\n{:<66} {:<20} {:>7}", "bound", "found", "at most");
    for bound in bounds {
        let Some(group) = groups.iter().find(|group| group.name == bound.group) else { continue };
        let (what, found, shown) = match bound.other {
            Some(other) => {
                let Some(found) = group.ratio(bound.contender, other) else { continue };
                (format!("{}: {} / {other}", group.name, bound.contender), found.median, found.to_string())
            }
            None => {
                let Some(times) = group.times(bound.contender) else { continue };
                let found = Spread::of(times.iter().copied());
                let shown = format!("{:.0} ({:.0}–{:.0})", found.median, found.low, found.high);
                (format!("{}: {}, ns", group.name, bound.contender), found.median, shown)
            }
        };
        let verdict = if found <= bound.most { "holds" } else { "DOESN'T HOLD" };
        println!("{what:<66} {shown:<20} {:>7} {verdict}", bound.most);
    }
}
