//! Channels: the money between two neighbours.
//!
//! Invariant: `amount_local + amount_remote +` all reservations and locks is what was deposited.

use super::{ChannelMessage, RouteId};
use amiko_core::Map;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;

/// Which way the money of a route goes, seen from this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub enum Direction {
    /// From the neighbour to us.
    Incoming,
    /// From us to the neighbour.
    Outgoing,
}

/// An amount that a route has claimed. Times are Unix seconds; once set they don't change.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub struct Reservation {
    /// From when the amount may be locked.
    pub start_time: Option<u64>,
    /// Until when the amount may be locked.
    pub end_time: Option<u64>,
    /// How much.
    pub amount: u64,
}

/// What a link asks of a channel, whatever its class. A class of any crate becomes one with
/// `#[amiko(implements(Channel))]`; its fields need defaults, since the first deposit makes it from its name alone.
#[amiko(polymorphic)]
pub trait Channel: Serializable + Send + Sync {
    /// The name of the class, as it is on the wire.
    fn class_name(&self) -> &'static str;
    /// What is ours.
    fn local(&self) -> u64;
    /// What is the neighbour's.
    fn remote(&self) -> u64;
    /// Reservations and locks under way.
    fn claims(&self) -> usize;
    /// What is claimed by reservations and locks: incoming, outgoing.
    fn claimed(&self) -> (u64, u64);
    /// Puts an amount of ours into a new channel; the message tells the other side.
    ///
    /// # Errors
    /// The channel isn't new.
    fn deposit(&mut self, amount: u64) -> Result<ChannelMessage, Rejection>;
    /// Begins to close; the message tells the other side.
    ///
    /// # Errors
    /// The channel isn't open.
    fn withdraw(&mut self) -> Result<ChannelMessage, Rejection>;
    /// Takes a message of the other side; what it gives back is the answer.
    ///
    /// # Errors
    /// The message doesn't fit the channel's state.
    fn receive(&mut self, message: &ChannelMessage) -> Result<Option<ChannelMessage>, Rejection>;
    /// Whether an amount can be reserved now.
    fn can_reserve(&self, direction: Direction, amount: u64) -> bool;
    /// Claims an amount for a route.
    ///
    /// # Errors
    /// There isn't enough, the channel isn't open, or the route has claimed something already.
    fn reserve(&mut self, direction: Direction, route: RouteId, claim: Reservation) -> Result<(), Rejection>;
    /// Gives a reserved amount back.
    ///
    /// # Errors
    /// There is no such reservation.
    fn unreserve(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection>;
    /// Fixes the times of a reservation.
    ///
    /// # Errors
    /// There is no such reservation, or another time was agreed on.
    fn set_times(&mut self, direction: Direction, route: RouteId, start: u64, end: u64) -> Result<(), Rejection>;
    /// Makes a reservation a lock, which is given back.
    ///
    /// # Errors
    /// There is no such reservation.
    fn lock(&mut self, direction: Direction, route: RouteId) -> Result<Reservation, Rejection>;
    /// Gives a locked amount to whom it was for.
    ///
    /// # Errors
    /// There is no such lock.
    fn commit(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection>;
    /// Gives a locked amount back to whom it came from.
    ///
    /// # Errors
    /// There is no such lock.
    fn roll_back(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection>;
}

/// A new channel of the class that has this name on the wire: any class of any crate that is linked into the node.
///
/// # Errors
/// There is no such class; the reason says which there are.
pub fn new_channel(class: &str) -> Result<Box<dyn Channel>, Rejection> {
    // What a class is without any fields is its default.
    let object = Json::Object(vec![("_class".into(), Json::String(class.into()))]);
    from_json(&object.to_string()).map_err(|error| Rejection::new(error.reason()))
}

/// Where a channel is in its life.
///
/// ```mermaid
/// stateDiagram-v2
///     [*] --> Opening
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
    /// Routes can use it.
    #[amiko(next(Closing))]
    Open,
    /// It waits for its last routes to end.
    #[amiko(next(Closed))]
    Closing,
    /// It is over.
    Closed,
}

type Claims = Map<RouteId, Reservation>;

/// A channel that relies on the neighbour's honesty: two numbers, and what is claimed of them.
#[derive(Debug, Clone, Default, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase", implements(Channel))]
pub struct PlainChannel {
    /// Where it is in its life.
    #[amiko(default)]
    pub state: ChannelState,
    /// What is ours.
    #[amiko(default)]
    pub amount_local: u64,
    /// What is the neighbour's.
    #[amiko(default)]
    pub amount_remote: u64,
    /// The neighbour's, reserved for us.
    #[amiko(default)]
    pub transactions_incoming_reserved: Claims,
    /// Ours, reserved for the neighbour.
    #[amiko(default)]
    pub transactions_outgoing_reserved: Claims,
    /// The neighbour's, locked for us.
    #[amiko(default)]
    pub transactions_incoming_locked: Claims,
    /// Ours, locked for the neighbour.
    #[amiko(default)]
    pub transactions_outgoing_locked: Claims,
}

impl PlainChannel {
    /// The name of the class on the wire.
    pub const CLASS: &'static str = "PlainChannel";

    /// An open channel with these amounts.
    pub fn open(local: u64, remote: u64) -> Self {
        Self { state: ChannelState::Open, amount_local: local, amount_remote: remote, ..Self::default() }
    }

    /// The side that the money of a direction comes from.
    fn source(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::Incoming => &mut self.amount_remote,
            Direction::Outgoing => &mut self.amount_local,
        }
    }

    fn destination(&mut self, direction: Direction) -> &mut u64 {
        match direction {
            Direction::Incoming => &mut self.amount_local,
            Direction::Outgoing => &mut self.amount_remote,
        }
    }

    fn reserved(&mut self, direction: Direction) -> &mut Claims {
        match direction {
            Direction::Incoming => &mut self.transactions_incoming_reserved,
            Direction::Outgoing => &mut self.transactions_outgoing_reserved,
        }
    }

    fn locked(&mut self, direction: Direction) -> &mut Claims {
        match direction {
            Direction::Incoming => &mut self.transactions_incoming_locked,
            Direction::Outgoing => &mut self.transactions_outgoing_locked,
        }
    }

    fn take_lock(&mut self, direction: Direction, route: RouteId) -> Result<u64, Rejection> {
        let lock =
            self.locked(direction).remove(&route).ok_or(Rejection::new("expected a locked amount, found none"))?;
        self.close_if_idle()?;
        Ok(lock.amount)
    }

    fn close_if_idle(&mut self) -> Result<(), Rejection> {
        if self.state == ChannelState::Closing && self.claims() == 0 {
            self.state.enter(ChannelState::Closed)?;
        }
        Ok(())
    }

    fn expect(&self, state: ChannelState) -> Result<(), Rejection> {
        if self.state == state {
            return Ok(());
        }
        Err(Rejection::new(format!("expected a channel that is {state:?}, found it {:?}", self.state).to_lowercase()))
    }
}

/// Amounts of one channel are part of what was deposited, so this only fails on a damaged state.
fn add(amount: &mut u64, more: u64) -> Result<(), Rejection> {
    *amount = amount.checked_add(more).ok_or(Rejection::new("the channel holds more than 64 bits can count"))?;
    Ok(())
}

impl Channel for PlainChannel {
    fn class_name(&self) -> &'static str {
        Self::CLASS
    }

    fn local(&self) -> u64 {
        self.amount_local
    }

    fn remote(&self) -> u64 {
        self.amount_remote
    }

    fn claims(&self) -> usize {
        self.transactions_incoming_reserved.len()
            + self.transactions_outgoing_reserved.len()
            + self.transactions_incoming_locked.len()
            + self.transactions_outgoing_locked.len()
    }

    fn claimed(&self) -> (u64, u64) {
        let sum = |claims: &Claims| claims.values().map(|claim| claim.amount).fold(0, u64::saturating_add);
        (
            sum(&self.transactions_incoming_reserved).saturating_add(sum(&self.transactions_incoming_locked)),
            sum(&self.transactions_outgoing_reserved).saturating_add(sum(&self.transactions_outgoing_locked)),
        )
    }

    fn deposit(&mut self, amount: u64) -> Result<ChannelMessage, Rejection> {
        self.expect(ChannelState::Opening)?;
        self.state.enter(ChannelState::Open)?;
        self.amount_local = amount;
        Ok(ChannelMessage::PlainDeposit { amount })
    }

    fn withdraw(&mut self) -> Result<ChannelMessage, Rejection> {
        self.expect(ChannelState::Open)?;
        self.state.enter(ChannelState::Closing)?;
        self.close_if_idle()?;
        Ok(ChannelMessage::PlainWithdraw)
    }

    fn receive(&mut self, message: &ChannelMessage) -> Result<Option<ChannelMessage>, Rejection> {
        match message {
            ChannelMessage::PlainDeposit { amount } => {
                self.expect(ChannelState::Opening)?;
                self.state.enter(ChannelState::Open)?;
                self.amount_remote = *amount;
                Ok(None)
            }
            ChannelMessage::PlainWithdraw if self.state == ChannelState::Open => self.withdraw().map(Some),
            // The answer to our own.
            ChannelMessage::PlainWithdraw if self.state != ChannelState::Opening => Ok(None),
            ChannelMessage::PlainWithdraw => self.expect(ChannelState::Open).map(|()| None),
        }
    }

    fn can_reserve(&self, direction: Direction, amount: u64) -> bool {
        let available = match direction {
            Direction::Incoming => self.amount_remote,
            Direction::Outgoing => self.amount_local,
        };
        self.state == ChannelState::Open && amount <= available
    }

    fn reserve(&mut self, direction: Direction, route: RouteId, claim: Reservation) -> Result<(), Rejection> {
        self.expect(ChannelState::Open)?;
        if self.reserved(direction).contains_key(&route) || self.locked(direction).contains_key(&route) {
            return Err(Rejection::new("expected a new route, found one that has a claim on this channel already"));
        }
        let source = self.source(direction);
        *source = source
            .checked_sub(claim.amount)
            .ok_or(Rejection::new(format!("insufficient funds: expected at least {}, found {source}", claim.amount)))?;
        self.reserved(direction).insert(route, claim);
        Ok(())
    }

    fn unreserve(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        let claim =
            self.reserved(direction).remove(&route).ok_or(Rejection::new("expected a reservation, found none"))?;
        self.close_if_idle()?;
        add(self.source(direction), claim.amount)
    }

    fn set_times(&mut self, direction: Direction, route: RouteId, start: u64, end: u64) -> Result<(), Rejection> {
        let claim =
            self.reserved(direction).get_mut(&route).ok_or(Rejection::new("expected a reservation, found none"))?;
        let agreed = |old: Option<u64>, new| old.is_none_or(|old| old == new);
        if !agreed(claim.start_time, start) || !agreed(claim.end_time, end) {
            return Err(Rejection::new("expected the times that were agreed on, found others"));
        }
        (claim.start_time, claim.end_time) = (Some(start), Some(end));
        Ok(())
    }

    fn lock(&mut self, direction: Direction, route: RouteId) -> Result<Reservation, Rejection> {
        let claim =
            self.reserved(direction).remove(&route).ok_or(Rejection::new("expected a reservation, found none"))?;
        self.locked(direction).insert(route, claim.clone());
        Ok(claim)
    }

    fn commit(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        let amount = self.take_lock(direction, route)?;
        add(self.destination(direction), amount)
    }

    fn roll_back(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        let amount = self.take_lock(direction, route)?;
        add(self.source(direction), amount)
    }
}
