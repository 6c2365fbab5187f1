//! The result of an exploration, and paths for people to read.
//!
//! Invariant: each path begins with the initial state, and names every action on it.

use crate::{Action, WorldModel, WorldState};
use amiko_core::conversation::Protocol;
use amiko_core::serializable::Serializable;
use amiko_core::sim::Coverage;
use stateright::{Checker, Expectation, Model, Path};
use std::collections::BTreeSet;
use std::fmt::{self, Write};
use std::num::NonZeroUsize;

/// The result of exploring a [`WorldModel`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exploration {
    /// Different states of the world.
    pub states: usize,
    /// Transitions between them.
    pub steps: usize,
    /// Actions on the longest path by which a state was first reached.
    pub depth: usize,
    /// Different states of single nodes.
    pub node_states: usize,
    /// The moves of phases in the different steps of single nodes.
    pub coverage: Coverage,
    /// All reasons for which any node has rejected something.
    pub rejections: BTreeSet<String>,
    /// The properties that don't hold, each with the path to a state that shows it.
    pub failures: Vec<Failure>,
}

/// A property that doesn't hold.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// Its name.
    pub property: &'static str,
    /// The actions on the path to a state that shows it, one line each, and that state. Empty for a `sometimes` property.
    pub way: String,
}

impl fmt::Display for Exploration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, steps, depth, node_states, .. } = self;
        write!(f, "{states} states of the world, {node_states} of single nodes, {steps} steps, {depth} deep: ")?;
        if self.failures.is_empty() {
            f.write_str("all properties hold")?;
        } else {
            write!(f, "{} properties don't hold", self.failures.len())?;
        }
        self.coverage.to_string().lines().try_for_each(|line| write!(f, "\n{line}"))?;
        self.failures.iter().try_for_each(|failure| write!(f, "\n\n{}:\n{}", failure.property, failure.way))
    }
}

impl<P: Protocol> WorldModel<P> {
    /// Visits every state that can be reached, breadth first, on as many threads as there are cores.
    ///
    /// # Panics
    /// Two properties have the same name; or a property panics.
    pub fn explore(self) -> Exploration
    where
        Self: Send + Sync,
        WorldState<P::Node>: Send + Sync,
    {
        let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let checker = self.checker().threads(threads).spawn_bfs().join();
        let model = checker.model();
        let mut found = checker.discoveries();
        let failures = model.properties.iter().filter_map(|property| {
            let path = found.remove(property.name);
            let way = match (&property.expectation, path) {
                (Expectation::Sometimes, None) => String::new(),
                (Expectation::Always | Expectation::Eventually, Some(path)) => model.describe(path),
                _ => return None,
            };
            Some(Failure { property: property.name, way })
        });
        Exploration {
            states: checker.unique_state_count(),
            steps: checker.state_count(),
            depth: checker.max_depth(),
            node_states: model.nodes.count(),
            coverage: model.nodes.coverage(),
            rejections: model.nodes.rejections(),
            failures: failures.collect(),
        }
    }

    /// A path through the world, a line for each action, and the state that it leads to.
    pub fn describe(&self, path: Path<WorldState<P::Node>, Action>) -> String {
        let mut text = String::new();
        let mut last = None;
        for (number, (state, action)) in path.into_vec().into_iter().enumerate() {
            if let Some(action) = action {
                // Writing to a string can't fail.
                let _ = writeln!(text, "{:4}. {}", number + 1, self.describe_action(&state, &action));
            }
            last = Some(state);
        }
        for (node, state) in last.iter().flat_map(|state| self.addresses.iter().zip(&state.nodes)) {
            let _ = writeln!(text, "      {node}: {}", state.text);
        }
        if let Some(broken) = last.and_then(|state| state.broken) {
            let _ = writeln!(text, "      the engine has broken a promise: {broken}");
        }
        text
    }

    fn describe_action(&self, state: &WorldState<P::Node>, action: &Action) -> String {
        let name = |node: &usize| self.addresses.get(*node).map_or("nobody", |address| address);
        match action {
            Action::Choose { choice } => {
                let chosen = self.choices.get(*choice);
                chosen.map_or_else(String::new, |choice| format!("{} at {}", choice.name, name(&choice.node)))
            }
            Action::Tick { node } => format!("timers of {} fire", name(node)),
            Action::Answer { node, effect, outcome } => {
                format!("the effect {effect} of {} has the outcome {outcome}", name(node))
            }
            Action::Dial { node, connection } => format!("{} dials on connection {connection}", name(node)),
            Action::Deliver { node, connection, lost } => {
                let end = (*node, amiko_core::tree::Id::new(connection.clone()));
                let to = state.sockets.get(&end).map_or("nobody", |(peer, _)| name(peer));
                let line = state.nodes.get(*node).and_then(|node| node.waiting.get(&end.1));
                let message = line.and_then(|line| line.message.class()).unwrap_or("a message");
                let lost = if *lost { ", and the socket breaks before the confirmation is back" } else { "" };
                format!("{message} from {} reaches {to}{lost}", name(node))
            }
            Action::Crash { node } => format!("{} crashes", name(node)),
            Action::Restart { node } => format!("{} starts again", name(node)),
            Action::Wait => {
                let passed = self.follow(state, action).map_or_else(Default::default, |next| next.now - state.now);
                format!("{} seconds pass", passed.as_secs_f64())
            }
        }
    }
}
