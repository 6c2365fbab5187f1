//! What one changed entry of a large field costs: one object, one field of 1,000,000 entries, one event. Milliseconds, in memory,
//! median of some events.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench that goes wrong has no figures to give"
)]

use amiko_benches::Sink;
use amiko_core::prelude::*;
use amiko_core::serializable::diff;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ENTRIES: u64 = 1_000_000;
const EVENTS: u64 = 7;

#[derive(Clone, Default, Serializable)]
#[amiko(key = u64)]
struct Large {
    list: Vec<u64>,
    ordered: BTreeMap<u64, u64>,
    named: BTreeMap<String, String>,
    shared: Map<u64, u64>,
}

#[derive(Clone, Serializable)]
enum LargeMessage {
    List { at: u64 },
    Pop,
    Ordered { at: u64 },
    Named { at: u64 },
    Shared { at: u64 },
}

impl StateMachine for Large {
    type Node = Node1;
    type Message = LargeMessage;

    fn handle(&mut self, message: LargeMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            LargeMessage::List { at } => self.list[usize::try_from(at).unwrap_or(0)] += 1,
            LargeMessage::Pop => drop(self.list.pop()),
            LargeMessage::Ordered { at } => *self.ordered.entry(at).or_default() += 1,
            LargeMessage::Named { at } => self.named.entry(name(at)).or_default().push('x'),
            LargeMessage::Shared { at } => drop(self.shared.insert(at, 7)),
        }
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Node1 {
    #[amiko(machines)]
    larges: Table<Large>,
}

fn name(number: u64) -> String {
    format!("name {number:07}")
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn measure(called: &str, large: &Large, message: impl Fn(u64) -> LargeMessage) {
    let mut settings = Settings::default();
    settings.snapshot_minimum = u64::MAX;
    let larges = [(Id::new(1_u64), large.clone())].into_iter().collect();
    let mut engine = Engine::open_with(Sink::default(), settings, || Node1 { larges }).expect("it has a text");
    let time = |act: &mut dyn FnMut(u64)| {
        let times = (0..EVENTS).map(|event| {
            let begun = Instant::now();
            act(event * 100_001);
            begun.elapsed()
        });
        median(times.collect())
    };
    let event = time(&mut |at| {
        engine.send(&Id::<Large>::new(1_u64), message(at), Time::from_secs(1)).unwrap();
    });
    let copy = time(&mut |_| drop(std::hint::black_box(large.clone())));
    let new = large.clone();
    let difference = time(&mut |_| assert_eq!(diff(large, &new).unwrap(), "[]"));
    println!("{called:28} {event:9.3} event {copy:9.3} copy and drop {difference:9.3} difference of equal ones");
}

fn main() {
    let numbers = || (0..ENTRIES).map(|number| (number, number));
    let list = Large { list: (0..ENTRIES).collect(), ..Large::default() };
    measure("Vec<u64>", &list, |at| LargeMessage::List { at });
    measure("Vec<u64>, pop", &list, |_| LargeMessage::Pop);
    let ordered = Large { ordered: numbers().collect(), ..Large::default() };
    measure("BTreeMap<u64, u64>", &ordered, |at| LargeMessage::Ordered { at });
    let named = Large { named: (0..ENTRIES).map(|number| (name(number), name(number))).collect(), ..Large::default() };
    measure("BTreeMap<String, String>", &named, |at| LargeMessage::Named { at });
    let shared = Large { shared: numbers().collect(), ..Large::default() };
    measure("Map<u64, u64>", &shared, |at| LargeMessage::Shared { at });
}
