//! What somebody writes who depends on the packed crates.

use amiko_core::prelude::*;
use amiko_runtime::Runtime;

#[derive(Clone, Default, Serializable)]
#[amiko(key = String, reply = u64)]
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
struct Counters {
    #[amiko(machines)]
    counters: Table<Counter>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join(format!("amiko-stranger-{}", std::process::id()));
    let one = Id::<Counter>::new("one");
    let counters = || Counters { counters: [(Id::new("one"), Counter::default())].into_iter().collect() };

    let mut engine = Engine::open_with(Directory::open(&directory)?, Settings::default(), counters)?;
    engine.send(&one, Count::Up { by: 2 }, Time::from_secs(1_800_000_000))?;
    engine.sync()?;

    let (handle, running) = Runtime::new(engine).spawn();
    let reply = handle.send(&one, Count::Up { by: 5 }).await?;
    handle.stop();
    drop(running.await?);

    let engine = Engine::<Counters>::open(Directory::open(&directory)?, Settings::default())?;
    let count = engine.node().counters.get(&one).map(|counter| counter.count);
    drop(engine);
    std::fs::remove_dir_all(&directory)?;
    println!("a stranger's node counted to {reply:?}, and to {count:?} after a restart");
    if reply == 7 && count == Some(7) { Ok(()) } else { Err("expected it to count to 7".into()) }
}
