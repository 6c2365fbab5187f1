//! What an engine keeps on request, for those who look into it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::Version;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::{self, Directory, Memory};
use std::ops::ControlFlow;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Account {
    balance: u64,
}

#[derive(Clone, Serializable)]
enum AccountMessage {
    Move { to: Id<Account>, amount: u64 },
    Add { amount: u64 },
    Note { text: String },
}

fn check(bank: &Bank, _: &<Bank as amiko_core::tree::Tree>::Undo) -> Result<(), Rejection> {
    let rich = bank.accounts.iter().any(|(_, account)| account.balance > 1_000);
    if rich { Err(Rejection::new("too rich")) } else { Ok(()) }
}

impl StateMachine for Account {
    type Node = Bank;
    type Message = AccountMessage;

    fn handle(&mut self, message: AccountMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            AccountMessage::Move { to, amount } => {
                self.balance = self.balance.checked_sub(amount).ok_or_else(|| Rejection::new("too little"))?;
                cx.send(&to, AccountMessage::Add { amount });
                cx.send(&to, AccountMessage::Note { text: "moved".into() });
            }
            AccountMessage::Add { amount } => self.balance += amount,
            AccountMessage::Note { .. } => {}
        }
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(check = check)]
struct Bank {
    #[amiko(machines)]
    accounts: Table<Account>,
}

fn bank() -> Bank {
    let account = |balance| Account { balance };
    Bank { accounts: [(Id::new("a"), account(10)), (Id::new("b"), account(0))].into_iter().collect() }
}

fn move_to_b(amount: u64) -> AccountMessage {
    AccountMessage::Move { to: Id::new("b"), amount }
}

#[test]
fn the_deliveries_of_the_newest_events_are_kept_with_their_causes() {
    let mut settings = Settings::default();
    settings.deliveries = 7;
    let mut engine = Engine::open_with(Memory::new(), settings, bank).unwrap();
    let a = Id::<Account>::new("a");
    for _ in 0..3 {
        engine.send(&a, move_to_b(1), Time::from_secs(1)).unwrap();
    }
    let deliveries = engine.deliveries(3).unwrap();
    let seen: Vec<_> = deliveries.iter().map(|one| (one.kind, &*one.key, one.class.unwrap(), one.parent)).collect();
    assert_eq!(
        seen,
        [("account", "a", "Move", None), ("account", "b", "Add", Some(0)), ("account", "b", "Note", Some(0))]
    );
    assert!(engine.deliveries(2).is_some());
    assert!(engine.deliveries(1).is_none(), "there was room for two");
    // None is kept unless somebody asks.
    let mut engine = Engine::open_with(Memory::new(), Settings::default(), bank).unwrap();
    engine.send(&a, move_to_b(1), Time::from_secs(1)).unwrap();
    assert!(engine.deliveries(1).is_none());
}

#[test]
fn a_rejected_command_has_a_record_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.journal_rejected = true;
    settings.limits.record = 500;
    settings.deliveries = 100;
    let mut engine = Engine::open_with(Directory::open(folder.path()).unwrap(), settings.clone(), bank).unwrap();
    let a = Id::<Account>::new("a");
    let rejected = engine.send(&a, move_to_b(11), Time::from_secs(1)).unwrap_err();
    assert_eq!((rejected.to_string(), engine.version()), ("too little (in Move to account a)".into(), Version(1)));
    engine.send(&a, move_to_b(10), Time::from_secs(2)).unwrap();
    // Also one that isn't rejected by a handler. It has no deliveries: none of them counts.
    assert!(engine.send(&a, AccountMessage::Add { amount: 2_000 }, Time::from_secs(3)).is_err());
    assert_eq!((engine.version(), engine.deliveries(3)), (Version(3), None));
    assert!(engine.deliveries(2).is_some());
    // One that wouldn't fit isn't cut off, and doesn't grow the journal.
    let huge = AccountMessage::Note { text: "x".repeat(1_000) };
    assert!(engine.send(&Id::<Account>::new("nobody"), huge, Time::from_secs(3)).is_err());
    assert_eq!((engine.version(), engine.rejections().count()), (Version(3), 3));
    engine.sync().unwrap();
    drop(engine);

    let mut records = Vec::new();
    store::walk(folder.path(), 0, |_, text| {
        records.push(Json::parse(text).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(records[0].get("rejected").unwrap().as_str(), Some("too little (in Move to account a)"));
    assert_eq!(records[0].get("patch").unwrap().to_string(), "[]");
    let amount = records[0].get("cause").unwrap().get("envelope").unwrap().get("message").unwrap().get("amount");
    assert_eq!(amount.unwrap().as_u64(), Some(11));
    assert!(amiko_core::engine::verify::<Bank>(folder.path()).unwrap().is_healthy());
    let engine = Engine::<Bank>::open(Directory::open(folder.path()).unwrap(), settings).unwrap();
    assert_eq!((engine.version(), engine.node().accounts.get(&a).unwrap().balance), (Version(3), 0));
}
