//! What a handler can do besides changing its own object.
//!
//! Invariant: everything requested here happens when the event commits, or not at all.

use super::{Hears, Hosts, Performs, StateMachine};
use crate::dispatcher::{Connection, owned_key};
use crate::effect::Effect;
use crate::event::{Event, Output};
use crate::rejection::Rejection;
use crate::schedule::Schedule;
use crate::time::Time;
use crate::tree::{Id, Index, Keeps, Object, Tree};

/// What the names of timers begin with that belong to a phase.
const PHASES: char = '@';

/// The surroundings of a handler: read access to the rest of the node, and all effects that it can request.
///
/// Methods that request an effect can't fail on the spot. A request that exceeds a limit rejects the event once the
/// handler has returned.
pub struct Context<'a, M: StateMachine> {
    pub(super) event: &'a mut Event<M::Node>,
    /// None for the node itself, which reads through its own `self`.
    node: Option<&'a M::Node>,
    id: &'a Id<M>,
    /// A phase is being entered or left.
    pub(super) moving: bool,
}

impl<'a, M: StateMachine> Context<'a, M> {
    #[inline]
    pub(crate) fn new(event: &'a mut Event<M::Node>, node: Option<&'a M::Node>, id: &'a Id<M>) -> Self {
        Self { event, node, id, moving: false }
    }

    /// The ID of the object that handles the message.
    pub fn id(&self) -> &Id<M> {
        self.id
    }

    /// The time of the event.
    pub fn now(&self) -> Time {
        self.event.now
    }

    /// Random bytes, fit for secrets. They are derived from the engine's seed and the number of the event.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        self.event.random()
    }

    /// Sends a message to an object of the node: it is delivered in the same event, after all messages sent earlier.
    #[inline]
    pub fn send<T>(&mut self, to: &Id<T>, message: T::Message)
    where
        T: StateMachine<Node = M::Node>,
        M::Node: Hosts<T>,
    {
        self.event.name(self.id);
        self.event.deliver(M::Node::envelope(to.clone(), message));
    }

    /// Creates an object, in order with the messages that are sent: a message sent to it afterwards reaches it. If
    /// there is already an object with this ID, the event is rejected.
    pub fn create<T: Object>(&mut self, id: &Id<T>, object: T)
    where
        M::Node: Keeps<T>,
    {
        self.event.name(self.id);
        self.event.create(id.clone(), object);
    }

    /// Removes an object, its timers and its effects, in order with the messages that are sent. If there is no object with this
    /// ID, the event is rejected.
    pub fn remove<T: Object>(&mut self, id: &Id<T>)
    where
        M::Node: Keeps<T>,
    {
        self.event.name(self.id);
        self.event.remove(id.clone());
    }

    /// Schedules a message to this object at a moment: it is delivered then or soon after, never before. The timer
    /// survives a restart. It replaces a timer of the same name.
    ///
    /// Names that begin with `@` are those of the time-outs of phases: such a name rejects the event.
    pub fn timer(&mut self, name: &str, at: Time, message: M::Message)
    where
        M::Node: Hosts<M>,
    {
        if self.is_own(name) {
            self.timer_of_phase(name, at, message);
        }
    }

    /// Whether a timer of this name isn't that of a phase; if it is, the event is rejected.
    fn is_own(&mut self, name: &str) -> bool {
        let own = !name.starts_with(PHASES);
        if !own {
            self.fail(Rejection::new(format!(
                "expected a timer whose name doesn't begin with {PHASES}, as those of phases do, found {name:?}"
            )));
        }
        own
    }

    /// As [`timer`](Self::timer), for the time-out of a phase.
    pub(super) fn timer_of_phase(&mut self, name: &str, at: Time, message: M::Message)
    where
        M::Node: Hosts<M>,
    {
        let envelope = M::Node::envelope(self.id.clone(), message);
        self.event.set_timer(self.id, name, at, envelope);
    }

    /// Schedules a message to this object again and again: by a period, or by the calendar of a time zone. It replaces a
    /// timer of the same name. Like a [`timer`](Self::timer) it survives a restart, and goes when it is
    /// [cancelled](Self::cancel) or its object is removed; the handler of its message may do either.
    ///
    /// When a run is due, its message is delivered once, and the next run is the first one after now. So there is one
    /// message for all runs that have been while the node was down, and [`missed`](Self::missed) counts the others. A
    /// run whose message is rejected counts as missed, too; the timer goes on. A clock that is put back repeats no run.
    ///
    /// ```
    /// use amiko_core::{Schedule, minutes, prelude::*, store::Memory};
    ///
    /// #[derive(Clone, Default, Serializable, Node)]
    /// #[amiko(machine)]
    /// struct Feed { polls: u64, missed: u64 }
    ///
    /// #[derive(Clone, Serializable)]
    /// enum FeedMessage { Begin, Poll }
    ///
    /// impl StateMachine for Feed {
    ///     type Node = Self;
    ///     type Message = FeedMessage;
    ///
    ///     fn handle(&mut self, message: FeedMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
    ///         match message {
    ///             FeedMessage::Begin => cx.repeat("poll", Schedule::every(minutes(15))?, FeedMessage::Poll),
    ///             FeedMessage::Poll => {
    ///                 self.polls += 1;
    ///                 self.missed += cx.missed();
    ///             }
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let begin = Time::from_secs(1_000);
    /// let mut engine = Engine::<Feed, _>::open(Memory::new(), Settings::default())?;
    /// engine.send(&Id::<Feed>::new(()), FeedMessage::Begin, begin)?;
    /// engine.tick(begin + minutes(15))?;
    /// engine.tick(begin + minutes(100))?;
    /// assert_eq!((engine.node().polls, engine.node().missed), (2, 4));
    /// assert_eq!(engine.next_due(), Some(begin + minutes(105)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn repeat(&mut self, name: &str, schedule: Schedule, message: M::Message)
    where
        M::Node: Hosts<M>,
    {
        if self.is_own(name) {
            let envelope = M::Node::envelope(self.id.clone(), message);
            self.event.repeat(self.id, name, schedule, envelope);
        }
    }

    /// How many runs of the repeating timer whose message this is were missed since the last one that was handled: while
    /// the node was down or its clock stood still, or because they were rejected. Zero for every other message. At most
    /// [`Limits::missed`](crate::event::Limits::missed).
    pub fn missed(&self) -> u64 {
        self.event.missed()
    }

    /// Cancels the timer of this name, if there is one.
    pub fn cancel(&mut self, name: &str) {
        if self.is_own(name) {
            self.cancel_of_phase(name);
        }
    }

    /// As [`cancel`](Self::cancel), for the time-out of a phase.
    pub(super) fn cancel_of_phase(&mut self, name: &str) {
        self.event.cancel_timer(self.id, name);
    }

    /// Asks for a call to the outside, under a name: see [`Effect`]. What comes of it is a message to this object,
    /// [`Performed<E>`](crate::Performed). It leaves when this event is on disk. If an effect of this name isn't over, the event is rejected.
    pub fn perform<E: Effect>(&mut self, name: &str, effect: E)
    where
        M::Node: Performs<E>,
        M::Message: Hears<E>,
    {
        self.event.perform(self.id, name, <M::Node as Performs<E>>::effect(effect));
    }

    /// Cancels the effect of this name, if it isn't over: the object hears nothing of it any more. The outside may have heard
    /// of it already, or may just be hearing of it.
    pub fn cancel_effect(&mut self, name: &str) {
        self.event.cancel_effect(self.id, name);
    }

    /// As [`perform`](Self::perform), for what was kept as one of the node's effects.
    pub(super) fn perform_any(&mut self, name: &str, effect: <M::Node as Tree>::Effects) {
        self.event.perform(self.id, name, effect);
    }

    /// Cancels all effects of this object whose names begin like this: `"price/"`.
    pub fn cancel_effects(&mut self, prefix: &str) {
        self.performing(prefix).iter().for_each(|name| self.cancel_effect(name));
    }

    /// The names of this object's effects that aren't over and begin like this; with `""`, of all. An effect of which the object hears
    /// in this event is over.
    pub fn performing(&self, prefix: &str) -> Vec<String> {
        self.event.dispatcher.effects_of(self.id, prefix)
    }

    /// Whether the effect of this name isn't over.
    pub fn is_performing(&self, name: &str) -> bool {
        self.event.dispatcher.effects().contains(&Id::new(owned_key(self.id, name)))
    }

    /// Rejects the event once the handler has returned.
    pub(super) fn fail(&mut self, rejection: Rejection) {
        self.event.fail(rejection);
    }

    /// Ensures that there is a connection of this name, with this address or none: one that is there already keeps its outbox and
    /// gets the new address. The runtime dials the address until the peer answers; without one it waits for the peer to dial.
    pub fn connect(&mut self, connection: &Id<Connection<M::Node>>, dial: Option<&str>) {
        self.event.connect(connection, dial);
    }

    /// Puts a message into the outbox of a connection. It stays there until the peer confirms it, across any number
    /// of sockets. If there is no such connection, or its outbox is full, the event is rejected.
    pub fn transmit(&mut self, connection: &Id<Connection<M::Node>>, message: <M::Node as Tree>::Network) {
        self.event.transmit(connection, message);
    }

    /// A connection as it is now, in this event; none if there is none of this name.
    pub fn connection(&self, connection: &Id<Connection<M::Node>>) -> Option<&Connection<M::Node>> {
        self.event.dispatcher.connections().get(connection)
    }

    /// Closes a connection as soon as its outbox is empty, or when its linger time is over. It isn't an error if
    /// there is none.
    pub fn close(&mut self, connection: &Id<Connection<M::Node>>) {
        self.event.close(connection);
    }

    /// Resumes a connection that was suspended because of a [`Conflict`](crate::Conflict); both ends are compared
    /// again when the peers next meet. It isn't an error if there is none.
    pub fn reconcile(&mut self, connection: &Id<Connection<M::Node>>) {
        self.event.reconcile(connection);
    }

    /// Replies to the command that began this event. There is one reply: a later one replaces it. It has no effect if
    /// the event began otherwise, or if the command was for a machine with another type of reply.
    pub fn reply(&mut self, reply: M::Reply) {
        self.event.reply(reply);
    }

    /// Notifies the node's watchers.
    pub fn notify(&mut self, notice: <M::Node as Tree>::Notice) {
        self.event.output(Output::Notice(notice));
    }
}

/// For machines in tables. The node itself is borrowed by its own handler, and reads through `self`.
impl<M: StateMachine> Context<'_, M>
where
    M::Node: Keeps<M>,
{
    /// The whole node, as it is before this message.
    pub fn node(&self) -> &M::Node {
        match self.node {
            Some(node) => node,
            // Only the node's own handler gets no node (`router::deliver_to_node`), and a node can't contain itself:
            // its derive would implement `Hosts<Self>` twice, which doesn't compile.
            None => unreachable!("a machine in a table is always given its node"),
        }
    }

    /// Another object, or this one, as it is before this message.
    #[inline]
    pub fn get<T: Object>(&self, id: &Id<T>) -> Option<&T>
    where
        M::Node: Keeps<T>,
    {
        self.node().table().get(id)
    }

    /// The same, but a missing object rejects the event.
    ///
    /// # Errors
    /// There is no such object.
    #[inline]
    pub fn expect<T: Object>(&self, id: &Id<T>) -> Result<&T, Rejection>
    where
        M::Node: Keeps<T>,
    {
        self.get(id).ok_or_else(|| Rejection::new(format!("expected {id}, found none")))
    }

    /// The objects of a class with this value, as they are before this message: see [`Table::find`](crate::Table::find).
    pub fn find<'c, T: Object, V: Ord + Clone + 'static>(
        &'c self,
        index: Index<T, V>,
        value: &V,
    ) -> impl DoubleEndedIterator<Item = (Id<T>, &'c T)>
    where
        M::Node: Keeps<T>,
    {
        self.node().table().find(index, value)
    }
}
