//! What somebody writes who depends on the packed crates.

use amiko_core::{Hosts, PublicKey, prelude::*};
use amiko_runtime::{NetSettings, Protocol, Runtime, Acceptance};

#[derive(Clone, Default, Serializable)]
#[amiko(key = String)]
struct Counter {
    count: u64,
}

#[derive(Clone, Serializable)]
enum Count {
    Up { by: u64 },
}

impl StateMachine for Counter {
    type Node = Counters;
    type Message = Count;

    fn handle(&mut self, Count::Up { by }: Count, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.count = self.count.checked_add(by).ok_or(Rejection::new("the counter is full"))?;
        cx.reply(self.count);
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(reply = u64)]
struct Counters {
    #[amiko(machines)]
    counters: Table<Counter>,
}

/// Nobody is talked to.
struct Alone;

impl Protocol for Alone {
    type Node = Counters;

    fn hello(
        &self,
        _: &Counters,
        _: &Id<Connection<Counters>>,
        _: [u8; 4],
    ) -> Result<amiko_core::tree::Nothing, Rejection> {
        Err(Rejection::new("nothing to say"))
    }

    fn accept(
        &self,
        _: &Counters,
        _: Option<PublicKey>,
        hello: amiko_core::tree::Nothing,
    ) -> Result<Acceptance<Counters>, Rejection> {
        match hello {}
    }

    fn envelope(
        &self,
        _: &Counters,
        _: &Id<Connection<Counters>>,
        message: amiko_core::tree::Nothing,
    ) -> Result<CountersEnvelope, Rejection> {
        match message {}
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("amiko-stranger-{}", std::process::id()));
    let one = Id::<Counter>::new("one");
    let counters = || Counters { counters: [(Id::new("one"), Counter::default())].into_iter().collect() };

    let mut engine = Engine::open_with(Directory::open(&directory)?, Settings::default(), counters)?;
    engine.send(&one, Count::Up { by: 2 }, Time::from_secs(1_800_000_000))?;
    engine.sync()?;

    let runtime = Runtime::bind(engine, Alone, NetSettings::default()).await?;
    let handle = runtime.handle();
    let running = tokio::spawn(runtime.run());
    let replies = handle.command(Counters::envelope(one.clone(), Count::Up { by: 5 })).await?;
    handle.stop();
    drop(running.await??);

    let engine = Engine::<Counters>::open(Directory::open(&directory)?, Settings::default())?;
    let count = engine.node().counters.get(&one).map(|counter| counter.count);
    drop(engine);
    std::fs::remove_dir_all(&directory)?;
    println!("a stranger's node counted to {replies:?}, and to {count:?} after a restart");
    if replies == [7] && count == Some(7) { Ok(()) } else { Err("expected it to count to 7".into()) }
}
