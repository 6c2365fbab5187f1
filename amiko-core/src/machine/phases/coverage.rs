//! Which phases were entered, and which moves were taken, while something ran: for tests.
//!
//! Invariant: what an event did that was rejected isn't counted.

use super::Phases;
use super::chart::Chart;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// A move from the first place to the second.
type Move = (usize, usize);

/// The moves that were taken, of every enum of phases that moved: by `enter`, in events that made a version. A phase in which something
/// began, or that came inside an outer one, was entered by no move of its own.
///
/// ```
/// use amiko_core::sim::Coverage;
/// use amiko_core::{prelude::*, store::Memory};
///
/// #[derive(Clone, Default, Serializable, Node)]
/// #[amiko(machine)]
/// struct Door { phase: Phase<DoorPhase> }
///
/// #[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
/// enum DoorPhase {
///     #[amiko(next(Open))]
///     Closed,
///     #[amiko(next(Closed))]
///     Open,
/// }
///
/// impl StateMachine for Door {
///     type Node = Self;
///     type Message = DoorPhase;
///
///     fn handle(&mut self, next: DoorPhase, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
///         self.phase.enter(next)
///     }
/// }
///
/// let mut coverage = Coverage::default();
/// coverage.collect(|| {
///     let mut engine = Engine::<Door, _>::open(Memory::new(), Settings::default()).unwrap();
///     engine.send(&Id::<Door>::new(()), DoorPhase::Open, Time::from_secs(1)).unwrap();
/// });
/// assert_eq!(coverage.never_taken::<DoorPhase>(), [("Open", "Closed")]);
/// assert_eq!(coverage.to_string(), "DoorPhase: 1 of 2 moves taken; never taken: Open → Closed");
/// let error = coverage.expect_all_but::<DoorPhase>(&[]).unwrap_err();
/// assert_eq!(error, "DoorPhase: expected every move to be taken, or to be named as one that isn't: Open → Closed");
/// assert_eq!(coverage.expect_all_but::<DoorPhase>(&[("Open", "Closed")]), Ok(()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// In the order of their names; two enums may have the same.
    charts: Vec<(&'static Chart, BTreeMap<Move, u64>)>,
}

thread_local! {
    /// What the event in progress has moved, and where that is added once it commits.
    static EVENT: RefCell<Vec<(&'static Chart, Move)>> = const { RefCell::new(Vec::new()) };
    static COLLECTED: RefCell<Option<Coverage>> = const { RefCell::new(None) };
}

/// Notes a move of the event in progress, if anybody collects them.
pub(super) fn note(chart: &'static Chart, from: usize, to: usize) {
    if COLLECTED.with_borrow(Option::is_some) {
        EVENT.with_borrow_mut(|moves| moves.push((chart, (from, to))));
    }
}

/// An event begins: what the one before it has left was undone.
pub(crate) fn begin_event() {
    EVENT.with_borrow_mut(Vec::clear);
}

/// The event is committed: what it moved stands, unless the commit only uses up an input that was rejected.
pub(crate) fn end_event(stands: bool) {
    let moves = EVENT.take();
    if !stands {
        return;
    }
    COLLECTED.with_borrow_mut(|collected| {
        if let Some(collected) = collected {
            moves.into_iter().for_each(|(chart, taken)| collected.add_move(chart, taken, 1));
        }
    });
}

impl Coverage {
    /// Counts what is committed on this thread while `run` runs.
    pub fn collect<T>(&mut self, run: impl FnOnce() -> T) -> T {
        /// Puts back what was collected around it, also after a panic.
        struct Around(Option<Coverage>);
        impl Drop for Around {
            fn drop(&mut self) {
                COLLECTED.set(self.0.take());
            }
        }
        let around = Around(COLLECTED.replace(Some(Self::default())));
        let outcome = run();
        let collected = COLLECTED.take().unwrap_or_default();
        drop(around);
        self.add(&collected);
        // Whoever collects around this counts it as well.
        COLLECTED.with_borrow_mut(|outer| {
            if let Some(outer) = outer {
                outer.add(&collected);
            }
        });
        outcome
    }

    fn add_move(&mut self, chart: &'static Chart, taken: Move, count: u64) {
        let at = self.charts.iter().position(|(known, _)| *known == chart).unwrap_or_else(|| {
            let at = self.charts.partition_point(|(known, _)| known.name <= chart.name);
            self.charts.insert(at, (chart, BTreeMap::new()));
            at
        });
        if let Some((_, moves)) = self.charts.get_mut(at) {
            *moves.entry(taken).or_default() += count;
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (chart, moves) in &other.charts {
            moves.iter().for_each(|(taken, count)| self.add_move(chart, *taken, *count));
        }
    }

    /// How often this move was taken, by the names of the phases.
    pub fn taken<P: Phases>(&self, from: &str, to: &str) -> u64 {
        let place = |name| P::CHART.phases.iter().position(|phase| phase.name == name);
        let (Some(from), Some(to)) = (place(from), place(to)) else { return 0 };
        self.moves(P::CHART).and_then(|moves| moves.get(&(from, to))).copied().unwrap_or(0)
    }

    /// The moves of an enum that were never taken, in the order of their declaration.
    pub fn never_taken<P: Phases>(&self) -> Vec<(&'static str, &'static str)> {
        self.untaken(P::CHART)
    }

    /// The phases of an enum that no move has entered, and in which no machine begins.
    pub fn never_entered<P: Phases>(&self) -> Vec<&'static str> {
        self.unentered(P::CHART)
    }

    /// Checks that every move of an enum was taken but these, which weren't: a list of exceptions stays true.
    ///
    /// # Errors
    /// Names the moves that are missing on either side.
    pub fn expect_all_but<P: Phases>(&self, exceptions: &[(&str, &str)]) -> Result<(), String> {
        let (chart, never) = (P::CHART, self.untaken(P::CHART));
        let missing: Vec<_> = never.iter().filter(|untaken| !exceptions.contains(untaken)).copied().collect();
        if !missing.is_empty() {
            let (name, missing) = (chart.name, listed(&missing));
            return Err(format!(
                "{name}: expected every move to be taken, or to be named as one that isn't: {missing}"
            ));
        }
        let taken: Vec<_> = exceptions.iter().filter(|exception| !never.contains(exception)).copied().collect();
        if taken.is_empty() {
            return Ok(());
        }
        let (name, taken) = (chart.name, listed(&taken));
        Err(format!("{name}: expected these not to be taken, or not to be moves; take them from the list: {taken}"))
    }

    /// The chart as in [`Chart::mermaid`], with what was never entered in another colour, and how often each move was taken.
    pub fn mermaid<P: Phases>(&self) -> String {
        let chart = P::CHART;
        let mut text =
            chart.mermaid_with(&|chart, from, to| match self.moves(chart).and_then(|moves| moves.get(&(from, to))) {
                Some(count) => format!(" : {count} ×"),
                None => " : never taken".to_owned(),
            });
        text.push_str("    classDef never fill:#fdd,stroke:#c33,color:#600\n");
        for phase in self.unentered(chart) {
            // Writing to a string can't fail.
            let _ = writeln!(text, "    class {phase} never");
        }
        text
    }

    /// The chart as in [`Chart::svg`], with the moves that were never taken, and the phases that were never entered, in red: also of those
    /// inside.
    pub fn svg<P: Phases>(&self) -> String {
        let taken = |chart: &Chart, one: Move| self.moves(chart).is_some_and(|moves| moves.contains_key(&one));
        P::CHART.svg_with(&|chart, from, to| match from {
            Some(from) => !taken(chart, (from, to)),
            None => chart.phases.get(to).is_some_and(|phase| self.unentered(chart).contains(&phase.name)),
        })
    }

    fn moves(&self, chart: &Chart) -> Option<&BTreeMap<Move, u64>> {
        self.charts.iter().find(|(known, _)| *known == chart).map(|(_, moves)| moves)
    }

    fn untaken(&self, chart: &Chart) -> Vec<(&'static str, &'static str)> {
        let taken = self.moves(chart);
        let all =
            chart.phases.iter().enumerate().flat_map(|(from, phase)| phase.next.iter().map(move |to| (from, *to)));
        let never = all.filter(|one| !taken.is_some_and(|taken| taken.contains_key(one)));
        let name = |place: usize| chart.phases.get(place).map_or("", |phase| phase.name);
        never.map(|(from, to)| (name(from), name(to))).collect()
    }

    fn unentered(&self, chart: &Chart) -> Vec<&'static str> {
        let taken = self.moves(chart);
        let entered = |place: usize| taken.is_some_and(|taken| taken.keys().any(|(_, to)| *to == place));
        let never = chart.phases.iter().enumerate().filter(|(place, _)| !chart.begins_in(*place) && !entered(*place));
        never.map(|(_, phase)| phase.name).collect()
    }
}

fn listed(moves: &[(&str, &str)]) -> String {
    moves.iter().map(|(from, to)| format!("{from} → {to}")).collect::<Vec<_>>().join(", ")
}

/// A line for each enum that moved.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (chart, moves)) in self.charts.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n" };
            let all: usize = chart.phases.iter().map(|phase| phase.next.len()).sum();
            write!(f, "{line}{}: {} of {all} moves taken", chart.name, moves.len())?;
            let never = self.untaken(chart);
            if !never.is_empty() {
                write!(f, "; never taken: {}", listed(&never))?;
            }
        }
        Ok(())
    }
}
