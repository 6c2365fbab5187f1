//! Timers, connections, and answers to commands: kept beside the state of the node, never inside it.
//!
//! Invariant: after every change and every rollback, `due`, `lingering` and `answered` hold exactly the deadlines of
//! the timers and connections in the tables, and the times of the answers.

mod answer;
mod beside;
mod connection;
mod pending;
mod repeat;
mod resumption;
mod timer;

pub use answer::Answer;
pub use beside::Beside;
pub(crate) use beside::BesideUndo;
pub use connection::Connection;
pub use pending::Pending;
pub use resumption::{Conflict, Older, ResumePoint};
pub use timer::Timer;

use crate::effect::EffectSet;
use crate::rejection::Rejection;
use crate::sabotage::{Sabotage, sabotaged};
use crate::schedule::Schedule;
use crate::serializable::{Key, Patch, WriteError, each_escaped};
use crate::time::Time;
use crate::tree::{EngineOnly, EngineTable, Id, Object, Sliced, Table, Touched, Tree};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The tables beside the state, with their deadlines in order.
pub(crate) struct Dispatcher<N: Tree> {
    beside: Beside<N>,
    due: BTreeSet<(Time, Id<Timer<N>>)>,
    lingering: BTreeSet<(Time, Id<Connection<N>>)>,
    /// The answers, oldest first.
    answered: BTreeSet<(Time, Id<Answer>)>,
    /// The number of the next effect.
    next_effect: u64,
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
    pub(crate) fn new(beside: Beside<N>) -> Self {
        let (due, lingering, answered) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut dispatcher = Self { beside, due, lingering, answered, next_effect: 0 };
        dispatcher.order_deadlines();
        dispatcher
    }

    /// Its tables.
    pub(crate) fn beside(&self) -> &Beside<N> {
        &self.beside
    }

    pub(crate) fn timers(&self) -> &Table<Timer<N>> {
        &self.beside.timers
    }

    pub(crate) fn connections(&self) -> &Table<Connection<N>> {
        &self.beside.connections
    }

    pub(crate) fn effects(&self) -> &Table<Pending<N>> {
        &self.beside.effects
    }

    /// The first deadline.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let timer = self.due.first().map(|(at, _)| *at);
        let connection = self.lingering.first().map(|(at, _)| *at);
        timer.into_iter().chain(connection).min()
    }

    /// How many deadlines there are.
    pub(crate) fn deadlines(&self) -> usize {
        self.due.len() + self.lingering.len()
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
        self.put_timer(timer_id(owner, name), Timer::once(at, envelope), limit)
    }

    pub(crate) fn repeat<M: Object>(
        &mut self,
        owner: &Id<M>,
        name: &str,
        schedule: Schedule,
        envelope: N::Envelope,
        now: Time,
        limit: usize,
    ) -> Result<(), Rejection> {
        let Some(first) = schedule.next(now) else {
            return Err(Rejection::new(format!("expected a schedule with a run after now, found none of {schedule}")));
        };
        self.put_timer(timer_id(owner, name), Timer::repeating(first, envelope, schedule), limit)
    }

    fn put_timer(&mut self, id: Id<Timer<N>>, timer: Timer<N>, limit: usize) -> Result<(), Rejection> {
        self.remove_timer(&id);
        if self.beside.timers.len() >= limit {
            return Err(Rejection::new(format!("expected at most {limit} timers, found more")));
        }
        let at = timer.at;
        self.beside.timers.insert(&id, timer);
        self.due.insert((at, id));
        Ok(())
    }

    /// Sets a repeating timer to its next run; without one it is over. Its owner hasn't heard of `missed` runs.
    pub(crate) fn set_again(&mut self, id: &Id<Timer<N>>, next: Option<Time>, missed: u64) {
        let Some(next) = next else { return self.remove_timer(id) };
        if let Some(timer) = self.beside.timers.get_mut(id) {
            self.due.remove(&(timer.at, id.clone()));
            timer.again(next, missed);
            self.due.insert((next, id.clone()));
        }
    }

    pub(crate) fn cancel_timer<M: Object>(&mut self, owner: &Id<M>, name: &str) {
        self.remove_timer(&timer_id(owner, name));
    }

    pub(crate) fn remove_timer(&mut self, id: &Id<Timer<N>>) {
        if let Some(timer) = self.beside.timers.get(id) {
            self.due.remove(&(timer.at, id.clone()));
            self.beside.timers.remove(id);
        }
    }

    /// Cancels every timer and every effect of a removed object.
    pub(crate) fn cancel_all<M: Object>(&mut self, owner: &Id<M>) {
        for id in owned(&self.beside.timers, owner) {
            self.remove_timer(&id);
        }
        for id in owned(&self.beside.effects, owner) {
            self.beside.effects.remove(&id);
        }
    }

    /// Keeps an effect until it is over.
    pub(crate) fn perform<M: Object>(
        &mut self,
        owner: &Id<M>,
        name: &str,
        effect: N::Effects,
        key: [u8; 16],
        now: Time,
        limit: usize,
    ) -> Result<(), Rejection> {
        let id = Id::new(owned_key(owner, name));
        if let Some(pending) = self.beside.effects.get(&id) {
            let found = pending.effect.class_name();
            return Err(Rejection::new(format!(
                "expected no effect named {name:?} of {owner}, found {found}, which isn't over: cancel it first, or name this one \
                 otherwise"
            )));
        }
        if self.beside.effects.len() >= limit {
            return Err(Rejection::new(format!("expected at most {limit} effects, found more")));
        }
        let number = self.next_effect;
        self.next_effect += 1;
        let pending = Pending { effect, number, key, since: now, attempts: 0, next: now, error: None };
        self.beside.effects.insert(&id, pending);
        Ok(())
    }

    /// The names of an object's effects that begin like this.
    pub(crate) fn effects_of<M: Object>(&self, owner: &Id<M>, prefix: &str) -> Vec<String> {
        let (all, first) = (owned_key(owner, ""), owned_key(owner, prefix));
        let from = Id::new(first.clone());
        let ids = self.beside.effects.ids_from(&from);
        let names =
            ids.map_while(|id| id.key().starts_with(&first).then(|| id.key().get(all.len()..).map(str::to_owned)));
        names.flatten().collect()
    }

    pub(crate) fn remove_effect(&mut self, id: &Id<Pending<N>>) {
        self.beside.effects.remove(id);
    }

    /// Notes that an attempt has failed, and when the next one may begin.
    pub(crate) fn note_failure(&mut self, id: &Id<Pending<N>>, error: &str, next: Time) {
        if let Some(pending) = self.beside.effects.get_mut(id) {
            pending.attempts = pending.attempts.saturating_add(1);
            pending.error = Some(error.to_owned());
            pending.next = next;
            if sabotaged(Sabotage::EffectKeyChanges) {
                pending.key[0] = pending.key[0].wrapping_add(1);
            }
        }
    }

    /// Returns whether the connection is new, or has another address to dial.
    pub(crate) fn connect(
        &mut self,
        id: &Id<Connection<N>>,
        dial: Option<&str>,
        limit: usize,
    ) -> Result<bool, Rejection> {
        if let Some(connection) = self.beside.connections.get(id) {
            let same = connection.dial.as_deref() == dial && connection.closing.is_none();
            if !same {
                let old = connection.closing;
                self.lingering.retain(|(at, other)| Some(*at) != old || other != id);
                if let Some(connection) = self.beside.connections.get_mut(id) {
                    connection.dial = dial.map(str::to_owned);
                    connection.closing = None;
                }
            }
            return Ok(!same);
        }
        if self.beside.connections.len() >= limit {
            return Err(Rejection::new(format!("expected at most {limit} connections, found more")));
        }
        self.beside.connections.insert(id, Connection { dial: dial.map(str::to_owned), ..Connection::default() });
        Ok(true)
    }

    pub(crate) fn transmit(
        &mut self,
        id: &Id<Connection<N>>,
        message: N::Network,
        limit: usize,
    ) -> Result<(u64, Arc<N::Network>), Rejection> {
        let Some(connection) = self.beside.connections.get_mut(id) else {
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
        let Some(connection) = self.beside.connections.get(id) else { return false };
        // In a conflict there is nothing to wait for either.
        if connection.outbox.is_empty() || connection.conflict.is_some() {
            return self.drop_connection(id);
        }
        if connection.closing.is_none() {
            self.lingering.insert((deadline, id.clone()));
            if let Some(connection) = self.beside.connections.get_mut(id) {
                connection.closing = Some(deadline);
            }
        }
        false
    }

    /// Removes a connection with the rest of its outbox.
    pub(crate) fn drop_connection(&mut self, id: &Id<Connection<N>>) -> bool {
        if let Some(at) = self.beside.connections.get(id).and_then(|connection| connection.closing) {
            self.lingering.remove(&(at, id.clone()));
        }
        self.beside.connections.remove(id)
    }

    /// Removes the messages that a peer has confirmed: all up to and including `index`. Returns whether the
    /// connection is removed with the last of them.
    pub(crate) fn confirm(&mut self, id: &Id<Connection<N>>, index: u64) -> bool {
        let Some(connection) = self.beside.connections.get_mut(id) else { return false };
        while let Some((&sent, _)) = connection.outbox.first_key_value().filter(|(sent, _)| **sent <= index) {
            connection.outbox.remove(&sent);
        }
        let done = connection.closing.is_some() && connection.outbox.is_empty();
        done && self.drop_connection(id)
    }

    /// Classifies the number of a message from a peer.
    pub(crate) fn arrival(&self, id: &Id<Connection<N>>, index: u64) -> Option<Arrival> {
        let received = self.beside.connections.get(id)?.received;
        Some(match index.cmp(&received) {
            std::cmp::Ordering::Equal => Arrival::Next,
            std::cmp::Ordering::Less => Arrival::Repeated,
            std::cmp::Ordering::Greater if index - received >= WINDOW => Arrival::Future,
            std::cmp::Ordering::Greater => Arrival::Gap(index - received),
        })
    }

    /// Suspends a connection, or resumes it.
    pub(crate) fn set_conflict(&mut self, id: &Id<Connection<N>>, conflict: Option<Conflict>) {
        if let Some(connection) = self.beside.connections.get_mut(id) {
            connection.conflict = conflict;
        }
    }

    /// Advances the cursor of an inbox past the message that is being processed.
    pub(crate) fn advance(&mut self, id: &Id<Connection<N>>) {
        if sabotaged(Sabotage::NoInboxCursor) {
            return;
        }
        if let Some(connection) = self.beside.connections.get_mut(id) {
            connection.received += 1;
        }
    }

    /// The tables, for writing in slices.
    pub(crate) fn slices(&mut self, only: &EngineOnly) -> [Sliced<'_>; 4] {
        self.beside.slices(only)
    }

    /// Lends its tables.
    pub(crate) fn take_tables(&mut self) -> Beside<N> {
        std::mem::take(&mut self.beside)
    }

    /// Takes its tables back, with any changes to them.
    pub(crate) fn put_tables(&mut self, beside: Beside<N>) {
        self.beside = beside;
        self.order_deadlines();
    }

    /// Rebuilds the deadlines from the tables.
    pub(crate) fn order_deadlines(&mut self) {
        self.due = self.beside.timers.iter().map(|(id, timer)| (timer.at, id)).collect();
        let closing = |(id, connection): (_, &Connection<N>)| Some((connection.closing?, id));
        self.lingering = self.beside.connections.iter().filter_map(closing).collect();
        self.answered = self.beside.answers.iter().map(|(id, answer)| (answer.at, id)).collect();
        let last = self.beside.effects.iter().map(|(_, pending)| pending.number).max();
        self.next_effect = self.next_effect.max(last.map_or(0, |last| last.saturating_add(1)));
    }

    #[inline]
    pub(crate) fn take_undo(&mut self, only: &EngineOnly) -> BesideUndo<N> {
        self.beside.take_undo(only)
    }

    pub(crate) fn roll_back(&mut self, undo: &BesideUndo<N>, only: &EngineOnly) {
        let Some(undo) = undo.touched() else { return };
        if !sabotaged(Sabotage::TimeOutArmedThoughRolledBack) {
            for (key, old) in undo.timers.first_touches() {
                let id = Id::new(key.clone());
                if let Some(timer) = self.beside.timers.get(&id) {
                    self.due.remove(&(timer.at, id.clone()));
                }
                self.due.extend(old.map(|timer| (timer.at, id)));
            }
            self.beside.timers.roll_back(&undo.timers, only);
        }
        for (key, old) in undo.connections.first_touches() {
            let id = Id::new(key.clone());
            if let Some(at) = self.beside.connections.get(&id).and_then(|connection| connection.closing) {
                self.lingering.remove(&(at, id.clone()));
            }
            self.lingering.extend(old.and_then(|connection| Some((connection.closing?, id))));
        }
        for (key, old) in undo.answers.first_touches() {
            let id = Id::new(key.clone());
            if let Some(answer) = self.beside.answers.get(&id) {
                self.answered.remove(&(answer.at, id.clone()));
            }
            self.answered.extend(old.map(|answer| (answer.at, id)));
        }
        self.beside.answers.roll_back(&undo.answers, only);
        self.beside.effects.roll_back(&undo.effects, only);
        if sabotaged(Sabotage::RollbackMissesATable) {
            return;
        }
        self.beside.connections.roll_back(&undo.connections, only);
    }

    /// Visits every object beside the state that an event touched.
    pub(crate) fn visit_touched(&self, undo: &BesideUndo<N>, visit: &mut dyn FnMut(Touched<'_>)) {
        self.beside.visit_touched(undo, visit);
    }

    #[inline]
    pub(crate) fn difference_since(&self, undo: &BesideUndo<N>, patch: &mut Patch) -> Result<(), WriteError> {
        self.beside.difference_since(undo, patch)
    }

    /// The answer that was given to a command with this key, if it isn't too old.
    pub(crate) fn answer(&self, key: &str, now: Time, age: Duration) -> Option<&Answer> {
        self.beside.answers.get(&Id::new(key)).filter(|answer| answer.at + age > now)
    }

    /// Keeps an answer, and lets go of those that are too old or too many: of a few at a time, so that no event is
    /// large; more than one, so that they do become fewer.
    pub(crate) fn keep_answer(&mut self, key: &str, answer: Answer, limit: usize, age: Duration) {
        const FEW: usize = 16;
        let (id, now) = (Id::new(key), answer.at);
        self.forget_answer(&id);
        self.answered.insert((now, id.clone()));
        self.beside.answers.insert(&id, answer);
        for _ in 0..FEW {
            let Some((at, oldest)) = self.answered.first().cloned() else { return };
            if self.beside.answers.len() <= limit.max(1) && at + age > now {
                return;
            }
            self.forget_answer(&oldest);
        }
    }

    fn forget_answer(&mut self, id: &Id<Answer>) {
        if let Some(answer) = self.beside.answers.get(id) {
            self.answered.remove(&(answer.at, id.clone()));
            self.beside.answers.remove(id);
        }
    }
}

fn timer_id<N: Tree, M: Object>(owner: &Id<M>, name: &str) -> Id<Timer<N>> {
    Id::new(owned_key(owner, name))
}

/// What belongs to an object in a table beside the state.
fn owned<T: Object<Key = String>, M: Object>(table: &Table<T>, owner: &Id<M>) -> Vec<Id<T>> {
    let prefix = owned_key(owner, "");
    let owned = |id: &Id<T>| id.key().starts_with(&prefix);
    table.ids_from(&Id::new(prefix.clone())).take_while(owned).collect()
}

/// `kind/key/name`, so that what one owner has is adjacent.
pub(crate) fn owned_key<M: Object>(owner: &Id<M>, name: &str) -> String {
    owner.key().with_text(|owner| {
        let mut key = String::with_capacity(M::KIND.len() + owner.len() + name.len() + 2);
        // Escaped like segments of a JSON Pointer: a slash in a kind or a key can't make one owner's timers look like
        // another's. The name comes last, and may contain anything.
        each_escaped(M::KIND, |piece| key.push_str(piece));
        key.push('/');
        each_escaped(owner, |piece| key.push_str(piece));
        key.push('/');
        key.push_str(name);
        key
    })
}
