//! Many worlds, one for each seed; and of one that fails the shortest beginning that still does.
//!
//! Invariant: what is reported can be repeated: a seed, a scenario and a limit of disturbances give the same world.

use super::world::World;
use super::{Coverage, FaultKind, Trace};
use crate::conversation::Protocol;
use crate::panics::catch;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

/// How much of a trace is shown with a failure.
const SHOWN: usize = 120;

/// How many steps a world that fails may take, and the search for its shortest beginning. Most take some thousands; one that
/// goes round in circles isn't run again and again.
const SEARCH: u64 = 200_000;

/// Runs a scenario in many worlds, one after the other.
///
/// ```no_run
/// # use amiko_core::sim::{Faults, Swarm, World};
/// # fn scenario<P: amiko_core::Protocol>(protocol: impl Fn() -> P) -> Result<(), Box<dyn std::error::Error>> {
/// let summary = Swarm::from_environment(500).run(protocol, |world| {
///     let faults = Faults::draw(world.random());
///     world.start_faults(faults);
///     // … add nodes, give commands while `world.disturb()`, let time pass, check …
///     world.stop_faults();
///     Ok(())
/// })?;
/// println!("{summary}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Swarm {
    first: u64,
    step: u64,
    count: u64,
    search: u64,
}

/// The result of a swarm without a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Worlds.
    pub seeds: u64,
    /// Events that engines were given.
    pub events: u64,
    /// Faults by chance.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Moves of phases.
    pub coverage: Coverage,
}

/// A world that failed.
#[derive(Debug)]
pub struct Failed {
    /// The seed of the world.
    pub seed: u64,
    /// How many worlds came before it.
    pub before: u64,
    /// The smallest number of disturbances with which it fails, as far as it was searched for: in long worlds only with
    /// `AMIKO_SEED`.
    pub disturbances: u64,
    /// What was wrong then.
    pub reason: String,
    /// What happened up to there.
    pub trace: Trace,
}

impl Swarm {
    /// The first seeds from 0 on, this many of them.
    pub const fn new(count: u64) -> Self {
        Self { first: 0, step: 1, count, search: SEARCH }
    }

    /// The same; or as many as the environment variable `AMIKO_SEEDS` says; or only the one that `AMIKO_SEED` names,
    /// of which the shortest beginning that fails is then searched for whatever that takes.
    #[must_use]
    pub fn from_environment(count: u64) -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        match number("AMIKO_SEED") {
            Some(seed) => Self { first: seed, step: 1, count: 1, search: u64::MAX },
            None => Self::new(number("AMIKO_SEEDS").unwrap_or(count)),
        }
    }

    /// One share of the seeds, out of this many, so that several threads can go through them.
    #[must_use]
    pub fn share(&self, index: u64, of: u64) -> Self {
        let of = of.max(1);
        let count = self.count.saturating_sub(index).div_ceil(of);
        Self { first: self.first + index * self.step, step: self.step * of, count, search: self.search }
    }

    /// The seeds.
    pub fn seeds(&self) -> impl Iterator<Item = u64> {
        let (first, step) = (self.first, self.step);
        (0..self.count).map(move |number| first + number * step)
    }

    /// Runs the scenario in a world for each seed, until one fails: it returns an error, or panics.
    ///
    /// # Errors
    /// One has failed.
    pub fn run<P: Protocol>(
        &self,
        protocol: impl Fn() -> P,
        scenario: impl Fn(&mut World<P>) -> Result<(), String>,
    ) -> Result<Summary, Box<Failed>> {
        let mut summary = Summary::default();
        for seed in self.seeds() {
            let (world, outcome) = summary.coverage.collect(|| attempt(World::new(protocol(), seed), &scenario));
            if outcome.is_err() {
                let mut failed = shortest(&world, seed, self.search, &protocol, &scenario);
                failed.before = summary.seeds;
                return Err(Box::new(failed));
            }
            summary.seeds += 1;
            summary.events += world.events();
            for (fault, count) in world.counts() {
                *summary.faults.entry(*fault).or_default() += count;
            }
        }
        Ok(summary)
    }
}

/// Runs the scenario, and gives the world back with what came of it.
fn attempt<P: Protocol>(
    mut world: World<P>,
    scenario: &impl Fn(&mut World<P>) -> Result<(), String>,
) -> (World<P>, Result<(), String>) {
    let outcome = catch(|| scenario(&mut world)).unwrap_or_else(|text| Err(format!("a panic: {text}")));
    let promises = world.broken_promise().map_or(Ok(()), |broken| Err(broken.to_owned()));
    (world, promises.and(outcome))
}

/// Looks for the smallest number of disturbances with which a world still fails, until all its runs have taken `search` steps,
/// and runs it once more with a trace.
fn shortest<P: Protocol>(
    failed: &World<P>,
    seed: u64,
    search: u64,
    protocol: &impl Fn() -> P,
    scenario: &impl Fn(&mut World<P>) -> Result<(), String>,
) -> Failed {
    let run = |limit: u64, recorded: bool| {
        let mut world = World::new(protocol(), seed);
        world.limit_disturbances(limit);
        if recorded {
            world.record();
        }
        attempt(world, scenario)
    };
    // `enough` fails. Between there and `few`, which doesn't as far as is known, it is halved.
    let (mut few, mut enough, mut steps) = (0, failed.disturbances(), failed.steps());
    while few < enough && steps < search {
        let middle = few + (enough - few) / 2;
        let (world, outcome) = run(middle, false);
        steps += world.steps();
        if outcome.is_err() {
            enough = middle;
        } else {
            few = middle + 1;
        }
    }
    let (world, outcome) = run(enough, true);
    let reason = outcome
        .err()
        .unwrap_or_else(|| "it failed once, and not again: the scenario depends on more than its world".into());
    Failed { seed, before: 0, disturbances: enough, reason, trace: world.trace().cloned().unwrap_or_default() }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} seeds, {} events", self.seeds, self.events)?;
        for (fault, count) in &self.faults {
            write!(f, ", {fault}: {count}")?;
        }
        let coverage = self.coverage.to_string();
        coverage.lines().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl Summary {
    /// Adds what came of another share.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.coverage.add(&other.coverage);
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, disturbances, reason, trace, before } = self;
        let lines = trace.to_json_lines();
        let count = lines.lines().count();
        writeln!(f, "seed {seed}, after {before} good ones, with {disturbances} disturbances: {reason}")?;
        writeln!(f, "to repeat it: AMIKO_SEED={seed} and the same command\n")?;
        writeln!(f, "the last {} of {count} things that happened, as a diagram and as JSON:\n", SHOWN.min(count))?;
        writeln!(f, "```mermaid\n{}```\n", trace.to_mermaid(SHOWN))?;
        lines.lines().skip(count.saturating_sub(SHOWN)).try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Error for Failed {}
