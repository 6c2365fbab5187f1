//! `IouChannel`: one side owes the other, up to a limit that the other has set.
//!
//! Invariant: a side sets how much the other may owe it, and nothing that the other says changes that; the debt of neither
//! side is ever more, with what is claimed of it.

use super::channel::{change, unexpected};
use super::funds::add;
use super::{Channel, ChannelMessage, ChannelState, Funds};
use amiko_core::prelude::*;

/// A channel of debts. A deposit in it is credit: whoever deposits lets the other side owe it that much, and is paid by what
/// the other side owes it. To pay is to owe more, or to be owed less.
///
/// A limit is set once, by its creditor. To lend more, open another channel; to lend no more, withdraw this one. What is owed
/// then stays written down, as the amounts of any channel that is closed.
#[derive(Debug, Clone, Default, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase", implements(Channel))]
pub struct IouChannel {
    /// How much we may owe the neighbour: it has said so, and our link accepts such channels.
    #[amiko(default)]
    pub limit_local: u64,
    /// How much the neighbour may owe us: our user has said so.
    #[amiko(default)]
    pub limit_remote: u64,
    /// What each side can pay to the other, and what is claimed of it.
    #[amiko(default)]
    pub funds: Funds,
}

/// The sender lets the receiver owe it so much.
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

    /// What we owe the neighbour: with what is on its way to it, and not less what is on its way to us.
    pub fn local_debt(&self) -> u64 {
        self.limit_local.saturating_sub(self.funds.amount_local)
    }

    /// What the neighbour owes us, in the same sense.
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
