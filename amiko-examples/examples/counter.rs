//! The smallest whole: counters that survive `kill -9`. Each run adds one to a counter and shows it.
//!
//!     cargo run --example counter -- apples

use amiko_core::prelude::*;
use std::error::Error;
use std::time::SystemTime;

/// One counter. `key` says what its IDs are made of.
#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Counter {
    value: u64,
}

/// What can be said to a counter.
#[derive(Clone, Serializable)]
enum CounterMessage {
    Add { amount: u64 },
}

impl StateMachine for Counter {
    type Node = Counters;
    type Message = CounterMessage;

    fn handle(&mut self, message: CounterMessage, _cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let CounterMessage::Add { amount } = message;
        self.value = self.value.checked_add(amount).ok_or(Rejection::new("the counter is full"))?;
        Ok(())
    }
}

/// The node is a machine as well: it creates counters.
#[derive(Clone, Serializable)]
enum CountersMessage {
    Create { name: String },
}

/// The whole state.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Counters {
    #[amiko(machines)]
    counters: Table<Counter>,
}

impl StateMachine for Counters {
    type Node = Self;
    type Message = CountersMessage;

    fn handle(&mut self, message: CountersMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let CountersMessage::Create { name } = message;
        cx.create(&Id::new(name), Counter { value: 0 });
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "apples".into());
    let now = Time::from(SystemTime::now());
    let mut engine = Engine::<Counters>::open(Directory::open("counter-state")?, Settings::default())?;

    let counter = Id::<Counter>::new(name.clone());
    if engine.node().counters.get(&counter).is_none() {
        engine.send(&Id::<Counters>::new(()), CountersMessage::Create { name }, now)?;
    }
    engine.send(&counter, CounterMessage::Add { amount: 1 }, now)?;
    engine.sync()?; // Now it is on disk: look into counter-state/.

    for (id, counter) in engine.node().counters.iter() {
        println!("{} = {}", id.key(), counter.value);
    }
    Ok(())
}
