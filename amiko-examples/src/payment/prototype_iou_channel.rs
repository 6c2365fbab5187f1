//! The prototype's `IOUChannel`: the depositor owes what the other side was paid, and pays it back with Bitcoin.
//!
//! Invariant: only the depositor comes to owe anything, and no more than it has deposited. A side that is owed something
//! never takes it as paid back without a transaction.

use super::channel::{change, unexpected};
use super::funds::add;
use super::{
    BitcoinError, Channel, ChannelMessage, ChannelState, Funds, PayoutAddress, PlainDeposit, PlainWithdraw,
    RawTransaction, Surroundings,
};
use amiko_core::prelude::*;

/// A channel of debts, as the prototype has it. Its depositor is the issuer of the debts: whatever it pays over the channel, it
/// owes. When the channel closes, it owes the other side's amount, and pays it with a Bitcoin transaction to the address that
/// the other side has given. Its fields are those of the protocol.
///
/// The other side of [`IouChannel`](super::IouChannel): there, the depositor is who is owed something.
#[derive(Debug, Clone, Default, PartialEq, Serializable)]
#[amiko(class = "IOUChannel", rename_all = "camelCase", implements(Channel))]
pub struct PrototypeIouChannel {
    /// What each side can pay, and the claims on it.
    #[amiko(flatten)]
    pub funds: Funds,
    /// Whether this node has deposited, and is the one that owes.
    #[amiko(default)]
    pub is_issuer: bool,
    /// Where the issuer is to pay: the other side's address. The issuer learns it when the channel opens.
    #[amiko(default)]
    pub address: Option<PayoutAddress>,
    /// The ID of the transaction with which the issuer has paid, or says so.
    #[amiko(default, rename = "withdrawTxID")]
    pub withdraw_tx_id: Option<String>,
}

/// The receiver of the deposit has opened the channel, and is to be paid at this address when it is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
#[amiko(class = "IOUChannel_Address", implements(ChannelMessage))]
pub struct PrototypeIouAddress {
    /// A P2PKH address in Base58Check. A text, so that another one is refused as what it is, and not as a broken line.
    pub address: String,
}

impl ChannelMessage for PrototypeIouAddress {}

/// The issuer pays what it owes.
#[derive(Debug, Clone, PartialEq, Eq, Serializable)]
#[amiko(class = "IOUChannel_WithdrawTransaction", implements(ChannelMessage))]
pub struct PrototypeIouWithdrawTransaction {
    /// A raw transaction, in hex; none if nothing is owed.
    pub transaction: Option<String>,
}

impl ChannelMessage for PrototypeIouWithdrawTransaction {}

impl PrototypeIouChannel {
    /// The name of the class on the wire.
    pub const CLASS: &'static str = "IOUChannel";

    /// What the issuer owes the other side: what that one can pay with, and what its payments under way claim.
    pub fn debt(&self) -> u64 {
        let (incoming, outgoing) = self.claimed();
        let (amount, claimed) =
            if self.is_issuer { (self.funds.amount_remote, incoming) } else { (self.funds.amount_local, outgoing) };
        amount.saturating_add(claimed)
    }

    fn payee(&self) -> &str {
        self.address.as_ref().map_or("an address that isn't known", PayoutAddress::as_str)
    }

    /// The neighbour has opened the channel that our user has deposited in. Our user may have given it up meanwhile.
    fn learn_address(&mut self, address: &str) -> Result<Option<Box<dyn ChannelMessage>>, Rejection> {
        if !self.is_unheard_of() {
            return Err(Rejection::new("expected the address of a channel that waits for one, found another"));
        }
        self.address = Some(address.parse().map_err(refused)?);
        change(self, Funds::open)?;
        Ok(if self.is(ChannelState::Closed) { self.last_word() } else { None })
    }

    /// The issuer says how it pays what it owes.
    fn be_paid_back(&mut self, transaction: Option<&str>) -> Result<(), Rejection> {
        let over = self.is(ChannelState::Closing) || self.is(ChannelState::Closed);
        if self.is_issuer || !over || self.withdraw_tx_id.is_some() {
            let reason = "expected the issuer's transaction once, when the channel closes, found another";
            return Err(Rejection::new(reason));
        }
        match (transaction, self.debt()) {
            (None, 0) => Ok(()),
            (None, debt) => Err(Rejection::new(format!(
                "expected a transaction of {debt} to {}, which the neighbour owes, found none",
                self.payee()
            ))),
            (Some(transaction), _) => {
                self.withdraw_tx_id = Some(transaction.parse::<RawTransaction>().map_err(refused)?.id());
                Ok(())
            }
        }
    }
}

fn refused(error: BitcoinError) -> Rejection {
    Rejection::new(error.to_string())
}

impl Channel for PrototypeIouChannel {
    fn funds(&self) -> Funds {
        self.funds.clone()
    }

    fn set_funds(&mut self, funds: Funds) {
        self.funds = funds;
    }

    /// It opens when the other side has sent its address.
    fn deposit(&mut self, amount: u64) -> Result<Box<dyn ChannelMessage>, Rejection> {
        change(self, |funds| {
            funds.expect(ChannelState::Opening)?;
            add(&mut funds.amount_local, amount)
        })?;
        self.is_issuer = true;
        Ok(Box::new(PlainDeposit { amount }))
    }

    fn begin(&mut self, surroundings: &Surroundings<'_>) -> Result<(), Rejection> {
        let address = surroundings.payout_address.ok_or(Rejection::new(
            "expected an address at which the neighbour can pay what it owes, found none: run this node with \
             --payout-address ADDRESS, and let the neighbour deposit again",
        ))?;
        self.address = Some(address.clone());
        Ok(())
    }

    fn expects_deposit(&self) -> bool {
        self.is(ChannelState::Opening) && !self.is_issuer && self.address.is_some()
    }

    fn is_unheard_of(&self) -> bool {
        self.is_issuer && self.address.is_none()
    }

    /// There is only one issuer.
    fn merges_with(&self, _: &str) -> bool {
        false
    }

    fn remark(&self) -> String {
        let (debt, payee) = (self.debt(), self.payee());
        let over = self.is(ChannelState::Closed);
        match (self.is_issuer, &self.withdraw_tx_id) {
            (true, None) if self.address.is_none() && over => "the neighbour never opened it".into(),
            (true, None) if self.address.is_none() => {
                format!("waits for the neighbour's address; it sends none unless it accepts {}", Self::CLASS)
            }
            (true, None) if debt > 0 && over => {
                format!("we owe {debt}: pay it to {payee}, and hand it in with `withdraw --transaction HEX`")
            }
            (true, None) => format!("we owe {debt}"),
            (true, Some(id)) => format!("we paid {debt} to {payee} with {id}"),
            (false, None) if self.is(ChannelState::Opening) => "waits for the neighbour's deposit".into(),
            (false, None) if debt > 0 && over => format!("they owe {debt}, to be paid to {payee}"),
            (false, None) => format!("they owe {debt}"),
            (false, Some(id)) => {
                format!("they owe {debt}, and say that {id} pays it to {payee}: look for it in the block chain")
            }
        }
    }

    /// Our user may give up a deposit that the neighbour doesn't answer.
    fn withdraw(&mut self) -> Result<Box<dyn ChannelMessage>, Rejection> {
        let debt = self.debt();
        if self.is_issuer && self.is(ChannelState::Closed) && debt > 0 && self.withdraw_tx_id.is_none() {
            return Err(Rejection::new(format!(
                "expected a transaction of {debt} to {}, which this node owes, found none: make one with a wallet, and hand \
                 it in with --transaction HEX",
                self.payee()
            )));
        }
        let given_up = self.is_issuer;
        change(self, |funds| {
            if given_up {
                funds.open()?;
            }
            funds.close()
        })?;
        Ok(Box::new(PlainWithdraw {}))
    }

    fn pay_back(&mut self, transaction: &RawTransaction) -> Result<Box<dyn ChannelMessage>, Rejection> {
        if !self.is(ChannelState::Closed) {
            let reason = "expected a channel that is closed, found that what is owed may still change: withdraw it first, \
                          without a transaction";
            return Err(Rejection::new(reason));
        }
        if !self.is_issuer || self.debt() == 0 || self.withdraw_tx_id.is_some() {
            return Err(Rejection::new(
                "expected a channel in which this node owes something, found one where it doesn't",
            ));
        }
        self.withdraw_tx_id = Some(transaction.id());
        Ok(Box::new(PrototypeIouWithdrawTransaction { transaction: Some(transaction.to_string()) }))
    }

    /// An issuer that owes nothing says so. One that owes something waits for its user's transaction.
    fn last_word(&mut self) -> Option<Box<dyn ChannelMessage>> {
        let settled = self.is_issuer && self.address.is_some() && self.debt() == 0;
        settled.then(|| Box::new(PrototypeIouWithdrawTransaction { transaction: None }) as Box<dyn ChannelMessage>)
    }

    fn receive(&mut self, message: &dyn ChannelMessage) -> Result<Option<Box<dyn ChannelMessage>>, Rejection> {
        if let Some(PlainDeposit { amount }) = message.as_any().downcast_ref() {
            if !self.expects_deposit() {
                return Err(Rejection::new("expected the neighbour's first deposit in this channel, found another"));
            }
            let address = self.payee().to_owned();
            change(self, |funds| {
                funds.open()?;
                add(&mut funds.amount_remote, *amount)
            })?;
            return Ok(Some(Box::new(PrototypeIouAddress { address })));
        }
        if let Some(PlainWithdraw {}) = message.as_any().downcast_ref() {
            let answer = change(self, Funds::close_by_neighbour)?;
            return Ok(answer.then(|| Box::new(PlainWithdraw {}) as Box<dyn ChannelMessage>));
        }
        if let Some(PrototypeIouAddress { address }) = message.as_any().downcast_ref() {
            return self.learn_address(address);
        }
        if let Some(PrototypeIouWithdrawTransaction { transaction }) = message.as_any().downcast_ref() {
            return self.be_paid_back(transaction.as_deref()).map(|()| None);
        }
        unexpected(Self::CLASS, message)
    }
}
