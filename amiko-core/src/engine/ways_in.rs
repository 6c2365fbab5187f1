//! The inputs: commands, messages and confirmations of peers, and timers.
//!
//! Invariant: no panic escapes, and none leaves anything half done: the event is undone, or the engine is poisoned.

use super::cause::Cause;
use super::{Engine, EventError};
use crate::dispatcher::{Arrival, Connection, Due, Timer};
use crate::event::{Event, Output, Reply, Request};
use crate::machine::{Hosts, Node, StateMachine};
use crate::observe;
use crate::panics::catch;
use crate::rejection::Rejection;
use crate::serializable::{Writer, shorten, write_value};
use crate::store::Store;
use crate::time::Time;
use crate::tree::{Envelope, Id};
use crate::version::Version;
use sha2::{Digest, Sha256};
use std::cell::Cell;

impl<N: Node, S: Store> Engine<N, S> {
    /// Guards an input. Panics of handlers and checks are undone further in; any other panic, such as in the drop of
    /// an old object or in a key during a table operation, leaves an unknown state behind.
    pub(super) fn enter<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, EventError>) -> Result<T, EventError> {
        if let Some(reason) = self.poisoned {
            return Err(EventError::Poisoned { reason });
        }
        match catch(|| act(self)) {
            Ok(outcome) => outcome,
            Err(text) => Err(self.give_up_memory(&text)),
        }
    }

    #[cold]
    fn give_up_memory(&mut self, text: &str) -> EventError {
        self.note(&Rejection::new(format!("a panic that can't be undone: {text}")));
        self.poison("code of the application panicked where nothing can be undone")
    }

    /// Sends a message to an object, after the due timers.
    ///
    /// # Errors
    /// The event was rejected and undone; or the store failed.
    pub fn send<M>(&mut self, to: &Id<M>, message: M::Message, now: Time) -> Result<Version, EventError>
    where
        M: StateMachine<Node = N>,
        N: Hosts<M>,
    {
        self.enter(|engine| engine.take_command(N::envelope(to.clone(), message), None, None, now))
    }

    /// The same for an envelope, with the request that the handlers' replies are for.
    ///
    /// # Errors
    /// As [`Engine::send`].
    pub fn command(
        &mut self,
        envelope: N::Envelope,
        request: Option<Request>,
        now: Time,
    ) -> Result<Version, EventError> {
        self.enter(|engine| engine.take_command(envelope, request, None, now))
    }

    /// The same for a command that acts once. Its sender gave it a key: the second time, and whenever it is sent again,
    /// also after a restart, nothing happens, and the reply is the one that was given the first time. A command that is
    /// rejected isn't remembered.
    ///
    /// What was answered is kept for [`Limits::answer_age`](crate::event::Limits::answer_age), and up to
    /// [`Limits::answers`](crate::event::Limits::answers) of them.
    ///
    /// # Errors
    /// As [`Engine::send`]; [`EventError::KeyTooLong`]; and [`EventError::KeyUsed`] if another command had this key.
    pub fn command_once(
        &mut self,
        key: &str,
        envelope: N::Envelope,
        request: Option<Request>,
        now: Time,
    ) -> Result<Version, EventError> {
        self.enter(|engine| {
            let (limit, found) = (engine.settings.limits.answer_key, key.len());
            if found > limit {
                return Err(EventError::KeyTooLong { limit, found });
            }
            let mut text = Writer::new();
            write_value(&envelope, &mut text).and_then(|()| text.outcome(0, Ok(()))).map_err(EventError::unwritten)?;
            let mut command = [0; 16];
            command.copy_from_slice(&Sha256::digest(text.as_str())[..16]);
            let age = engine.settings.limits.answer_age;
            let Some(answer) = engine.event.dispatcher.answer(key, now, age) else {
                return engine.take_command(envelope, request, Some((key.to_owned(), command)), now);
            };
            if answer.command != command {
                return Err(EventError::KeyUsed { key: shorten(key) });
            }
            if let (Some(request), Some(reply)) = (request, answer.reply.expose().first()) {
                let reply = Reply::of_text(&reply.to_string());
                engine.sealed.seal(engine.version, [Output::Reply { request, reply }]);
            }
            engine.awaited = engine.version;
            Ok(engine.version)
        })
    }

    fn take_command(
        &mut self,
        envelope: N::Envelope,
        request: Option<Request>,
        once: Option<(String, [u8; 16])>,
        now: Time,
    ) -> Result<Version, EventError> {
        self.fire_before(now)?;
        let reply_type = (request.is_some() || once.is_some()).then(|| envelope.reply());
        let cause = Cause::Command { envelope };
        let outcome = self.run(now, request, &cause, |event| {
            (event.reply_type, event.once) = (reply_type, once);
            deliver(event, &cause);
        });
        if request.is_some() {
            // A rejection rests on the versions before it.
            self.awaited = self.version;
        }
        outcome
    }

    /// Takes a message from a peer, after the due timers: its meaning to the node, or why it has none. It acts once:
    /// a repeated message is only confirmed again. A rejected message is used up all the same.
    ///
    /// # Errors
    /// The message was rejected; messages before it are missing; or the store failed.
    pub fn receive(
        &mut self,
        connection: &Id<Connection<N>>,
        index: u64,
        message: Result<N::Envelope, Rejection>,
        now: Time,
    ) -> Result<Version, EventError> {
        self.enter(|engine| engine.take_message(connection, index, message, now))
    }

    fn take_message(
        &mut self,
        connection: &Id<Connection<N>>,
        index: u64,
        message: Result<N::Envelope, Rejection>,
        now: Time,
    ) -> Result<Version, EventError> {
        self.fire_before(now)?;
        let confirm = || Output::Confirm { connection: connection.clone(), index };
        match self.event.dispatcher.arrival(connection, index) {
            None => return Err(EventError::NoConnection { connection: connection.key().clone() }),
            Some(Arrival::Gap(missing)) => return Err(EventError::Gap { missing }),
            Some(Arrival::Future) => {
                let expected = self.connection(connection).map_or(0, |connection| connection.received);
                return Err(EventError::Future { index, expected });
            }
            Some(Arrival::Repeated) => {
                self.sealed.seal(self.version, [confirm()]);
                return Ok(self.version);
            }
            Some(Arrival::Next) => {}
        }
        let (envelope, refused) = match message {
            Ok(envelope) => (Some(envelope), None),
            Err(rejection) => (None, Some(rejection)),
        };
        let cause = |envelope| Cause::Message { connection: connection.clone(), index, envelope };
        let (cause, used_up) = (cause(envelope), cause(None));
        let advance = |event: &mut Event<N>| {
            event.dispatcher.advance(connection);
            event.output(confirm());
        };
        let begin = |event: &mut Event<N>| {
            deliver(event, &cause);
            refused.into_iter().for_each(|rejection| event.fail(rejection));
        };
        self.run_or_use_up(now, &cause, &used_up, begin, advance)
    }

    /// A peer confirms all messages up to and including this one.
    ///
    /// # Errors
    /// The store failed.
    pub fn confirm(&mut self, connection: &Id<Connection<N>>, index: u64, now: Time) -> Result<Version, EventError> {
        self.enter(|engine| engine.take_confirmation(connection, index, now))
    }

    pub(super) fn take_confirmation(
        &mut self,
        connection: &Id<Connection<N>>,
        index: u64,
        now: Time,
    ) -> Result<Version, EventError> {
        let Some(state) = self.connection(connection) else {
            return Err(EventError::NoConnection { connection: connection.key().clone() });
        };
        let sent = self.first_unreleased(connection).unwrap_or(state.sent);
        if index >= sent {
            return Err(EventError::NeverSent { index, sent });
        }
        if state.first_unconfirmed() > index {
            return Ok(self.version);
        }
        let cause = Cause::Confirmation { connection: connection.clone(), index };
        self.run(now, None, &cause, |event| {
            if event.dispatcher.confirm(connection, index) {
                event.output(Output::Closed { connection: connection.clone() });
            }
        })
    }

    /// Fires the due timers, in the order of their deadlines, at most [`Limits::due`](crate::event::Limits::due) of them. A
    /// timer whose message is rejected is used up; see [`Engine::rejections`].
    ///
    /// # Errors
    /// The store failed.
    pub fn tick(&mut self, now: Time) -> Result<Version, EventError> {
        self.enter(|engine| {
            engine.fire_due(now, engine.settings.limits.due, now)?;
            Ok(engine.version)
        })
    }

    /// Fires at most `most` of the timers that were due by `by`, in the order of their deadlines; the moment is `now`. Returns how
    /// many fired: if fewer than `most`, no others are due.
    ///
    /// For a runtime that lets others have their turn between such slices: see [`Engine::leave_timers`].
    ///
    /// # Errors
    /// The store failed.
    pub fn tick_slice(&mut self, by: Time, most: usize, now: Time) -> Result<usize, EventError> {
        self.enter(|engine| engine.fire_due(by, most, now))
    }

    /// Whether due timers are left to whoever calls [`Engine::tick_slice`]. By default commands and messages fire up to
    /// [`Limits::due`](crate::event::Limits::due) of them first, in one go.
    ///
    /// Whoever they are left to keeps the order: an input is given to the engine after the timers that were due when it came.
    pub fn leave_timers(&mut self, left: bool) {
        self.timers_left = left;
    }

    /// Fires due timers before an input.
    fn fire_before(&mut self, now: Time) -> Result<(), EventError> {
        if self.timers_left {
            return Ok(());
        }
        self.fire_due(now, self.settings.limits.due, now).map(drop)
    }

    fn fire_due(&mut self, by: Time, most: usize, now: Time) -> Result<usize, EventError> {
        for fired in 0..most {
            let Some(due) = self.event.dispatcher.due(by) else { return Ok(fired) };
            // A rejected timer is listed among the rejections, and used up.
            if let Err(error @ (EventError::Store(_) | EventError::Poisoned { .. })) = self.fire(due, now) {
                return Err(error);
            }
        }
        Ok(most)
    }

    fn fire(&mut self, due: Due<N>, now: Time) -> Result<Version, EventError> {
        match due {
            Due::Timer(timer) => self.fire_timer(&timer, now),
            Due::Connection(connection) => {
                let cause = Cause::Lingered { connection: connection.clone() };
                self.run(now, None, &cause, |event| {
                    event.dispatcher.drop_connection(&connection);
                    event.output(Output::Closed { connection: connection.clone() });
                })
            }
        }
    }

    fn fire_timer(&mut self, id: &Id<Timer<N>>, now: Time) -> Result<Version, EventError> {
        let cause = Cause::Timer { timer: id.clone() };
        let timer = self.event.dispatcher.timers().get(id);
        observe::timer(|| now - timer.map_or(now, |timer| timer.at));
        let due = timer.and_then(|timer| timer.due(now, self.settings.limits.missed));
        let begin = |event: &mut Event<N>| {
            let envelope = event.dispatcher.timers().get(id).map(|timer| timer.envelope.clone());
            envelope.into_iter().for_each(|envelope| event.deliver(envelope));
        };
        let Some(due) = due else {
            let remove = |event: &mut Event<N>| event.dispatcher.remove_timer(id);
            return self.run_or_use_up(now, &cause, &cause, begin, remove);
        };
        self.event.missed = due.missed;
        // Whether this is the event in which the owner hears of the run, or the one that uses it up unheard.
        let heard = Cell::new(false);
        let begin = |event: &mut Event<N>| {
            heard.set(true);
            begin(event);
        };
        // Before the handler, which may replace or cancel the timer.
        let set_again = |event: &mut Event<N>| {
            let missed = if heard.take() { 0 } else { due.missed.saturating_add(1).min(event.limits.missed) };
            event.dispatcher.set_again(id, due.next, missed);
        };
        let outcome = self.run_or_use_up(now, &cause, &cause, begin, set_again);
        self.event.missed = 0;
        outcome
    }

    /// Runs an event. If it is rejected, a second event only records the input as used up, so that a poison message
    /// doesn't come back for ever. That event is small whatever the input: it holds neither the message nor the whole
    /// reason.
    pub(super) fn run_or_use_up(
        &mut self,
        now: Time,
        cause: &Cause<N>,
        used_up: &Cause<N>,
        begin: impl FnOnce(&mut Event<N>),
        take_note: impl Fn(&mut Event<N>),
    ) -> Result<Version, EventError> {
        let outcome = self.run(now, None, cause, |event| {
            begin(event);
            take_note(event);
        });
        match outcome {
            Err(error @ (EventError::Rejected(_) | EventError::Write(_) | EventError::TooLong { .. })) => {
                self.use_up(now, used_up, error, take_note)
            }
            outcome => outcome,
        }
    }

    /// Records that an input was rejected, and is used up.
    pub(super) fn use_up(
        &mut self,
        now: Time,
        used_up: &Cause<N>,
        error: EventError,
        take_note: impl Fn(&mut Event<N>),
    ) -> Result<Version, EventError> {
        self.event.begin(now, self.version.next(), None);
        take_note(&mut self.event);
        let reason = shorten(&error.to_string());
        self.commit(used_up, Some(&reason))?;
        Err(error)
    }
}

/// Delivers a copy of the message; the journal gets the original.
pub(super) fn deliver<N: Node>(event: &mut Event<N>, cause: &Cause<N>) {
    if let Cause::Command { envelope }
    | Cause::Message { envelope: Some(envelope), .. }
    | Cause::Performed { envelope: Some(envelope), .. } = cause
    {
        event.deliver(envelope.clone());
    }
}
