//! A bank: accounts that send each other money, messages inside one event, a timer that survives a restart, and an
//! event that is undone.
//!
//!     cargo run --example bank
//!     cargo run --example bank -- bank-state    # keeps the directory, which has to be a new one, to look into

use amiko_core::prelude::*;
use std::error::Error;
use std::path::PathBuf;

/// One account. `Id<Account>` is a string and can't be mistaken for any other ID.
#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "account")]
struct Account {
    balance: u64,
    #[amiko(secret)] // never in a summary, a log or `Debug`
    pin: Secret<[u8; 4]>, // binary is hex in JSON
    #[amiko(default)] // may be missing in older files
    holds: Map<Id<Transfer>, u64>, // a persistent map: one changed entry costs one entry
}

#[derive(Clone, Serializable)]
enum AccountMessage {
    Deposit { amount: u64 },
    Withdraw { amount: u64, to: Id<Account> },
    Hold { transfer: Id<Transfer>, amount: u64 },
    Release { transfer: Id<Transfer> },
}

impl StateMachine for Account {
    type Node = Bank;
    type Message = AccountMessage;

    fn handle(&mut self, message: AccountMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            AccountMessage::Deposit { amount } => self.balance += amount,
            AccountMessage::Withdraw { amount, to } => {
                self.take(amount)?;
                cx.send(&to, AccountMessage::Deposit { amount }); // delivered inside the same event
            }
            AccountMessage::Hold { transfer, amount } => {
                self.take(amount)?;
                self.holds.insert(transfer, amount);
            }
            AccountMessage::Release { transfer } => {
                let amount = self.holds.remove(&transfer).ok_or(Rejection::new("expected a hold, found none"))?;
                let to = cx.expect(&transfer)?.to.clone();
                cx.send(&to, AccountMessage::Deposit { amount });
            }
        }
        Ok(())
    }
}

impl Account {
    fn take(&mut self, amount: u64) -> Result<(), Rejection> {
        self.balance = self.balance.checked_sub(amount).ok_or(Rejection::new("insufficient funds"))?;
        Ok(())
    }
}

/// A transfer that is made five seconds after it was ordered.
#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Transfer {
    from: Id<Account>,
    to: Id<Account>,
    amount: u64,
}

#[derive(Clone, Serializable)]
enum TransferMessage {
    Order,
    Make,
}

impl StateMachine for Transfer {
    type Node = Bank;
    type Message = TransferMessage;

    fn handle(&mut self, message: TransferMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let transfer = cx.id().clone();
        match message {
            TransferMessage::Order => {
                cx.send(&self.from, AccountMessage::Hold { transfer, amount: self.amount });
                cx.timer("make", cx.now() + secs(5), TransferMessage::Make); // survives a restart
            }
            TransferMessage::Make => {
                cx.send(&self.from, AccountMessage::Release { transfer: transfer.clone() });
                cx.remove(&transfer);
            }
        }
        Ok(())
    }
}

/// The state tree. The derive writes the router, the envelope type and the (de)serialization.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Bank {
    #[amiko(machines)]
    accounts: Table<Account>,
    #[amiko(machines)]
    transfers: Table<Transfer>,
    #[amiko(default)]
    next_transfer: u64,
}

/// The node is a machine itself, for commands that create objects.
#[derive(Clone, Serializable)]
enum BankMessage {
    Open { name: String, balance: u64, pin: Secret<[u8; 4]> },
    Transfer { from: Id<Account>, to: Id<Account>, amount: u64 },
}

impl StateMachine for Bank {
    type Node = Self;
    type Message = BankMessage;

    fn handle(&mut self, message: BankMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            BankMessage::Open { name, balance, pin } => {
                cx.create(&Id::new(name), Account { balance, pin, holds: Map::new() });
            }
            BankMessage::Transfer { from, to, amount } => {
                let transfer = Id::new(self.next_transfer);
                self.next_transfer += 1;
                cx.create(&transfer, Transfer { from, to, amount });
                cx.send(&transfer, TransferMessage::Order);
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let kept = std::env::args_os().nth(1).map(PathBuf::from);
    let temporary = || std::env::temp_dir().join(format!("amiko-bank-{}", std::process::id()));
    let directory = kept.clone().unwrap_or_else(temporary);
    let mut engine = Engine::<Bank>::open(Directory::open(&directory)?, Settings::default())?;
    let (bank, alice, bob) = (Id::<Bank>::new(()), Id::<Account>::new("alice"), Id::<Account>::new("bob"));
    let noon = Time::from_secs(1_800_000_000);

    for (name, balance) in [("alice", 10), ("bob", 0)] {
        let pin = Secret::new([1, 2, 3, 4]);
        engine.send(&bank, BankMessage::Open { name: name.into(), balance, pin }, noon)?;
    }
    engine.send(&alice, AccountMessage::Withdraw { amount: 7, to: bob.clone() }, noon)?;
    show("alice gave bob 7", engine.node());

    // Alice has 3 left: the event is undone as a whole, and says why.
    if let Err(error) = engine.send(&alice, AccountMessage::Withdraw { amount: 7, to: bob.clone() }, noon) {
        println!("{:28} {error}", "rejected");
    }

    engine.send(&bank, BankMessage::Transfer { from: bob, to: alice, amount: 2 }, noon)?;
    show("bob ordered a transfer of 2", engine.node());
    engine.sync()?; // one fdatasync for everything since the last one

    // As after a crash: everything that was synced is there, the timer too.
    drop(engine);
    let mut engine = Engine::<Bank>::open(Directory::open(&directory)?, Settings::default())?;
    show("opened again", engine.node());
    engine.tick(noon + secs(5))?;
    show("five seconds later", engine.node());
    engine.sync()?;

    println!("\nthe journal, in {}:", directory.display());
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            std::fs::read_to_string(path)?.lines().filter(|line| !line.is_empty()).for_each(|line| println!("{line}"));
        }
    }
    if kept.is_none() {
        std::fs::remove_dir_all(&directory)?;
    }
    Ok(())
}

fn show(what: &str, bank: &Bank) {
    let accounts: Vec<_> =
        bank.accounts.iter().map(|(id, account)| format!("{} {}", id.key(), account.balance)).collect();
    println!("{what:28} {}, {} transfers under way", accounts.join(", "), bank.transfers.len());
}
