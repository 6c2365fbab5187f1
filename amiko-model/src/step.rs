//! How one state of the world follows from another.
//!
//! Invariant: an action that changes nothing leads nowhere, so no path contains a cycle because of it.

use crate::NodeIndex;
use crate::node::{Broken, Input, Outcome};
use crate::state::{Action, WorldState};
use crate::{Choice, WorldModel};
use amiko_core::Time;
use amiko_core::conversation::{Protocol, reach};
use amiko_core::dispatcher::Connection;
use amiko_core::serializable::to_json;
use amiko_core::tree::Id;
use amiko_core::tree::Tree;
use std::sync::Arc;

impl<P: Protocol> WorldModel<P> {
    /// The actions that may be possible; some of them change nothing.
    pub(crate) fn possible(&self, state: &WorldState<P::Node>, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        self.under_way(state, actions);
        if self.next_moment(state).is_some() {
            actions.push(Action::Wait);
        }
        let choices = (0..self.choices.len()).filter(|choice| !state.made.contains(choice));
        actions.extend(choices.map(|choice| Action::Choose { choice }));
        actions.extend(self.staying_down(state, true).map(|node| Action::Restart { node }));
        if state.losses < self.faults.losses {
            let messages = state.sockets.keys().filter(|(node, connection)| {
                state.nodes.get(*node).is_some_and(|node| node.waiting.contains_key(connection))
            });
            actions.extend(messages.map(|(node, connection)| {
                let connection = connection.key().clone();
                Action::Deliver { node: *node, connection, lost: true }
            }));
        }
        if state.crashes < self.faults.crashes {
            let up = (0..state.nodes.len()).filter(|node| state.is_up(*node));
            actions.extend(up.map(|node| Action::Crash { node }));
        }
    }

    /// Everything that happens by itself, sooner or later.
    pub(crate) fn under_way(&self, state: &WorldState<P::Node>, actions: &mut Vec<Action>) {
        for (index, node) in state.nodes.iter().enumerate().filter(|(index, _)| state.is_up(*index)) {
            if node.due.is_some_and(|due| due <= state.now) {
                actions.push(Action::Tick { node: index });
            }
            for (id, connection) in node.document.beside.connections.iter() {
                let connected = state.sockets.contains_key(&(index, id.clone()));
                let connection_name = || id.key().clone();
                if connected && node.waiting.contains_key(&id) {
                    actions.push(Action::Deliver { node: index, connection: connection_name(), lost: false });
                } else if !connected && connection.address().is_some() {
                    actions.push(Action::Dial { node: index, connection: connection_name() });
                }
            }
        }
        self.answers(state, actions);
        actions.extend(self.staying_down(state, false).map(|node| Action::Restart { node }));
    }

    /// The nodes that are down: those that may stay down for any time, or the others.
    fn staying_down<'a>(&'a self, state: &'a WorldState<P::Node>, may: bool) -> impl Iterator<Item = NodeIndex> + 'a {
        state.down.iter().copied().filter(move |node| self.faults.absent.contains(node) == may)
    }

    /// When the next timer or effect of a node that is up is due; `None` while a timer is due and hasn't fired.
    fn next_moment(&self, state: &WorldState<P::Node>) -> Option<Time> {
        let up = state.nodes.iter().enumerate().filter(|(index, _)| state.is_up(*index));
        let due = up.filter_map(|(index, node)| [node.due, self.next_effect(state, index)].into_iter().flatten().min());
        due.min().filter(|due| *due > state.now)
    }

    /// The state that an action leads to; `None` if it changes nothing.
    pub(crate) fn follow(&self, state: &WorldState<P::Node>, action: &Action) -> Option<WorldState<P::Node>> {
        let followed = match action {
            Action::Choose { choice } => self.choose(state, *choice),
            Action::Tick { node } => self.tick(state, *node),
            Action::Answer { node, effect, outcome } => self.answer(state, *node, effect, *outcome),
            Action::Dial { node, connection } => self.dial(state, *node, &Id::new(connection.clone())),
            Action::Deliver { node, connection, lost } => {
                self.deliver(state, *node, &Id::new(connection.clone()), *lost)
            }
            Action::Crash { node } => {
                let mut next = WorldState { crashes: state.crashes + 1, ..state.clone() };
                next.down.insert(*node);
                next.disconnect(|(end, _)| end == node);
                Ok(Some(next))
            }
            Action::Restart { node } => {
                let mut next = state.clone();
                Ok(next.down.remove(node).then_some(next))
            }
            Action::Wait => Ok(self.wait(state)),
        };
        followed.unwrap_or_else(|broken| Some(WorldState { broken: Some(broken), ..state.clone() }))
    }

    pub(crate) fn input(
        &self,
        state: &mut WorldState<P::Node>,
        node: NodeIndex,
        input: &Input<'_, P::Node>,
    ) -> Result<Arc<Outcome<P::Node>>, Broken> {
        let none = || Broken::from("there is no such node");
        let before = state.nodes.get_mut(node).ok_or_else(none)?;
        let outcome = self.nodes.step(&self.protocol, node, before, state.now, input)?;
        *before = Arc::clone(&outcome.after);
        state.disconnect(|(end, connection)| *end == node && outcome.closed.contains(connection));
        Ok(outcome)
    }

    fn choose(&self, state: &WorldState<P::Node>, choice: usize) -> Result<Option<WorldState<P::Node>>, Broken> {
        let Some(Choice { node, envelope, text, .. }) = self.choices.get(choice) else { return Ok(None) };
        let mut next = state.clone();
        if !state.is_up(*node) || !next.made.insert(choice) {
            return Ok(None);
        }
        let outcome = self.input(&mut next, *node, &Input::Command { envelope, text: Arc::clone(text) })?;
        Ok(outcome.rejections.is_empty().then_some(next))
    }

    fn tick(&self, state: &WorldState<P::Node>, node: NodeIndex) -> Result<Option<WorldState<P::Node>>, Broken> {
        let mut next = state.clone();
        self.input(&mut next, node, &Input::Tick)?;
        Ok((next != *state).then_some(next))
    }

    fn deliver(
        &self,
        state: &WorldState<P::Node>,
        node: NodeIndex,
        connection: &Id<Connection<P::Node>>,
        lost: bool,
    ) -> Result<Option<WorldState<P::Node>>, Broken> {
        let end = (node, connection.clone());
        let (Some((to, theirs)), Some(sender)) = (state.sockets.get(&end), state.nodes.get(node)) else {
            return Ok(None);
        };
        let Some(line) = sender.waiting.get(connection) else { return Ok(None) };
        let mut next = state.clone();
        let outcome = self.input(&mut next, *to, &Input::Message { connection: theirs, line })?;
        if lost {
            next.losses += 1;
            next.disconnect(|other| *other == end);
        } else if outcome.confirmed {
            self.input(&mut next, node, &Input::Confirmation { connection, index: line.index })?;
        }
        Ok((next != *state).then_some(next))
    }

    fn dial(
        &self,
        state: &WorldState<P::Node>,
        node: NodeIndex,
        ours: &Id<Connection<P::Node>>,
    ) -> Result<Option<WorldState<P::Node>>, Broken> {
        let Some((peer, theirs, event)) = self.accept(state, node, ours) else { return Ok(None) };
        let mut next = state.clone();
        if let Some(envelope) = event {
            let text = to_json(&envelope).map_err(|error| Broken::from(error.to_string()))?.into();
            let outcome = self.input(&mut next, peer, &Input::Command { envelope: &envelope, text })?;
            if !outcome.rejections.is_empty() {
                return Ok(None);
            }
        }
        let standing =
            |node: NodeIndex, connection| next.nodes.get(node).and_then(|node| node.resume_point(connection));
        let (Some(our_standing), Some(their_standing)) = (standing(node, ours), standing(peer, &theirs)) else {
            return Ok((next != *state).then_some(next));
        };
        self.input(&mut next, node, &Input::Resume { connection: ours, theirs: their_standing })?;
        self.input(&mut next, peer, &Input::Resume { connection: &theirs, theirs: our_standing })?;
        // This may have been all that a connection of the other node waited for; and there may be a conflict.
        let usable = |node: NodeIndex, connection| {
            let connections = next.nodes.get(node).map(|node| &node.document.beside.connections);
            connections.and_then(|table| table.get(connection)).is_some_and(|found| found.conflict.is_none())
        };
        if usable(node, ours) && usable(peer, &theirs) {
            next.connect((node, ours.clone()), (peer, theirs));
        }
        Ok((next != *state).then_some(next))
    }

    /// Says hello, and returns the other node's answer.
    #[expect(clippy::type_complexity, reason = "it is what a `Acceptance` says, and whose it is")]
    fn accept(
        &self,
        state: &WorldState<P::Node>,
        node: NodeIndex,
        ours: &Id<Connection<P::Node>>,
    ) -> Option<(NodeIndex, Id<Connection<P::Node>>, Option<<P::Node as Tree>::Envelope>)> {
        let dialler = &state.nodes.get(node)?.document;
        let address = dialler.beside.connections.get(ours)?.address()?;
        let addresses = self.addresses.iter().map(String::as_str);
        let (peer, proven) = reach(addresses, self.addresses.get(node)?, address)?;
        if !state.is_up(peer) {
            return None;
        }
        let answerer = &state.nodes.get(peer)?.document;
        let hello = self.protocol.hello(&dialler.state, ours, [0; 4]).ok()?;
        let welcome = self.protocol.accept(&answerer.state, proven, hello).ok()?;
        let conflict = answerer.beside.connections.get(&welcome.connection).and_then(|connection| connection.conflict);
        conflict.is_none().then_some((peer, welcome.connection, welcome.event))
    }

    fn wait(&self, state: &WorldState<P::Node>) -> Option<WorldState<P::Node>> {
        let moment = self.next_moment(state)?;
        if moment - state.now > self.faults.delay {
            let mut actions = Vec::new();
            self.under_way(state, &mut actions);
            if actions.iter().any(|action| self.follow(state, action).is_some()) {
                return None;
            }
        }
        Some(WorldState { now: moment, ..state.clone() })
    }
}
