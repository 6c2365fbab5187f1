//! Timers and connections: kept beside the state of the node, never inside it.
//!
//! Invariant: after every change and every rollback, `due` and `lingering` hold exactly the deadlines of the timers
//! and connections in the tables.

mod connection;
mod resumption;
mod timer;

pub use connection::Connection;
pub use resumption::{Conflict, Older, ResumePoint};
pub use timer::Timer;

use crate::rejection::Rejection;
use crate::sabotage::{Sabotage, sabotaged};
use crate::serializable::{Key, Patch, WriteError, each_escaped};
use crate::time::Time;
use crate::tree::{EngineOnly, EngineTable, Id, Object, Sliced, Table, TableUndo, Touched, Tree};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The state of the dispatcher before one event.
pub(crate) struct DispatcherUndo<N: Tree> {
    timers: TableUndo<Timer<N>>,
    connections: TableUndo<Connection<N>>,
}

impl<N: Tree> DispatcherUndo<N> {
    /// Ends an event of these tables: returns their state before it.
    #[inline]
    pub(crate) fn of(timers: &mut Table<Timer<N>>, connections: &mut Table<Connection<N>>, only: &EngineOnly) -> Self {
        Self { timers: timers.take_undo(only), connections: connections.take_undo(only) }
    }

    /// Visits everything that the event touched in these tables.
    pub(crate) fn visit_touched(
        &self,
        timers: &Table<Timer<N>>,
        connections: &Table<Connection<N>>,
        visit: &mut dyn FnMut(Touched<'_>),
    ) {
        timers.visit_touched(&self.timers, visit);
        connections.visit_touched(&self.connections, visit);
    }
}

/// Timers and connections, with their deadlines in order.
pub(crate) struct Dispatcher<N: Tree> {
    timers: Table<Timer<N>>,
    connections: Table<Connection<N>>,
    due: BTreeSet<(Time, Id<Timer<N>>)>,
    lingering: BTreeSet<(Time, Id<Connection<N>>)>,
}

/// The owner of a deadline.
pub(crate) enum Due<N: Tree> {
    Timer(Id<Timer<N>>),
    Connection(Id<Connection<N>>),
}

/// Maximum number of a peer's unconfirmed messages: a number that is this far beyond the next one was never sent.
pub(crate) const WINDOW: u64 = 1 << 15;

/// Whether a message from a peer is the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    Next,
    /// It has been processed already.
    Repeated,
    /// This many messages before it are missing.
    Gap(u64),
    /// Its number is higher than any peer can have reached.
    Future,
}

impl<N: Tree> Dispatcher<N> {
    pub(crate) fn new(timers: Table<Timer<N>>, connections: Table<Connection<N>>) -> Self {
        let mut dispatcher = Self { timers, connections, due: BTreeSet::new(), lingering: BTreeSet::new() };
        dispatcher.order_deadlines();
        dispatcher
    }

    pub(crate) fn timers(&self) -> &Table<Timer<N>> {
        &self.timers
    }

    pub(crate) fn connections(&self) -> &Table<Connection<N>> {
        &self.connections
    }

    /// The first deadline.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let timer = self.due.first().map(|(at, _)| *at);
        let connection = self.lingering.first().map(|(at, _)| *at);
        timer.into_iter().chain(connection).min()
    }

    /// The first deadline that isn't after `now`; at the same moment, timers come before connections.
    pub(crate) fn due(&self, now: Time) -> Option<Due<N>> {
        let at = self.next_due().filter(|at| *at <= now)?;
        let timer = self.due.first().filter(|(first, _)| *first == at).map(|(_, id)| Due::Timer(id.clone()));
        timer.or_else(|| self.lingering.first().map(|(_, id)| Due::Connection(id.clone())))
    }

    pub(crate) fn set_timer<M: Object>(
        &mut self,
        owner: &Id<M>,
        name: &str,
        at: Time,
        envelope: N::Envelope,
        limit: usize,
    ) -> Result<(), Rejection> {
        let id = timer_id(owner, name);
        self.remove_timer(&id);
        if self.timers.len() >= limit {
            return Err(Rejection::new(format!("expected at most {limit} timers, found more")));
        }
        self.timers.insert(&id, Timer { at, envelope });
        self.due.insert((at, id));
        Ok(())
    }

    pub(crate) fn cancel_timer<M: Object>(&mut self, owner: &Id<M>, name: &str) {
        self.remove_timer(&timer_id(owner, name));
    }

    pub(crate) fn remove_timer(&mut self, id: &Id<Timer<N>>) {
        if let Some(timer) = self.timers.get(id) {
            self.due.remove(&(timer.at, id.clone()));
            self.timers.remove(id);
        }
    }

    /// Cancels every timer of a removed object.
    pub(crate) fn cancel_all<M: Object>(&mut self, owner: &Id<M>) {
        let prefix = timer_id(owner, "");
        let owned = |id: &Id<Timer<N>>| id.key().starts_with(prefix.key());
        let ids: Vec<_> = self.timers.ids_from(&prefix).take_while(owned).collect();
        for id in ids {
            self.remove_timer(&id);
        }
    }

    /// Returns whether the connection is new, or has another address to dial.
    pub(crate) fn connect(
        &mut self,
        id: &Id<Connection<N>>,
        dial: Option<&str>,
        limit: usize,
    ) -> Result<bool, Rejection> {
        if let Some(connection) = self.connections.get(id) {
            let same = connection.dial.as_deref() == dial && connection.closing.is_none();
            if !same {
                let old = connection.closing;
                self.lingering.retain(|(at, other)| Some(*at) != old || other != id);
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.dial = dial.map(str::to_owned);
                    connection.closing = None;
                }
            }
            return Ok(!same);
        }
        if self.connections.len() >= limit {
            return Err(Rejection::new(format!("expected at most {limit} connections, found more")));
        }
        self.connections.insert(id, Connection { dial: dial.map(str::to_owned), ..Connection::default() });
        Ok(true)
    }

    pub(crate) fn transmit(
        &mut self,
        id: &Id<Connection<N>>,
        message: N::Network,
        limit: usize,
    ) -> Result<(u64, Arc<N::Network>), Rejection> {
        let Some(connection) = self.connections.get_mut(id) else {
            return Err(Rejection::new(format!("expected {id} to transmit over, found none")));
        };
        if connection.outbox.len() >= limit {
            let reason = format!("expected at most {limit} unconfirmed messages on {id}, found more");
            return Err(Rejection::new(reason));
        }
        let (index, message) = (connection.sent, Arc::new(message));
        connection.outbox.insert(index, Arc::clone(&message));
        connection.sent += 1;
        if sabotaged(Sabotage::OutboxReordered) {
            let before = index.checked_sub(1).and_then(|before| connection.outbox.get(&before).cloned());
            if let Some(before) = before {
                connection.outbox.insert(index - 1, Arc::clone(&message));
                connection.outbox.insert(index, before);
            }
        }
        Ok((index, message))
    }

    /// Returns whether the connection is removed at once.
    pub(crate) fn close(&mut self, id: &Id<Connection<N>>, deadline: Time) -> bool {
        let Some(connection) = self.connections.get(id) else { return false };
        // In a conflict there is nothing to wait for either.
        if connection.outbox.is_empty() || connection.conflict.is_some() {
            return self.drop_connection(id);
        }
        if connection.closing.is_none() {
            self.lingering.insert((deadline, id.clone()));
            if let Some(connection) = self.connections.get_mut(id) {
                connection.closing = Some(deadline);
            }
        }
        false
    }

    /// Removes a connection with the rest of its outbox.
    pub(crate) fn drop_connection(&mut self, id: &Id<Connection<N>>) -> bool {
        if let Some(at) = self.connections.get(id).and_then(|connection| connection.closing) {
            self.lingering.remove(&(at, id.clone()));
        }
        self.connections.remove(id)
    }

    /// Removes the messages that a peer has confirmed: all up to and including `index`. Returns whether the
    /// connection is removed with the last of them.
    pub(crate) fn confirm(&mut self, id: &Id<Connection<N>>, index: u64) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        while let Some((&sent, _)) = connection.outbox.first_key_value().filter(|(sent, _)| **sent <= index) {
            connection.outbox.remove(&sent);
        }
        let done = connection.closing.is_some() && connection.outbox.is_empty();
        done && self.drop_connection(id)
    }

    /// Classifies the number of a message from a peer.
    pub(crate) fn arrival(&self, id: &Id<Connection<N>>, index: u64) -> Option<Arrival> {
        let received = self.connections.get(id)?.received;
        Some(match index.cmp(&received) {
            std::cmp::Ordering::Equal => Arrival::Next,
            std::cmp::Ordering::Less => Arrival::Repeated,
            std::cmp::Ordering::Greater if index - received >= WINDOW => Arrival::Future,
            std::cmp::Ordering::Greater => Arrival::Gap(index - received),
        })
    }

    /// Suspends a connection, or resumes it.
    pub(crate) fn set_conflict(&mut self, id: &Id<Connection<N>>, conflict: Option<Conflict>) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.conflict = conflict;
        }
    }

    /// Advances the cursor of an inbox past the message that is being processed.
    pub(crate) fn advance(&mut self, id: &Id<Connection<N>>) {
        if sabotaged(Sabotage::NoInboxCursor) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(id) {
            connection.received += 1;
        }
    }

    /// The tables, for writing in slices.
    pub(crate) fn slices(&mut self, only: &EngineOnly) -> [Sliced<'_>; 2] {
        [self.timers.sliced(only), self.connections.sliced(only)]
    }

    /// Lends its tables.
    pub(crate) fn take_tables(&mut self) -> (Table<Timer<N>>, Table<Connection<N>>) {
        (std::mem::take(&mut self.timers), std::mem::take(&mut self.connections))
    }

    /// Takes its tables back, with any changes to them.
    pub(crate) fn put_tables(&mut self, timers: Table<Timer<N>>, connections: Table<Connection<N>>) {
        (self.timers, self.connections) = (timers, connections);
        self.order_deadlines();
    }

    /// Rebuilds the deadlines from the tables.
    pub(crate) fn order_deadlines(&mut self) {
        self.due = self.timers.iter().map(|(id, timer)| (timer.at, id)).collect();
        let closing = |(id, connection): (_, &Connection<N>)| Some((connection.closing?, id));
        self.lingering = self.connections.iter().filter_map(closing).collect();
    }

    pub(crate) fn take_undo(&mut self, only: &EngineOnly) -> DispatcherUndo<N> {
        DispatcherUndo::of(&mut self.timers, &mut self.connections, only)
    }

    pub(crate) fn roll_back(&mut self, undo: &DispatcherUndo<N>, only: &EngineOnly) {
        for (key, old) in undo.timers.first_touches() {
            let id = Id::new(key.clone());
            if let Some(timer) = self.timers.get(&id) {
                self.due.remove(&(timer.at, id.clone()));
            }
            self.due.extend(old.map(|timer| (timer.at, id)));
        }
        for (key, old) in undo.connections.first_touches() {
            let id = Id::new(key.clone());
            if let Some(at) = self.connections.get(&id).and_then(|connection| connection.closing) {
                self.lingering.remove(&(at, id.clone()));
            }
            self.lingering.extend(old.and_then(|connection| Some((connection.closing?, id))));
        }
        self.timers.roll_back(&undo.timers, only);
        if sabotaged(Sabotage::RollbackMissesATable) {
            return;
        }
        self.connections.roll_back(&undo.connections, only);
    }

    /// Visits every timer and connection that an event touched.
    pub(crate) fn visit_touched(&self, undo: &DispatcherUndo<N>, visit: &mut dyn FnMut(Touched<'_>)) {
        undo.visit_touched(&self.timers, &self.connections, visit);
    }

    #[inline]
    pub(crate) fn difference_since(&self, undo: &DispatcherUndo<N>, patch: &mut Patch) -> Result<(), WriteError> {
        // Most events touch neither.
        if undo.timers.is_empty() && undo.connections.is_empty() {
            return Ok(());
        }
        self.timers.difference_since("/timers", &undo.timers, patch)?;
        self.connections.difference_since("/connections", &undo.connections, patch)
    }
}

/// `kind/key/name`, so that the timers of one owner are adjacent.
fn timer_id<N: Tree, M: Object>(owner: &Id<M>, name: &str) -> Id<Timer<N>> {
    owner.key().with_text(|owner| {
        let mut key = String::with_capacity(M::KIND.len() + owner.len() + name.len() + 2);
        // Escaped like segments of a JSON Pointer: a slash in a kind or a key can't make one owner's timers look like
        // another's. The name comes last, and may contain anything.
        each_escaped(M::KIND, |piece| key.push_str(piece));
        key.push('/');
        each_escaped(owner, |piece| key.push_str(piece));
        key.push('/');
        key.push_str(name);
        Id::new(key)
    })
}
