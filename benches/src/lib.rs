//! What the benches work on: a bank of many accounts.

use amiko_core::prelude::*;

/// One account.
#[derive(Clone, Serializable)]
#[amiko(key = u64)]
pub struct Account {
    /// What it holds.
    pub balance: u64,
    /// Whose it is.
    pub owner: String,
}

/// What can be said to an account.
#[derive(Clone, Serializable)]
pub enum AccountMessage {
    /// Money comes in.
    Deposit {
        /// How much.
        amount: u64,
    },
    /// Money goes to another account.
    Withdraw {
        /// How much.
        amount: u64,
        /// To whom.
        to: Id<Account>,
    },
}

impl StateMachine for Account {
    type Node = Bank;
    type Message = AccountMessage;

    fn handle(&mut self, message: AccountMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            AccountMessage::Deposit { amount } => self.balance += amount,
            AccountMessage::Withdraw { amount, to } => {
                self.balance = self.balance.checked_sub(amount).ok_or(Rejection::new("insufficient funds"))?;
                cx.send(&to, AccountMessage::Deposit { amount });
            }
        }
        Ok(())
    }
}

/// The whole state.
#[derive(Clone, Default, Serializable, Node)]
pub struct Bank {
    /// All accounts.
    #[amiko(machines)]
    pub accounts: Table<Account>,
}

/// A bank with this many accounts of a million each.
pub fn bank(accounts: u64) -> Bank {
    let account = |number| (Id::new(number), Account { balance: 1_000_000, owner: format!("owner {number}") });
    Bank { accounts: (0..accounts).map(account).collect() }
}

/// The message number `n` of a long run: one account pays another.
pub fn payment(n: u64, accounts: u64) -> (Id<Account>, AccountMessage) {
    // Odd and large, so that the accounts are visited in no simple order.
    let from = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % accounts;
    (Id::new(from), AccountMessage::Withdraw { amount: 1, to: Id::new((from + 1) % accounts) })
}
