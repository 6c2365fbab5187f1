//! `PlainChannel`: money that each side claims to have put in.
//!
//! Invariant: only deposits change `amount_local + amount_remote +` all claims.

use super::channel::{change, unexpected};
use super::funds::add;
use super::{Channel, ChannelMessage, ChannelState, Funds};
use amiko_core::prelude::*;

/// A channel that relies on the neighbour's honesty: two amounts, and the claims on them. Its fields are those of the
/// protocol.
#[derive(Debug, Clone, Default, PartialEq, Serializable)]
#[amiko(implements(Channel))]
pub struct PlainChannel {
    /// What each side has, and the claims on it.
    #[amiko(flatten)]
    pub funds: Funds,
}

/// The sender has put this amount into the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
#[amiko(class = "PlainChannel_Deposit", implements(ChannelMessage))]
pub struct PlainDeposit {
    /// How much, in satoshi.
    pub amount: u64,
}

impl ChannelMessage for PlainDeposit {}

/// The sender wants to close the channel, or agrees to.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
#[amiko(class = "PlainChannel_Withdraw", implements(ChannelMessage))]
pub struct PlainWithdraw {}

impl ChannelMessage for PlainWithdraw {}

impl PlainChannel {
    /// The name of the class on the wire.
    pub const CLASS: &'static str = "PlainChannel";

    /// An open channel with these amounts.
    pub fn open(local: u64, remote: u64) -> Self {
        // It never fails: a channel may begin in this phase.
        let state = Phase::at(ChannelState::Open).unwrap_or_default();
        let (amount_local, amount_remote) = (local, remote);
        Self { funds: Funds { state, amount_local, amount_remote, ..Funds::default() } }
    }
}

impl Channel for PlainChannel {
    fn funds(&self) -> Funds {
        self.funds.clone()
    }

    fn set_funds(&mut self, funds: Funds) {
        self.funds = funds;
    }

    fn deposit(&mut self, amount: u64) -> Result<Box<dyn ChannelMessage>, Rejection> {
        change(self, |funds| {
            funds.expect(ChannelState::Opening)?;
            funds.open()?;
            add(&mut funds.amount_local, amount)
        })?;
        Ok(Box::new(PlainDeposit { amount }))
    }

    fn expects_deposit(&self) -> bool {
        self.funds.amount_remote == 0 && self.claimed().0 == 0
    }

    fn withdraw(&mut self) -> Result<Box<dyn ChannelMessage>, Rejection> {
        change(self, Funds::close)?;
        Ok(Box::new(PlainWithdraw {}))
    }

    fn receive(&mut self, message: &dyn ChannelMessage) -> Result<Option<Box<dyn ChannelMessage>>, Rejection> {
        if let Some(PlainDeposit { amount }) = message.as_any().downcast_ref() {
            if !self.expects_deposit() {
                return Err(Rejection::new("expected the neighbour's first deposit in this channel, found another"));
            }
            change(self, |funds| {
                funds.open()?;
                add(&mut funds.amount_remote, *amount)
            })?;
            return Ok(None);
        }
        if let Some(PlainWithdraw {}) = message.as_any().downcast_ref() {
            let answer = change(self, Funds::close_by_neighbour)?;
            return Ok(answer.then(|| Box::new(PlainWithdraw {}) as Box<dyn ChannelMessage>));
        }
        unexpected(Self::CLASS, message)
    }
}
