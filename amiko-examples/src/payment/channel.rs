//! Channels: what a link requires of any class of channel, and what the two ends of one send each other.
//!
//! Invariant: a link knows no class; a class of any crate is found by its name.

use super::{Direction, Funds, PayoutAddress, RawTransaction, RefusedChannel, Reservation, RouteId};
use amiko_core::prelude::*;
use amiko_core::serializable::Json;

/// A channel with a neighbour. A class of any crate becomes one with `#[amiko(implements(Channel))]`; its fields need
/// defaults, since the first deposit makes it from its name alone.
///
/// A class defines what a deposit means, and which messages its two ends exchange. The claims of routes are the same
/// for all classes. A class that has to do more when an amount is locked or settled overrides the provided methods.
#[amiko(polymorphic)]
pub trait Channel: Serializable + Send + Sync {
    /// A copy of its funds.
    fn funds(&self) -> Funds;
    /// Puts a changed copy back.
    fn set_funds(&mut self, funds: Funds);
    /// Our user opens this new channel with an amount; returns the message that tells the other side.
    ///
    /// # Errors
    /// The channel isn't new.
    fn deposit(&mut self, amount: u64) -> Result<Box<dyn ChannelMessage>, Rejection>;
    /// The neighbour opens this new channel: takes from the node what the channel needs.
    ///
    /// # Errors
    /// The node doesn't have it; the reason says what to do. The neighbour's deposit is refused.
    fn begin(&mut self, _: &Surroundings<'_>) -> Result<(), Rejection> {
        Ok(())
    }
    /// Whether the neighbour may still make its first deposit: both sides may open the same channel at the same moment,
    /// and then it is one channel.
    fn expects_deposit(&self) -> bool;
    /// Whether our user has opened it, and the neighbour may not have heard of it: then the neighbour may open a channel
    /// with the same index.
    fn is_unheard_of(&self) -> bool {
        !self.is(ChannelState::Opening) && self.expects_deposit()
    }
    /// Whether such a channel of the neighbour's, of this class, and this one are one channel. If they aren't, both ends
    /// give up what they have opened.
    fn merges_with(&self, class: &str) -> bool {
        self.class_name() == class
    }
    /// Starts closing; returns the message that tells the other side.
    ///
    /// # Errors
    /// The channel isn't open.
    fn withdraw(&mut self) -> Result<Box<dyn ChannelMessage>, Rejection>;
    /// Our user has made a transaction that pays what we owe in this closed channel; returns the message that tells the
    /// other side.
    ///
    /// # Errors
    /// Nothing is owed in this way.
    fn pay_back(&mut self, _: &RawTransaction) -> Result<Box<dyn ChannelMessage>, Rejection> {
        let class = self.class_name();
        Err(Rejection::new(format!("expected a channel that is paid back with a transaction, found a {class}")))
    }
    /// It has just closed: returns what the other side has to be told about that, behind everything else.
    fn last_word(&mut self) -> Option<Box<dyn ChannelMessage>> {
        None
    }
    /// Handles a message of the other side; returns the answer.
    ///
    /// # Errors
    /// The message is of another class of channel, or doesn't fit the channel's state.
    fn receive(&mut self, message: &dyn ChannelMessage) -> Result<Option<Box<dyn ChannelMessage>>, Rejection>;

    /// The name of the class, as it is on the wire.
    fn class_name(&self) -> &'static str {
        self.class_of_object().unwrap_or_default()
    }
    /// What we can pay to the neighbour.
    fn local(&self) -> u64 {
        self.funds().amount_local
    }
    /// What the neighbour can pay to us.
    fn remote(&self) -> u64 {
        self.funds().amount_remote
    }
    /// Active reservations and locks.
    fn claims(&self) -> usize {
        self.funds().claims()
    }
    /// The sums of reservations and locks: incoming, outgoing.
    fn claimed(&self) -> (u64, u64) {
        self.funds().claimed()
    }
    /// Further information for people, in a few words.
    fn remark(&self) -> String {
        String::new()
    }
    /// Its phase.
    fn is(&self, state: ChannelState) -> bool {
        self.funds().state == state
    }
    /// Whether an amount can be reserved now.
    fn can_reserve(&self, direction: Direction, amount: u64) -> bool {
        self.funds().can_reserve(direction, amount)
    }
    /// As [`Funds::reserve`].
    ///
    /// # Errors
    /// There isn't enough, the channel isn't open, or the route has claimed something already.
    fn reserve(&mut self, direction: Direction, route: RouteId, claim: Reservation) -> Result<(), Rejection> {
        change(self, |funds| funds.reserve(direction, route, claim))
    }
    /// As [`Funds::unreserve`].
    ///
    /// # Errors
    /// There is no such reservation.
    fn unreserve(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        change(self, |funds| funds.unreserve(direction, route))
    }
    /// As [`Funds::set_times`].
    ///
    /// # Errors
    /// There is no such reservation, or another time was agreed on.
    fn set_times(&mut self, direction: Direction, route: RouteId, start: u64, end: u64) -> Result<(), Rejection> {
        change(self, |funds| funds.set_times(direction, route, start, end))
    }
    /// As [`Funds::lock`].
    ///
    /// # Errors
    /// There is no such reservation.
    fn lock(&mut self, direction: Direction, route: RouteId) -> Result<Reservation, Rejection> {
        change(self, |funds| funds.lock(direction, route))
    }
    /// As [`Funds::commit`].
    ///
    /// # Errors
    /// There is no such lock.
    fn commit(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        change(self, |funds| funds.commit(direction, route))
    }
    /// As [`Funds::roll_back`].
    ///
    /// # Errors
    /// There is no such lock.
    fn roll_back(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        change(self, |funds| funds.roll_back(direction, route))
    }
}

/// What a node has for its channels.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Surroundings<'a> {
    /// Where neighbours can pay what they owe.
    pub payout_address: Option<&'a PayoutAddress>,
}

impl<'a> Surroundings<'a> {
    /// Those of a node with this address.
    pub fn new(payout_address: Option<&'a PayoutAddress>) -> Self {
        Self { payout_address }
    }
}

/// Changes the funds of a channel, or, if that fails, nothing.
pub(super) fn change<C: Channel + ?Sized, T>(
    channel: &mut C,
    change: impl FnOnce(&mut Funds) -> Result<T, Rejection>,
) -> Result<T, Rejection> {
    let mut funds = channel.funds();
    let value = change(&mut funds)?;
    channel.set_funds(funds);
    Ok(value)
}

/// What one end of a channel sends the other. Each is a class with `#[amiko(implements(ChannelMessage))]`, whose name
/// on the wire begins with that of the channel's class: `PlainChannel_Deposit`.
#[amiko(polymorphic)]
pub trait ChannelMessage: Serializable + Send + Sync {}

/// The rejection of a message that isn't one of the channel's class.
pub(super) fn unexpected<T>(class: &str, message: &dyn ChannelMessage) -> Result<T, Rejection> {
    let found = message.class_of_object().unwrap_or("another");
    Err(Rejection::new(format!("expected a message of a {class}, found {found}")))
}

/// A new channel of the class with this name on the wire: any class of any crate that is linked into the node.
///
/// # Errors
/// There is no such class; the reason lists the existing ones.
pub fn new_channel(class: &str) -> Result<Box<dyn Channel>, Rejection> {
    let mut known = Vec::new();
    <Box<dyn Channel>>::classes(&mut known);
    known.retain(|known| *known != RefusedChannel::CLASS);
    if !known.contains(&class) {
        known.sort_unstable();
        let (known, found) = (known.join(" or "), shortened(class));
        return Err(Rejection::new(format!("expected the class {known}, found {found:?}")));
    }
    // A class without any fields is its default.
    let object = Json::Object(vec![("_class".into(), Json::String(class.into()))]);
    from_json(&object.to_string()).map_err(|error| Rejection::new(error.reason()))
}

/// What of the name of a class is shown.
pub(super) fn shortened(class: &str) -> String {
    class.chars().take(64).collect()
}

/// The phases of a channel.
///
/// ```mermaid
/// stateDiagram-v2
///     [*] --> Opening
///     [*] --> Open
///     [*] --> Closed
///     Opening --> Open
///     Open --> Closing
///     Closing --> Closed
///     Closed --> [*]
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serializable, Phases)]
#[amiko(rename_all = "camelCase")]
pub enum ChannelState {
    /// Nothing has been deposited.
    #[default]
    #[amiko(next(Open))]
    Opening,
    /// Routes can use it. Two ends that agree on it by other means begin here.
    #[amiko(initial, next(Closing))]
    Open,
    /// It waits for its last routes to end.
    #[amiko(next(Closed))]
    Closing,
    /// It is over, or was refused before it began.
    #[amiko(initial)]
    Closed,
}
