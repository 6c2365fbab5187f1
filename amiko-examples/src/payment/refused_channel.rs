//! `RefusedChannel`: what is left of a channel that hasn't come about.
//!
//! Invariant: no message of the neighbour changes it. It uses up an index, so that both ends go on counting channels alike.

use super::{Channel, ChannelMessage, ChannelState, Funds};
use amiko_core::prelude::*;

/// A channel that the neighbour wanted to open and this node refused, or that both sides have opened as different ones.
/// The wire can't say that: the neighbour has a channel under this index, and counts on from there.
#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase", implements(Channel))]
pub struct RefusedChannel {
    /// What our user had put in, and what routes may still claim of that.
    #[amiko(flatten)]
    pub funds: Funds,
    /// Why it hasn't come about, and what to do for the next one.
    pub reason: String,
}

impl RefusedChannel {
    /// The name of the class in the state. Nobody can open a channel of it.
    pub const CLASS: &'static str = "RefusedChannel";

    /// One that the neighbour wanted to open.
    pub fn new(reason: &str) -> Self {
        // It never fails: a channel may begin in this phase.
        let state = Phase::at(ChannelState::Closed).unwrap_or_default();
        Self { funds: Funds { state, ..Funds::default() }, reason: reason.to_owned() }
    }

    /// One that our user has opened.
    ///
    /// # Errors
    /// It can't be closed.
    pub fn in_place_of(ours: &dyn Channel, reason: String) -> Result<Self, Rejection> {
        let mut funds = ours.funds();
        funds.give_up()?;
        Ok(Self { funds, reason })
    }

    fn refuse<T>(&self) -> Result<T, Rejection> {
        Err(Rejection::new(format!("this channel was refused: {}", self.reason)))
    }
}

impl Channel for RefusedChannel {
    fn funds(&self) -> Funds {
        self.funds.clone()
    }

    fn set_funds(&mut self, funds: Funds) {
        self.funds = funds;
    }

    fn deposit(&mut self, _: u64) -> Result<Box<dyn ChannelMessage>, Rejection> {
        self.refuse()
    }

    fn expects_deposit(&self) -> bool {
        false
    }

    fn remark(&self) -> String {
        format!("refused: {}", self.reason)
    }

    fn withdraw(&mut self) -> Result<Box<dyn ChannelMessage>, Rejection> {
        self.refuse()
    }

    fn receive(&mut self, _: &dyn ChannelMessage) -> Result<Option<Box<dyn ChannelMessage>>, Rejection> {
        self.refuse()
    }
}
