//! The suites, one for each question.
//!
//! Invariant: a suite has a process of its own, so that none finds the heap as another one has left it.

mod callers;
mod commit;
mod dispatch;
mod event;
mod growth;
mod memory;
mod orders;
mod payment;
mod recover;
mod serialize;
mod size;

use crate::effort::Effort;
use crate::report::Report;
use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// What a message costs.
    Dispatch,
    /// What an event costs that changes two of many objects.
    Event,
    /// What an event costs among more and more objects.
    Size,
    /// Durable events a second.
    Commit,
    /// Durable commands of callers.
    Callers,
    /// Opening a large state, and what a snapshot of it costs.
    Recover,
    /// What an object costs beside itself.
    Memory,
    /// Objects as text.
    Serialize,
    /// More and more of everything.
    Growth,
    /// Payments over twelve nodes.
    Payment,
    /// Orders of many clients of a service.
    Orders,
}

impl Suite {
    /// In the order in which they are shown.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its name on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// The head of its section.
    pub fn title(self) -> &'static str {
        match self {
            Self::Dispatch => "A message",
            Self::Event => "An event",
            Self::Size => "An event among more and more objects",
            Self::Commit => "Durable events",
            Self::Callers => "Commands of callers",
            Self::Recover => "Opening a state, and snapshots",
            Self::Memory => "Memory",
            Self::Serialize => "Objects as text",
            Self::Growth => "More and more of everything",
            Self::Payment => "Payments",
            Self::Orders => "Orders over HTTP",
        }
    }

    /// Measures.
    pub fn run(self, effort: Effort) -> Report {
        match self {
            Self::Dispatch => dispatch::run(effort),
            Self::Event => event::run(effort),
            Self::Size => size::run(effort),
            Self::Commit => commit::run(effort),
            Self::Callers => callers::run(effort),
            Self::Recover => recover::run(effort),
            Self::Memory => memory::run(effort),
            Self::Serialize => serialize::run(effort),
            Self::Growth => growth::run(effort),
            Self::Payment => payment::run(effort),
            Self::Orders => orders::run(effort),
        }
    }
}

/// What needs a process of its own within a suite, and prints a figure.
#[derive(Subcommand)]
pub enum Turn {
    /// Opens a state once.
    #[command(hide = true)]
    Open {
        /// Which contender.
        contender: usize,
        /// The directory of the state.
        directory: PathBuf,
    },
    /// Fills one container.
    #[command(hide = true)]
    Hold {
        /// Which container.
        container: memory::Container,
        /// With how many objects.
        objects: u64,
    },
    /// Answers callers for a while.
    #[command(hide = true)]
    Call {
        /// Who answers.
        contender: callers::Contender,
        /// How many callers there are.
        callers: u64,
        /// How many accounts there are.
        accounts: u64,
        /// For how long.
        milliseconds: u64,
        /// The directory of the state.
        directory: PathBuf,
    },
    /// Measures so many of something.
    #[command(hide = true)]
    Grow {
        /// What is done.
        step: growth::Step,
        /// What there is.
        what: growth::What,
        /// How many of it.
        count: u64,
        /// The directory of the state.
        directory: PathBuf,
    },
    /// Handles events whose instructions are counted.
    #[command(hide = true)]
    Instructions {
        /// How many objects there are, and how events end.
        arguments: Vec<String>,
    },
}

impl Turn {
    /// Takes the turn.
    pub fn take(self) {
        match self {
            Self::Open { contender, directory } => recover::open_once(contender, &directory),
            Self::Hold { container, objects } => memory::hold(container, objects),
            Self::Call { contender, callers, accounts, milliseconds, directory } => {
                callers::turn(contender, callers, accounts, milliseconds, &directory);
            }
            Self::Grow { step, what, count, directory } => growth::turn(step, what, count, &directory),
            Self::Instructions { arguments } => amiko_benches::instructions::run(&arguments),
        }
    }
}
