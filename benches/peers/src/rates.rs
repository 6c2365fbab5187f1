//! How fast contenders are that work for a while at a time, and how they compare.
//!
//! Invariant: a ratio is always one of two rates of the same round.

use crate::spread::Spread;
use std::time::Duration;

/// What one contender did in one round.
#[derive(Clone, Copy)]
pub struct Turn {
    /// How much.
    pub work: f64,
    /// In what time.
    pub time: Duration,
}

impl Turn {
    fn rate(self) -> f64 {
        self.work / self.time.as_secs_f64()
    }
}

/// The turns of some contenders, of whom the first is ours.
pub struct Rates {
    name: String,
    unit: &'static str,
    contenders: Vec<(&'static str, Vec<Turn>)>,
}

impl Rates {
    /// Nothing was measured yet.
    pub fn new(name: impl Into<String>, unit: &'static str, contenders: &[&'static str]) -> Self {
        let contenders = contenders.iter().map(|contender| (*contender, Vec::new())).collect();
        Self { name: name.into(), unit, contenders }
    }

    /// Takes note of a turn. Every contender has one in each round.
    pub fn add(&mut self, contender: usize, turn: Turn) {
        self.contenders[contender].1.push(turn);
    }

    /// Our rate by that of another.
    fn ratio(&self, other: &str) -> Option<Spread> {
        let (_, ours) = self.contenders.first()?;
        let (_, theirs) = self.contenders.iter().find(|(name, _)| *name == other)?;
        Some(Spread::of(ours.iter().zip(theirs).map(|(our, their)| our.rate() / their.rate())))
    }

    /// Prints all contenders. `all` is the rate of all rounds together, with what only some of them have in them.
    pub fn print(&self) {
        println!("\n{:<36} {:>12} {:>21} {:>12}   ours / theirs", self.name, self.unit, "8 of 10", "all");
        for (name, turns) in &self.contenders {
            let Spread { low, median, high } = Spread::of(turns.iter().map(|turn| turn.rate()));
            let work: f64 = turns.iter().map(|turn| turn.work).sum();
            let all = Turn { work, time: turns.iter().map(|turn| turn.time).sum() }.rate();
            let range = format!("{low:.0}–{high:.0}");
            let ratio = self.ratio(name).map(|ratio| ratio.to_string()).unwrap_or_default();
            println!("  {name:<34} {median:>12.0} {range:>21} {all:>12.0}   {ratio}");
        }
    }

    /// Prints whether we are at least so many times as fast as another.
    pub fn bound(&self, other: &str, least: f64) {
        let Some(found) = self.ratio(other) else { return };
        let verdict = if found.median >= least { "holds" } else { "NOT reached" };
        let what = format!("{}: ours / {other}", self.name);
        println!("{what:<60} {:<22} at least {least:<5} {verdict}", found.to_string());
    }
}
