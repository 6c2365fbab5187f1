//! One event in progress: its pending steps, its effects, and its limits.
//!
//! It contains the dispatcher, whose changes are part of the event. Invariant: steps are taken in the order in which
//! they were requested, and exceeding a limit always causes a rejection.

mod limits;
mod output;
mod reply;

pub use crate::rejection::Delivery;
pub use limits::Limits;
pub use output::{Output, Request};
pub use reply::Reply;

use crate::dispatcher::{Answer, Connection, Dispatcher, owned_key};
use crate::effect::EffectSet;
use crate::observe::{Delivered, Handling};
use crate::rejection::{Chain, Rejection};
use crate::schedule::Schedule;
use crate::serializable::{Json, Key, Secret, Serializable};
use crate::time::Time;
use crate::tree::{Envelope, Id, Keeps, Object, Tree};
use crate::version::Version;
use sha2::{Digest, Sha256};
use std::any::TypeId;
use std::collections::VecDeque;
use std::fmt::Display;
use std::ops::Range;

/// A pending step of an event; steps are taken in order.
pub(crate) enum Step<N: Tree> {
    Deliver(N::Envelope),
    /// Creates or removes an object; boxed, since only the caller knows its class.
    Change(Change<N>),
}

pub(crate) type Change<N> = Box<dyn FnOnce(&mut N, &mut Dispatcher<N>) -> Result<(), Rejection> + Send + Sync>;

/// A delivery that has begun: enough to name it in a rejection.
pub(crate) struct Trace {
    pub(crate) kind: &'static str,
    pub(crate) class: Option<&'static str>,
    /// Where the text of the object's key stands among [`Event::keys`], once it is noted.
    pub(crate) key: Range<usize>,
    /// The delivery in whose handler this one was sent.
    pub(crate) parent: Option<usize>,
    delivered: Delivered,
}

/// A message that an event has delivered, and the one that caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CausedDelivery {
    /// The kind of the object that got it.
    pub kind: &'static str,
    /// The key of that object, as text; empty for the node itself.
    pub key: String,
    /// The class of the message, if it has one.
    pub class: Option<&'static str>,
    /// Which delivery's handler has sent it, by its place in the event; none for those that the event began with.
    pub parent: Option<usize>,
}

/// The event in progress, and the dispatcher, whose changes are part of it.
///
/// Handlers see it through their [`Context`](crate::machine::Context); it is public for the code that the derive writes.
pub struct Event<N: Tree> {
    pub(crate) now: Time,
    pub(crate) request: Option<Request>,
    pub(crate) dispatcher: Dispatcher<N>,
    pub(crate) outputs: Vec<Output<N>>,
    pub(crate) limits: Limits,
    pub(crate) queue: VecDeque<(Option<usize>, Step<N>)>,
    pub(crate) traces: Vec<Trace>,
    /// Keys of objects that messages were delivered to, one after the other.
    keys: String,
    /// Whether all of them are noted.
    pub(crate) names_all: bool,
    /// The reply to the command, and the type that it has to have.
    reply: Option<Reply>,
    pub(crate) reply_type: Option<TypeId>,
    /// The key of the command, and the hash of its text, if it acts once.
    pub(crate) once: Option<(String, [u8; 16])>,
    /// Runs that were missed before the one whose message began this event; zero unless a repeating timer did.
    pub(crate) missed: u64,
    /// The first limit that was exceeded: methods of the context don't fail, so it is kept until the handler returns.
    pub(crate) fault: Option<Rejection>,
    created: usize,
    /// The node's own fields, as they were before it first handled a message itself.
    pub(crate) own: Option<N::Own>,
    seed: [u8; 32],
    version: Version,
    /// How many events have begun. It keeps an event that changes nothing from leaving its random bytes to the next
    /// one.
    begun: u64,
    drawn: u64,
}

impl<N: Tree> Event<N> {
    pub(crate) fn new(dispatcher: Dispatcher<N>, limits: Limits, seed: [u8; 32]) -> Self {
        Self {
            now: Time::default(),
            request: None,
            dispatcher,
            outputs: Vec::new(),
            limits,
            queue: VecDeque::new(),
            traces: Vec::new(),
            keys: String::new(),
            names_all: false,
            reply: None,
            reply_type: None,
            once: None,
            missed: 0,
            fault: None,
            created: 0,
            own: None,
            seed,
            version: Version(0),
            begun: 0,
            drawn: 0,
        }
    }

    #[inline]
    pub(crate) fn begin(&mut self, now: Time, version: Version, request: Option<Request>) {
        self.now = now;
        self.version = version;
        self.request = request;
        self.queue.clear();
        self.traces.clear();
        self.keys.clear();
        self.reply = None;
        self.reply_type = None;
        self.once = None;
        self.outputs.clear();
        self.fault = None;
        self.created = 0;
        self.own = None;
        self.begun += 1;
        self.drawn = 0;
    }

    pub(crate) fn fail(&mut self, rejection: Rejection) {
        self.fault.get_or_insert(rejection);
    }

    #[inline]
    fn push(&mut self, step: Step<N>) {
        // The last trace is that of the current delivery.
        let parent = self.traces.len().checked_sub(1);
        self.queue.push_back((parent, step));
        if self.queue.len() > self.limits.steps {
            self.fail(Rejection::new(format!("expected at most {} steps in one event, found more", self.limits.steps)));
        }
    }

    #[inline]
    pub(crate) fn deliver(&mut self, envelope: N::Envelope) {
        if self.queue.len() <= self.limits.steps {
            self.push(Step::Deliver(envelope));
        }
    }

    /// Notes a delivery that begins.
    #[inline]
    pub(crate) fn trace(&mut self, envelope: &N::Envelope, parent: Option<usize>) {
        self.traces.push(Trace {
            kind: envelope.kind(),
            class: envelope.message_class(),
            key: 0..0,
            parent,
            delivered: Delivered::default(),
        });
    }

    /// The handler of the message that was noted last begins.
    #[inline]
    pub(crate) fn watch(&mut self, id: &impl Display) -> Option<Handling> {
        let (trace, before) = self.traces.split_last_mut()?;
        let cause = trace.parent.and_then(|parent| before.get(parent)).map(|cause| &cause.delivered);
        Some(trace.delivered.begin(cause, trace.kind, trace.class, id))
    }

    /// Notes which object has got the message that is being delivered: of one that sends something, or refuses it.
    /// Nobody asks for the others.
    #[inline]
    pub(crate) fn name<M: Object>(&mut self, id: &Id<M>) {
        if let Some(trace) = self.traces.last_mut().filter(|trace| trace.key.is_empty()) {
            let begin = self.keys.len();
            id.key().with_text(|key| self.keys.push_str(key));
            trace.key = begin..self.keys.len();
        }
    }

    /// The messages that were delivered, if all of them are named.
    pub(crate) fn deliveries(&self) -> Box<[CausedDelivery]> {
        let deliveries = self.traces.iter().map(|trace| CausedDelivery {
            kind: trace.kind,
            key: self.keys.get(trace.key.clone()).unwrap_or_default().to_owned(),
            class: trace.class,
            parent: trace.parent,
        });
        deliveries.collect()
    }

    /// Replies to the command, if it expects a reply of this type. A later one replaces it.
    pub(crate) fn reply<T: Serializable>(&mut self, reply: T) {
        if self.reply_type == Some(TypeId::of::<T>()) {
            self.reply = Some(Reply::new(reply));
        }
    }

    /// Gives the reply, once the handlers are done, and keeps it if the command acts once.
    #[inline]
    pub(crate) fn answer(&mut self) -> Result<(), Rejection> {
        let reply = self.reply.take();
        if let Some((key, command)) = self.once.take() {
            let read = |reply: &Reply| -> Result<Json, Rejection> { Ok(Json::parse(&reply.to_json()?)?) };
            let answer = Answer {
                at: self.now,
                command,
                reply: Secret::new(reply.as_ref().map(read).transpose()?.into_iter().collect()),
            };
            self.dispatcher.keep_answer(&key, answer, self.limits.answers, self.limits.answer_age);
        }
        if let (Some(request), Some(reply)) = (self.request, reply) {
            self.output(Output::Reply { request, reply });
        }
        Ok(())
    }

    pub(crate) fn output(&mut self, output: Output<N>) {
        if self.outputs.len() < self.limits.outputs {
            self.outputs.push(output);
        } else {
            let limit = self.limits.outputs;
            self.fail(Rejection::new(format!("expected at most {limit} outputs of one event, found more")));
        }
    }

    pub(crate) fn create<T: Object>(&mut self, id: Id<T>, object: T)
    where
        N: Keeps<T>,
    {
        self.created += 1;
        if self.created > self.limits.created {
            let limit = self.limits.created;
            return self.fail(Rejection::new(format!("expected at most {limit} new objects in one event, found more")));
        }
        self.push(Step::Change(Box::new(move |node, _| {
            if node.table().contains(&id) {
                return Err(Rejection::new(format!("expected {id} to be new, found it there already")));
            }
            node.table_mut().insert(&id, object);
            Ok(())
        })));
    }

    pub(crate) fn remove<T: Object>(&mut self, id: Id<T>)
    where
        N: Keeps<T>,
    {
        self.push(Step::Change(Box::new(move |node, dispatcher| {
            if !node.table_mut().remove(&id) {
                return Err(Rejection::new(format!("expected {id} to remove it, found none")));
            }
            dispatcher.cancel_all(&id);
            Ok(())
        })));
    }

    pub(crate) fn set_timer<M: Object>(&mut self, owner: &Id<M>, name: &str, at: Time, envelope: N::Envelope) {
        if let Err(rejection) = self.dispatcher.set_timer(owner, name, at, envelope, self.limits.timers) {
            self.fail(rejection);
        }
    }

    /// The same, in order with the objects that are created and removed.
    pub(crate) fn set_timer_in_order<M: Object>(
        &mut self,
        owner: &Id<M>,
        name: &'static str,
        at: Time,
        envelope: N::Envelope,
    ) {
        let (owner, limit) = (owner.clone(), self.limits.timers);
        self.push(Step::Change(Box::new(move |_, dispatcher| dispatcher.set_timer(&owner, name, at, envelope, limit))));
    }

    pub(crate) fn repeat<M: Object>(&mut self, owner: &Id<M>, name: &str, schedule: Schedule, envelope: N::Envelope) {
        let (now, limit) = (self.now, self.limits.timers);
        if let Err(rejection) = self.dispatcher.repeat(owner, name, schedule, envelope, now, limit) {
            self.fail(rejection);
        }
    }

    /// Runs that were missed before this one, while the message of a repeating timer is handled: not those that follow
    /// from it in the same event.
    pub(crate) fn missed(&self) -> u64 {
        if self.traces.len() == 1 { self.missed } else { 0 }
    }

    pub(crate) fn cancel_timer<M: Object>(&mut self, owner: &Id<M>, name: &str) {
        self.dispatcher.cancel_timer(owner, name);
    }

    pub(crate) fn perform<M: Object>(&mut self, owner: &Id<M>, name: &str, effect: N::Effects) {
        // If it panics, it does so here, where that rejects the event.
        effect.policy();
        let key = self.random();
        let (now, limit) = (self.now, self.limits.effects);
        if let Err(rejection) = self.dispatcher.perform(owner, name, effect, key, now, limit) {
            self.fail(rejection);
        }
    }

    pub(crate) fn cancel_effect<M: Object>(&mut self, owner: &Id<M>, name: &str) {
        self.dispatcher.remove_effect(&Id::new(owned_key(owner, name)));
    }

    pub(crate) fn connect(&mut self, connection: &Id<Connection<N>>, dial: Option<&str>) {
        match self.dispatcher.connect(connection, dial, self.limits.connections) {
            Ok(true) => self.output(Output::Opened { connection: connection.clone() }),
            Ok(false) => {}
            Err(rejection) => self.fail(rejection),
        }
    }

    pub(crate) fn transmit(&mut self, connection: &Id<Connection<N>>, message: N::Network) {
        match self.dispatcher.transmit(connection, message, self.limits.outbox) {
            Ok((index, message)) => {
                self.output(Output::Transmit { connection: connection.clone(), index, message });
            }
            Err(rejection) => self.fail(rejection),
        }
    }

    pub(crate) fn close(&mut self, connection: &Id<Connection<N>>) {
        if self.dispatcher.close(connection, self.now + self.limits.linger) {
            self.output(Output::Closed { connection: connection.clone() });
        }
    }

    pub(crate) fn reconcile(&mut self, connection: &Id<Connection<N>>) {
        if self.dispatcher.connections().get(connection).is_some_and(|connection| connection.conflict.is_some()) {
            self.dispatcher.set_conflict(connection, None);
            self.output(Output::Opened { connection: connection.clone() });
        }
    }

    /// SHA-256 over the engine's seed, the numbers of the event, and a counter: a hash in counter mode.
    pub(crate) fn random<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        for chunk in bytes.chunks_mut(32) {
            self.drawn += 1;
            let mut hash = Sha256::new();
            hash.update(self.seed);
            hash.update(self.version.0.to_be_bytes());
            hash.update(self.begun.to_be_bytes());
            hash.update(self.drawn.to_be_bytes());
            chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
        }
        bytes
    }

    /// The deliveries that led to the handler that ran last.
    pub(crate) fn last_chain(&self) -> Chain {
        self.chain(self.traces.len().checked_sub(1))
    }

    /// The deliveries that led to this one, including it.
    pub(crate) fn chain(&self, last: Option<usize>) -> Chain {
        let mut chain = Chain::default();
        let mut next = last;
        while let Some(trace) = next.and_then(|index| self.traces.get(index)) {
            chain.push(trace.kind, trace.class, self.keys.get(trace.key.clone()).unwrap_or_default());
            next = trace.parent;
        }
        chain
    }
}
