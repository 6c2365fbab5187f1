//! A shop that can be seen into: the trace of one order, and the metrics of a load.
//!
//! ```sh
//! cargo run --release -p amiko-runtime --all-features --example observed
//! ```

use amiko_core::prelude::*;
use amiko_runtime::{Handle, Runtime, SendError, observe};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::error::Error;
use std::fmt;
use tokio::task::JoinSet;
use tracing::{Instrument, Level, info, info_span};

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, reply = u64)]
struct Shop {
    #[amiko(machines)]
    items: Table<Item>,
    orders: u64,
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Item {
    stock: u64,
}

#[derive(Clone, Serializable)]
struct Order {
    item: Id<Item>,
    count: u64,
}

#[derive(Clone, Serializable)]
struct Take {
    count: u64,
}

#[derive(Debug)]
struct Shortage;

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too few are left")
    }
}

impl Error for Shortage {}

impl StateMachine for Shop {
    type Node = Self;
    type Message = Order;

    fn handle(&mut self, Order { item, count }: Order, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.orders += 1;
        cx.send(&item, Take { count });
        cx.reply(self.orders);
        Ok(())
    }
}

impl StateMachine for Item {
    type Node = Shop;
    type Message = Take;

    fn handle(&mut self, Take { count }: Take, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.stock = self.stock.checked_sub(count).ok_or(Shortage)?;
        info!(left = self.stock, "taken");
        Ok(())
    }
}

async fn order(shop: &Handle<Shop>, count: u64) -> Result<u64, SendError> {
    shop.send(&Id::<Shop>::node(), Order { item: Id::new("nuts"), count }).await
}

/// 64 callers, each with 100 orders, one after the other.
async fn load(shop: &Handle<Shop>) {
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let shop = shop.clone();
        callers.spawn(async move {
            for _ in 0..100 {
                // The last ones find too few: they are counted as rejected.
                let _ = order(&shop, 1).await;
            }
        });
    }
    callers.join_all().await;
}

// One thread, so that what it listens to is all that happens.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    observe::describe_metrics();
    let directory = tempfile::tempdir()?;

    let subscriber = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_ansi(false).without_time().finish();
    let listening = tracing::subscriber::set_default(subscriber);
    let engine = Engine::open_with(Directory::open(directory.path())?, Settings::default(), || Shop {
        items: [(Id::new("nuts"), Item { stock: 6_000 })].into_iter().collect(),
        orders: 0,
    })?;
    let (shop, running) = Runtime::new(engine).spawn();
    order(&shop, 2).instrument(info_span!("request", number = 1)).await?;
    drop(listening);

    load(&shop).await;
    shop.stop();
    running.await?;
    println!("\n{}", metrics.render());
    Ok(())
}
