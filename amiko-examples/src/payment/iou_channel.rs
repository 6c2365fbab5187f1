//! `IouChannel`: one side owes the other, up to a limit that the other has set.
//!
//! Invariant: each side sets how much the other may owe it, and no message of the other changes that. The debt of a
//! side, with the claims on it, never exceeds that limit.

use super::channel::{change, unexpected};
use super::funds::add;
use super::{Channel, ChannelMessage, ChannelState, Funds};
use amiko_core::prelude::*;

/// A channel of debts. A deposit is credit: the depositor lets the other side owe it up to this amount, and is paid by
/// that debt. To pay means to owe more, or to be owed less.
///
/// The creditor sets a limit once. To lend more, open another channel; to lend no more, withdraw this one. The debt
/// then stays recorded, like the amounts of any closed channel.
#[derive(Debug, Clone, Default, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase", implements(Channel))]
pub struct IouChannel {
    /// How much we may owe the neighbour, as it has set; our link accepts such channels.
    #[amiko(default)]
    pub limit_local: u64,
    /// How much the neighbour may owe us, as our user has set.
    #[amiko(default)]
    pub limit_remote: u64,
    /// What each side can pay to the other, and the claims on it.
    #[amiko(default)]
    pub funds: Funds,
}

/// The sender lets the receiver owe it up to this amount.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
#[amiko(class = "IouChannel_Credit", implements(ChannelMessage))]
pub struct IouCredit {
    /// How much, in satoshi.
    pub limit: u64,
}

impl ChannelMessage for IouCredit {}

/// The sender wants to close the channel, or agrees to.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
#[amiko(class = "IouChannel_Withdraw", implements(ChannelMessage))]
pub struct IouWithdraw {}

impl ChannelMessage for IouWithdraw {}

impl IouChannel {
    /// The name of the class on the wire.
    pub const CLASS: &'static str = "IouChannel";

    /// What we owe the neighbour: including what is on its way to it, and before what is on its way to us is subtracted.
    pub fn local_debt(&self) -> u64 {
        self.limit_local.saturating_sub(self.funds.amount_local)
    }

    /// What the neighbour owes us, counted in the same way.
    pub fn remote_debt(&self) -> u64 {
        self.limit_remote.saturating_sub(self.funds.amount_remote)
    }
}

impl Channel for IouChannel {
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
            add(&mut funds.amount_remote, amount)
        })?;
        self.limit_remote = amount;
        Ok(Box::new(IouCredit { limit: amount }))
    }

    fn expects_deposit(&self) -> bool {
        self.limit_local == 0
    }

    /// Who owes us something has heard of it, and can't have it taken for one that never came about.
    fn is_unheard_of(&self) -> bool {
        !self.is(ChannelState::Opening) && self.expects_deposit() && self.remote_debt() == 0
    }

    fn remark(&self) -> String {
        let limits = format!("limits: ours {}, theirs {}", self.limit_local, self.limit_remote);
        match (self.local_debt(), self.remote_debt()) {
            (0, 0) => format!("nobody owes anything; {limits}"),
            (0, debt) => format!("they owe {debt}; {limits}"),
            (debt, _) => format!("we owe {debt}; {limits}"),
        }
    }

    fn withdraw(&mut self) -> Result<Box<dyn ChannelMessage>, Rejection> {
        change(self, Funds::close)?;
        Ok(Box::new(IouWithdraw {}))
    }

    fn receive(&mut self, message: &dyn ChannelMessage) -> Result<Option<Box<dyn ChannelMessage>>, Rejection> {
        if let Some(IouCredit { limit }) = message.as_any().downcast_ref() {
            if !self.expects_deposit() {
                return Err(Rejection::new("expected the neighbour's first credit in this channel, found another"));
            }
            change(self, |funds| {
                funds.open()?;
                add(&mut funds.amount_local, *limit)
            })?;
            self.limit_local = *limit;
            return Ok(None);
        }
        if let Some(IouWithdraw {}) = message.as_any().downcast_ref() {
            let answer = change(self, Funds::close_by_neighbour)?;
            return Ok(answer.then(|| Box::new(IouWithdraw {}) as Box<dyn ChannelMessage>));
        }
        unexpected(Self::CLASS, message)
    }
}
