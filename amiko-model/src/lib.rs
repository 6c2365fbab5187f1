//! Every order of events: a small world for the model checker [`stateright`].
//!
//! A [`World`](https://docs.rs/amiko-core/latest/amiko_core/sim/struct.World.html) takes one of many paths, drawn from
//! a seed. A [`WorldModel`] takes all paths: it visits every state that a few nodes can reach, whichever message,
//! timer, choice of a user or fault comes next, and shows the path to a state that violates a property.
//!
//! Invariant: every node runs in an [`Engine`](amiko_core::Engine), with the same handlers as in production.
//!
//! ```
//! use amiko_model::{FaultLimits, WorldModel, WorldState, stateright::Property};
//! use amiko_core::{Protocol, PublicKey, Acceptance, prelude::*};
//!
//! /// A purse, and the connection to another one.
//! #[derive(Clone, Default, Serializable, Node)]
//! #[amiko(machine, network = Said)]
//! struct Purse { coins: u64 }
//!
//! #[derive(Clone, Serializable)]
//! enum Said { Hello, Coin }
//!
//! #[derive(Clone, Serializable)]
//! enum PurseMessage { Meet { at: Option<String> }, Give, Take }
//!
//! impl StateMachine for Purse {
//!     type Node = Self;
//!     type Message = PurseMessage;
//!
//!     fn handle(&mut self, message: PurseMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
//!         match message {
//!             PurseMessage::Meet { at } => cx.connect(&Id::new("other"), at.as_deref()),
//!             PurseMessage::Give => {
//!                 self.coins = self.coins.checked_sub(1).ok_or(Rejection::new("expected a coin, found none"))?;
//!                 cx.transmit(&Id::new("other"), Said::Coin);
//!             }
//!             PurseMessage::Take => self.coins += 1,
//!         }
//!         Ok(())
//!     }
//! }
//!
//! struct Purses;
//!
//! impl Protocol for Purses {
//!     type Node = Purse;
//!
//!     fn hello(&self, _: &Purse, _: &Id<Connection<Purse>>, _: [u8; 4]) -> Result<Said, Rejection> {
//!         Ok(Said::Hello)
//!     }
//!
//!     fn accept(&self, _: &Purse, _: Option<PublicKey>, _: Said) -> Result<Acceptance<Purse>, Rejection> {
//!         Ok(Acceptance { connection: Id::new("other"), tie_breaker: None, event: None })
//!     }
//!
//!     fn envelope(&self, _: &Purse, _: &Id<Connection<Purse>>, said: Said) -> Result<PurseEnvelope, Rejection> {
//!         match said {
//!             Said::Coin => Ok(PurseEnvelope::Purse(PurseMessage::Take)),
//!             Said::Hello => Err(Rejection::new("expected a coin, found a second hello")),
//!         }
//!     }
//! }
//!
//! let mut model = WorldModel::new(Purses);
//! for (address, at) in [("one", Some("two")), ("two", None)] {
//!     let node = model.add(address, Purse { coins: 2 })?;
//!     model.command(node, &PurseEnvelope::Purse(PurseMessage::Meet { at: at.map(str::to_owned) }))?;
//! }
//! // From here on, everything in every order.
//! for name in ["a first coin", "a second coin"] {
//!     model.choice(name, 0, PurseEnvelope::Purse(PurseMessage::Give))?;
//! }
//! model.set_fault_limits(FaultLimits { crashes: 1, losses: 1, ..FaultLimits::default() });
//! model.property(Property::always("no coin is made", |_, state: &WorldState<Purse>| {
//!     state.nodes().map(|purse| purse.coins).sum::<u64>() <= 4
//! }));
//! model.property(Property::eventually("both coins arrive", |_, state: &WorldState<Purse>| {
//!     state.nodes().map(|purse| purse.coins).eq([0, 4])
//! }));
//! let found = model.explore();
//! assert!(found.failures.is_empty(), "{found}");
//! println!("{found}"); // 80 states of the world, …: all properties hold
//! # assert_eq!(found.states, 80);
//! # Ok::<(), amiko_model::SetupError>(())
//! ```
//!
//! # What happens in a model
//!
//! A state consists of the disks of all nodes, the open sockets, and the time. There is no queue: messages under way
//! are in the outboxes, unconfirmed. Each [`Action`] that is possible may come next:
//!
//! - the first unconfirmed message of a connection arrives, is synced, and is confirmed;
//! - a node dials, and both ends exchange their resume points;
//! - the timers of a node that are due fire;
//! - an effect that is due happens or fails, in each of the ways that [`WorldModel::performer`] names;
//! - a user makes a choice; it can be made as long as the node doesn't reject it;
//! - time passes until the next timer or effect is due on a node that is up, once all that are due have fired. Messages may be
//!   arbitrarily slow, but aren't lost, and no node sleeps: while anything is under way, the clock jumps by at most
//!   [`FaultLimits::delay`]. So an agreed time-out of a day is longer than any message takes, and one of five seconds
//!   isn't. There is one clock;
//! - a fault: a node crashes, and starts again later; or a socket breaks after a message has arrived and before its
//!   confirmation is back. [`FaultLimits`] bounds the number of faults on a path, so there are finitely many states.
//!
//! Three things aren't actions, because each step of a node checks them: a crash between commit and sync leads back to
//! the state before, a crash after the sync leads to the state after it, and a duplicate message or answer does nothing. So
//! crashes between events suffice.
//!
//! A model doesn't contain failing disks, lying peers, differing clocks, or two sockets for one connection. The
//! [`World`](https://docs.rs/amiko-core/latest/amiko_core/sim/struct.World.html) does.
//!
//! # Properties
//!
//! - [`Property::always`]: in every state. Every model also checks that the engine keeps its guarantees.
//! - [`Property::sometimes`]: in at least one. It shows that a model isn't empty.
//! - [`Property::eventually`]: on every path, sooner or later. Use it only for properties that stay true, like "the
//!   payment has ended, and nothing is left over": the checker visits each state once, and doesn't remember on which
//!   path a property was true for a while. It judges a path at its end, in a state without a next action. Each path
//!   ends, because every action advances something that never goes back: a cursor, the clock, or the number of choices
//!   and faults. A node must avoid two things that would break this: timers that keep setting each other for the
//!   current moment, and connections that are closed and opened again without end under the same name at the same
//!   moment.
//!
//! Conditions are plain functions that capture nothing, as `stateright` requires. A [`WorldModel`] is a
//! [`stateright::Model`], so everything else that `stateright` offers works too.
//!
//! # Cost
//!
//! A handler runs once for each state of its node, moment and input; after that the outcome is looked up. A hundred
//! thousand states of the world are a few hundred of each node. Random numbers are derived from the state of the node,
//! so two paths to the same state merge. The number of states grows with what a document remembers of its path:
//! counters, times, logs.

mod exploration;
mod node;
mod outcomes;
mod state;
mod step;

pub use exploration::{Exploration, Failure};
pub use state::{Action, WorldState};
pub use stateright;

use amiko_core::Node;
use amiko_core::conversation::Protocol;
use amiko_core::engine::Document;
use amiko_core::event::Reply;
use amiko_core::secs;
use amiko_core::serializable::{WriteError, to_json};
use amiko_core::tree::Tree;
use node::{Input, Nodes};
use outcomes::Outside;
use stateright::{Model, Property};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The index of a node of a world, in the order in which the nodes were added.
pub type NodeIndex = usize;

/// The faults that may happen on each path of a world.
#[derive(Debug, Clone)]
pub struct FaultLimits {
    /// How many times a node crashes, any of them at any moment. Default 0.
    pub crashes: u32,
    /// How many times a socket breaks after a message has arrived, and before its confirmation is back. Default 0.
    pub losses: u32,
    /// The nodes that may stay down for any time. All others start again before a timer fires that is further away than
    /// `delay`. Default none.
    pub absent: Vec<NodeIndex>,
    /// How far the clock may jump at a time while anything is under way. Default 5 seconds.
    pub delay: Duration,
}

impl Default for FaultLimits {
    fn default() -> Self {
        Self { crashes: 0, losses: 0, absent: Vec::new(), delay: secs(5) }
    }
}

/// Something that a user may do at any moment, once.
struct Choice<N: Node> {
    name: String,
    node: NodeIndex,
    envelope: N::Envelope,
    text: Arc<str>,
}

/// A small world whose paths are all explored.
pub struct WorldModel<P: Protocol> {
    protocol: P,
    addresses: Vec<String>,
    initial: WorldState<P::Node>,
    choices: Vec<Choice<P::Node>>,
    faults: FaultLimits,
    properties: Vec<Property<Self>>,
    outside: Outside<P::Node>,
    nodes: Nodes<P::Node>,
}

impl<P: Protocol> WorldModel<P> {
    /// An empty world.
    pub fn new(protocol: P) -> Self {
        let engine = Property::<Self>::always("the engine keeps its promises", |_, state| state.broken.is_none());
        Self {
            protocol,
            addresses: Vec::new(),
            initial: WorldState::new(),
            choices: Vec::new(),
            faults: FaultLimits::default(),
            properties: vec![engine],
            outside: Outside::default(),
            nodes: Nodes::new(),
        }
    }

    /// Adds a node that others dial at `address`, as `World::add` of `amiko_core::sim` does.
    ///
    /// # Errors
    /// The node has no exact text.
    pub fn add(&mut self, address: &str, node: P::Node) -> Result<NodeIndex, SetupError> {
        let index = self.initial.nodes.len();
        let state = self.nodes.state(index, Document::new(node)).map_err(SetupError::Write)?;
        self.initial.nodes.push(state);
        self.addresses.push(address.to_owned());
        Ok(index)
    }

    /// Sets the faults that may happen; none by default.
    pub fn set_fault_limits(&mut self, faults: FaultLimits) {
        self.faults = faults;
    }

    /// Lets a node handle a command before the exploration, and returns its replies.
    ///
    /// # Errors
    /// There is no such node, or it rejects the command.
    pub fn command(
        &mut self,
        node: NodeIndex,
        envelope: &<P::Node as Tree>::Envelope,
    ) -> Result<Vec<Reply>, SetupError> {
        let text = to_json(envelope).map_err(SetupError::Write)?.into();
        let before = self.initial.nodes.get_mut(node).ok_or(SetupError::NoNode { node })?;
        let input = Input::Command { envelope, text };
        let taken = self.nodes.take(&self.protocol, node, before, self.initial.now, &input);
        let (outcome, replies) = taken.map_err(|reason| SetupError::Engine { reason: reason.to_string() })?;
        if let Some(reason) = outcome.rejections.into_iter().next() {
            return Err(SetupError::Rejected { reason });
        }
        *before = outcome.after;
        Ok(replies)
    }

    /// Before the exploration, lets everything happen that is under way: in some order, without faults, and without
    /// time passing.
    pub fn settle(&mut self) {
        let mut actions = Vec::new();
        loop {
            actions.clear();
            self.under_way(&self.initial, &mut actions);
            match actions.iter().find_map(|action| self.follow(&self.initial, action)) {
                Some(next) if next.broken.is_none() => self.initial = next,
                _ => break,
            }
        }
    }

    /// Adds a command that a user may give at any moment or never, but not twice. The choice can't be made while the
    /// node rejects it.
    ///
    /// # Errors
    /// The command has no exact text.
    pub fn choice(
        &mut self,
        name: &str,
        node: NodeIndex,
        envelope: <P::Node as Tree>::Envelope,
    ) -> Result<(), SetupError> {
        let text = to_json(&envelope).map_err(SetupError::Write)?.into();
        self.choices.push(Choice { name: name.to_owned(), node, envelope, text });
        Ok(())
    }

    /// Adds a property that must hold always, eventually, or sometimes. Names must be unique.
    pub fn property(&mut self, property: Property<Self>) {
        self.properties.push(property);
    }

    /// The initial state.
    pub fn initial(&self) -> &WorldState<P::Node> {
        &self.initial
    }
}

impl<P: Protocol> Model for WorldModel<P> {
    type State = WorldState<P::Node>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![self.initial.clone()]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, state: &Self::State, action: Action) -> Option<Self::State> {
        self.follow(state, &action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.properties.clone()
    }
}

/// Why a world can't be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// A node or a command has no exact text.
    Write(WriteError),
    /// There is no such node.
    NoNode {
        /// Its number.
        node: NodeIndex,
    },
    /// The node rejects the command.
    Rejected {
        /// Why.
        reason: String,
    },
    /// The engine has broken a guarantee.
    Engine {
        /// Which one.
        reason: String,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(_) => f.write_str("a node or a command can't be written"),
            Self::NoNode { node } => write!(f, "expected a node that was added, found the number {node}"),
            Self::Rejected { reason } => write!(f, "the node rejects the command: {reason}"),
            Self::Engine { reason } => write!(f, "the engine has broken a promise: {reason}"),
        }
    }
}

impl std::error::Error for SetupError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Write(error) => Some(error),
            _ => None,
        }
    }
}
