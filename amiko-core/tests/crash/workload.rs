//! What the engines of these tests do: a small node, and events for it that follow from a seed.
//!
//! Invariant: the same seed gives the same events, and one call of the engine makes at most one version.

use amiko_core::Version;
use amiko_core::engine::{EngineOpenError, Entropy, EventError, SyncError};
use amiko_core::event::Request;
use amiko_core::prelude::*;
use amiko_core::sim::{Random, SimVfs};
use amiko_core::store::{DirectorySettings, OpenError, RecoverError, Retention, StoreError};
use std::time::Duration;

pub type Store = Directory<SimVfs>;
pub type Bank = Engine<Books, Store>;

#[derive(Clone, Serializable)]
#[amiko(key = String, kind = "account", reply = u64)]
pub struct Account {
    balance: u64,
    notes: Vec<String>,
}

#[derive(Clone, Serializable)]
#[amiko(key = u64, kind = "receipt")]
pub struct Receipt {
    text: String,
}

/// Peers and commands are told the number of the step that they hear from.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(network = u64, notice = u64)]
pub struct Books {
    #[amiko(machines)]
    accounts: Table<Account>,
    #[amiko(objects)]
    receipts: Table<Receipt>,
}

#[derive(Clone, Debug, Serializable)]
pub enum Order {
    Deposit { amount: u64 },
    Note { text: String },
    Forget,
    Issue { number: u64 },
    Redeem { number: u64 },
    Open { name: String },
    Close { name: String },
    Pass { name: String, amount: u64 },
    Remind { name: String, at: u64, refuse: bool },
    Cancel { name: String },
    Connect,
    Transmit { step: u64 },
    Reply { step: u64 },
    Refuse,
}

#[derive(Clone, Debug, Serializable)]
pub struct Orders {
    list: Vec<Order>,
}

impl StateMachine for Account {
    type Node = Books;
    type Message = Orders;

    fn handle(&mut self, orders: Orders, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        for order in orders.list {
            match order {
                Order::Deposit { amount } => self.balance += amount,
                Order::Note { text } => self.notes.push(format!("{text} {:?}", cx.random::<4>())),
                Order::Forget => self.notes.clear(),
                Order::Issue { number } => cx.create(&Id::new(number), Receipt { text: format!("receipt {number}") }),
                Order::Redeem { number } => cx.remove(&Id::<Receipt>::new(number)),
                Order::Open { name } => cx.create(&account(&name), Account { balance: 0, notes: Vec::new() }),
                Order::Close { name } => cx.remove(&account(&name)),
                Order::Pass { name, amount } => {
                    cx.send(&account(&name), Orders { list: vec![Order::Deposit { amount }] });
                }
                Order::Remind { name, at, refuse } => {
                    let then = if refuse { Order::Refuse } else { Order::Note { text: name.clone() } };
                    cx.timer(&name, Time::from_millis(at), Orders { list: vec![Order::Deposit { amount: 1 }, then] });
                }
                Order::Cancel { name } => cx.cancel(&name),
                Order::Connect => cx.connect(&peer(), Some("peer.example:7")),
                Order::Transmit { step } => cx.transmit(&peer(), step),
                Order::Reply { step } => {
                    cx.reply(step);
                    cx.notify(step);
                }
                Order::Refuse => return Err(Rejection::new("the order said so")),
            }
        }
        Ok(())
    }
}

/// One call of the engine.
#[derive(Clone, Debug)]
pub enum Step {
    Command(Vec<Order>),
    /// The next message of the peer: what it asks for, or noise.
    Receive(Option<Vec<Order>>),
    /// The peer has everything that it was sent.
    Confirm,
    Tick,
    Sync,
    /// Has the disk do its part of a sync, which ends later.
    Begin,
}

pub fn account(name: &str) -> Id<Account> {
    Id::new(name)
}

pub fn peer() -> Id<Connection<Books>> {
    Id::new("peer")
}

pub fn envelope(list: Vec<Order>) -> BooksEnvelope {
    BooksEnvelope::Account(account("main"), Orders { list })
}

/// When a step happens.
pub fn moment(step: u64) -> Time {
    Time::from_millis(1_000) + Duration::from_millis(10 * step)
}

impl Step {
    /// Calls the engine; gives back its version.
    pub fn take(&self, number: u64, bank: &mut Bank) -> Result<Version, EventError> {
        let now = moment(number);
        match self {
            Self::Command(orders) => bank.command(envelope(orders.clone()), Some(Request(number)), now),
            Self::Receive(orders) => {
                let index = bank.connection(&peer()).map_or(0, |connection| connection.received);
                let noise = || Rejection::new("expected a message, found noise");
                bank.receive(&peer(), index, orders.clone().map(envelope).ok_or_else(noise), now)
            }
            Self::Confirm => match bank.outbox(&peer()).last().map(|(index, _)| index) {
                Some(index) => bank.confirm(&peer(), index, now),
                None => Ok(bank.version()),
            },
            Self::Tick | Self::Sync | Self::Begin => bank.tick(now),
        }
    }
}

fn open_store(disk: &SimVfs) -> Result<Store, OpenError> {
    Directory::open_with_vfs(
        "store",
        {
            let mut settings = DirectorySettings::default();
            (settings.segment_chunk, settings.retention) = (256, Retention::Count(0));
            settings
        },
        disk.clone(),
    )
}

/// `compacting`: with a snapshot every few syncs, else with none but the first.
pub fn settings(compacting: bool) -> Settings {
    let mut settings = Settings::default();
    settings.entropy = Entropy::Seed([7; 32]);
    settings.history = 2;
    settings.limits.due = 1;
    settings.snapshot_ratio = 1;
    settings.snapshot_minimum = if compacting { 1_200 } else { u64::MAX };
    settings
}

fn initial() -> Books {
    let main = Account { balance: 100, notes: Vec::new() };
    Books { accounts: [(account("main"), main)].into_iter().collect(), ..Books::default() }
}

/// Why a disk wasn't opened.
#[derive(Debug)]
pub enum Refusal {
    /// The disk failed.
    Io,
    /// A file isn't what it should be; this says where.
    Typed(RecoverError),
    /// What should never be.
    Wrong(#[expect(dead_code, reason = "it's printed")] String),
}

pub fn open(disk: &SimVfs, settings: Settings) -> Result<Bank, Refusal> {
    let store = open_store(disk).map_err(|error| match error {
        OpenError::Io { .. } => Refusal::Io,
        other => Refusal::Wrong(other.to_string()),
    })?;
    Engine::open_with(store, settings, initial).map_err(|error| match error {
        EngineOpenError::Recover(RecoverError::Io { .. })
        | EngineOpenError::Describe(StoreError::Io { .. })
        | EngineOpenError::Snapshot(SyncError::Store(StoreError::Io { .. })) => Refusal::Io,
        EngineOpenError::Recover(error) => Refusal::Typed(error),
        other => Refusal::Wrong(format!("{other:?}")),
    })
}

/// So many steps from a seed, numbered from `first` on. The first ones make what the others need.
pub fn steps(seed: u64, first: u64, count: usize) -> Vec<(u64, Step)> {
    let mut random = Random::new(seed);
    let mut steps = vec![Step::Command(vec![Order::Connect, Order::Open { name: "other".into() }]), Step::Sync];
    while steps.len() < count {
        let step = first + steps.len() as u64;
        steps.push(match random.below(20) {
            0..=8 => {
                let mut orders: Vec<_> = (0..1 + random.below(3)).map(|_| order(&mut random, step)).collect();
                orders.push(Order::Reply { step });
                if random.below(8) == 0 {
                    orders.push(Order::Refuse);
                }
                Step::Command(orders)
            }
            9..=10 => Step::Receive((random.below(4) > 0).then(|| vec![order(&mut random, step)])),
            11 => Step::Confirm,
            12 => Step::Tick,
            13..=15 => Step::Begin,
            _ => Step::Sync,
        });
    }
    steps.push(Step::Sync);
    (first..).zip(steps).collect()
}

fn order(random: &mut Random, step: u64) -> Order {
    let name = || "other".to_owned();
    match random.below(15) {
        0..=1 => Order::Deposit { amount: random.below(100) },
        2..=3 => Order::Note { text: format!("step {step} äöü \"\\") },
        4 => Order::Forget,
        5..=6 => Order::Issue { number: random.below(6) },
        7 => Order::Redeem { number: random.below(6) },
        8 => Order::Open { name: name() },
        9 => Order::Close { name: name() },
        10 => Order::Pass { name: name(), amount: random.below(9) },
        11 => {
            let at = moment(step).as_millis() + random.below(100);
            Order::Remind { name: format!("reminder {}", random.below(3)), at, refuse: random.below(3) == 0 }
        }
        12 => Order::Cancel { name: "reminder 0".into() },
        _ => Order::Transmit { step },
    }
}
