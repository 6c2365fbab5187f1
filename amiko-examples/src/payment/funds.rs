//! The money of a channel, and the claims of routes on it: the same for every class.
//!
//! Invariant: an operation preserves `amount_local + amount_remote +` all claims. If one fails, discard the copy that
//! it was tried on.

use super::sabotage::{Sabotage, sabotaged};
use super::{ChannelState, RouteId};
use amiko_core::Map;
use amiko_core::prelude::*;

/// The direction of a route's money, seen from this side.
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

/// The claims of one kind on a channel.
pub type Claims = Map<RouteId, Reservation>;

/// The funds of a channel. A class copies them, which costs no more than a few pointers, changes the copy, and puts it
/// back. So a change that fails has no effect.
#[derive(Debug, Clone, Default, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase")]
pub struct Funds {
    /// The phase of the channel.
    #[amiko(default)]
    pub state: Phase<ChannelState>,
    /// What we can pay to the neighbour.
    #[amiko(default)]
    pub amount_local: u64,
    /// What the neighbour can pay to us.
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

/// Opening and closing.
impl Funds {
    /// One side has deposited; the first deposit opens the channel. When the second one arrives, the channel may be
    /// closed already.
    ///
    /// # Errors
    /// The move isn't one of [`ChannelState`]'s.
    pub fn open(&mut self) -> Result<(), Rejection> {
        if self.state == ChannelState::Opening { self.state.enter(ChannelState::Open) } else { Ok(()) }
    }

    /// Starts closing, at the request of one side. The channel is closed when nothing is claimed.
    ///
    /// # Errors
    /// It isn't open.
    pub fn close(&mut self) -> Result<(), Rejection> {
        self.expect(ChannelState::Open)?;
        self.state.enter(ChannelState::Closing)?;
        self.close_if_idle()
    }

    /// Closes a channel that hasn't come about, unless that is done already.
    ///
    /// # Errors
    /// The move isn't one of [`ChannelState`]'s.
    pub fn give_up(&mut self) -> Result<(), Rejection> {
        self.open()?;
        if self.state == ChannelState::Open { self.close() } else { Ok(()) }
    }

    /// The neighbour wants to close, or answers our request. Returns whether it must be answered.
    ///
    /// # Errors
    /// Nothing has been put in yet.
    pub fn close_by_neighbour(&mut self) -> Result<bool, Rejection> {
        match *self.state {
            ChannelState::Opening | ChannelState::Open => self.close().map(|()| true),
            ChannelState::Closing | ChannelState::Closed => Ok(false),
        }
    }

    fn close_if_idle(&mut self) -> Result<(), Rejection> {
        if self.state == ChannelState::Closing && self.claims() == 0 {
            self.state.enter(ChannelState::Closed)?;
        }
        Ok(())
    }

    /// Rejects an operation that needs another phase.
    ///
    /// # Errors
    /// The channel is in another phase.
    pub fn expect(&self, state: ChannelState) -> Result<(), Rejection> {
        if self.state == state {
            return Ok(());
        }
        Err(Rejection::new(format!("expected a channel that is {state:?}, found it {:?}", self.state).to_lowercase()))
    }
}

/// What routes claim.
impl Funds {
    /// Active reservations and locks.
    pub fn claims(&self) -> usize {
        self.transactions_incoming_reserved.len()
            + self.transactions_outgoing_reserved.len()
            + self.transactions_incoming_locked.len()
            + self.transactions_outgoing_locked.len()
    }

    /// The sums of reservations and locks: incoming, outgoing.
    pub fn claimed(&self) -> (u64, u64) {
        let sum = |claims: &Claims| claims.values().map(|claim| claim.amount).fold(0, u64::saturating_add);
        (
            sum(&self.transactions_incoming_reserved).saturating_add(sum(&self.transactions_incoming_locked)),
            sum(&self.transactions_outgoing_reserved).saturating_add(sum(&self.transactions_outgoing_locked)),
        )
    }

    /// The sum of everything in the channel.
    pub fn total(&self) -> u64 {
        let (incoming, outgoing) = self.claimed();
        [self.amount_remote, incoming, outgoing].into_iter().fold(self.amount_local, u64::saturating_add)
    }

    /// Whether an amount can be reserved now.
    pub fn can_reserve(&self, direction: Direction, amount: u64) -> bool {
        let available = match direction {
            Direction::Incoming => self.amount_remote,
            Direction::Outgoing => self.amount_local,
        };
        self.state == ChannelState::Open && amount <= available
    }

    /// Claims an amount for a route.
    ///
    /// # Errors
    /// There isn't enough, the channel isn't open, or the route has claimed something already.
    pub fn reserve(&mut self, direction: Direction, route: RouteId, claim: Reservation) -> Result<(), Rejection> {
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

    /// Returns a reserved amount to its side.
    ///
    /// # Errors
    /// There is no such reservation.
    pub fn unreserve(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        let claim =
            self.reserved(direction).remove(&route).ok_or(Rejection::new("expected a reservation, found none"))?;
        self.close_if_idle()?;
        if sabotaged(Sabotage::ReservationNotReleased) {
            return Ok(());
        }
        add(self.source(direction), claim.amount)
    }

    /// Fixes the times of a reservation.
    ///
    /// # Errors
    /// There is no such reservation, or another time was agreed on.
    pub fn set_times(&mut self, direction: Direction, route: RouteId, start: u64, end: u64) -> Result<(), Rejection> {
        let claim =
            self.reserved(direction).get_mut(&route).ok_or(Rejection::new("expected a reservation, found none"))?;
        let agreed = |old: Option<u64>, new| old.is_none_or(|old| old == new);
        if !agreed(claim.start_time, start) || !agreed(claim.end_time, end) {
            return Err(Rejection::new("expected the times that were agreed on, found others"));
        }
        (claim.start_time, claim.end_time) = (Some(start), Some(end));
        Ok(())
    }

    /// Turns a reservation into a lock, and returns it.
    ///
    /// # Errors
    /// There is no such reservation.
    pub fn lock(&mut self, direction: Direction, route: RouteId) -> Result<Reservation, Rejection> {
        let claim =
            self.reserved(direction).remove(&route).ok_or(Rejection::new("expected a reservation, found none"))?;
        self.locked(direction).insert(route, claim.clone());
        Ok(claim)
    }

    /// Pays a locked amount to its receiver.
    ///
    /// # Errors
    /// There is no such lock.
    pub fn commit(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        let amount = self.take_lock(direction, route)?;
        add(self.destination(direction), amount)
    }

    /// Returns a locked amount to the side that it came from.
    ///
    /// # Errors
    /// There is no such lock.
    pub fn roll_back(&mut self, direction: Direction, route: RouteId) -> Result<(), Rejection> {
        let amount = self.take_lock(direction, route)?;
        add(self.source(direction), amount)
    }

    fn take_lock(&mut self, direction: Direction, route: RouteId) -> Result<u64, Rejection> {
        let lock =
            self.locked(direction).remove(&route).ok_or(Rejection::new("expected a locked amount, found none"))?;
        self.close_if_idle()?;
        Ok(lock.amount)
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
}

/// The amounts of a channel are parts of its deposits, which links bound, so this fails only on an edited state.
pub(super) fn add(amount: &mut u64, more: u64) -> Result<(), Rejection> {
    *amount = amount.checked_add(more).ok_or(Rejection::new("the channel holds more than 64 bits can count"))?;
    Ok(())
}
