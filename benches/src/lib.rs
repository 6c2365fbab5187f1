//! What the benches work on: a bank of many accounts, and channels that pay one another.
//!
//! Invariant: the same events in each run.

#![allow(clippy::expect_used, clippy::panic, reason = "a bench that goes wrong has no figures to give")]

pub mod by_hand;
pub mod channels;
pub mod instructions;
mod journal;
pub mod phases;
mod sink;

use amiko_core::prelude::*;
pub use journal::Journal;
pub use sink::Sink;

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
    /// Money goes to and fro, as often as it is told.
    Bounce {
        /// How much.
        amount: u64,
        /// Between this account and which one.
        with: Id<Account>,
        /// How often it still changes hands.
        times: u64,
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
            AccountMessage::Bounce { with, amount, times } => {
                // Whoever is asked an odd number of times pays.
                let change =
                    if times % 2 == 1 { self.balance.checked_sub(amount) } else { Some(self.balance + amount) };
                self.balance = change.ok_or(Rejection::new("insufficient funds"))?;
                if let Some(times) = times.checked_sub(1) {
                    cx.send(&with, AccountMessage::Bounce { amount, with: cx.id().clone(), times });
                }
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

/// The same in memory, with an engine that does nothing but handle events.
///
/// # Panics
/// If the bank has no exact text.
pub fn engine(accounts: u64) -> Engine<Bank, Sink> {
    let mut settings = Settings::default();
    // A snapshot would be part of whichever events happen meanwhile.
    settings.snapshot_minimum = u64::MAX;
    Engine::open_with(Sink::default(), settings, || bank(accounts)).expect("a bank has a text")
}

/// The account that pays in the event of this number: odd and large, so that they are visited in no simple order.
fn payer(event: u64, accounts: u64) -> u64 {
    event.wrapping_mul(0x9E37_79B9_7F4A_7C15) % accounts
}

/// The event of this number: one account pays its neighbour.
pub fn payment(event: u64, accounts: u64) -> (Id<Account>, AccountMessage) {
    let from = payer(event, accounts);
    (Id::new(from), AccountMessage::Withdraw { amount: 1, to: Id::new((from + 1) % accounts) })
}

/// The same, but whoever is to be paid isn't there: what has happened is undone.
pub fn refused(event: u64, accounts: u64) -> (Id<Account>, AccountMessage) {
    (Id::new(payer(event, accounts)), AccountMessage::Withdraw { amount: 1, to: Id::new(accounts) })
}

/// Money that goes to and fro between two accounts within one event.
pub fn bounce(event: u64, accounts: u64, times: u64) -> (Id<Account>, AccountMessage) {
    let from = payer(event, accounts);
    (Id::new(from), AccountMessage::Bounce { amount: 1, with: Id::new((from + 1) % accounts), times })
}
