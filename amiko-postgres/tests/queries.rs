//! The queries of `docs/postgres.md`, on a node that has what they ask for.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use amiko_postgres::Postgres;
use common::{database, node, quick};
use tokio_postgres::NoTls;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Order {
    state: String,
}

#[derive(Clone, Serializable)]
enum OrderMessage {
    Set { state: String },
}

impl StateMachine for Order {
    type Node = Shop;
    type Message = OrderMessage;

    fn handle(
        &mut self,
        OrderMessage::Set { state }: OrderMessage,
        _: &mut Context<'_, Self>,
    ) -> Result<(), Rejection> {
        self.state = state;
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Shop {
    #[amiko(machines)]
    orders: Table<Order>,
}

/// The queries of the page: its blocks of SQL that only read.
fn queries() -> Vec<String> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/postgres.md")).unwrap();
    let blocks = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.starts_with("SELECT")).map(str::to_owned).collect()
}

#[test]
fn each_query_of_the_page_finds_something() {
    let Some(url) = database() else { return };
    let name = node("queries");
    let shop = || Shop { orders: [(Id::new("17"), Order { state: "placed".into() })].into_iter().collect() };
    let store = Postgres::open(&url, &name, quick()).unwrap();
    let mut engine = Engine::open_with(store, Settings::default(), shop).unwrap();
    // A text that PostgreSQL can't hold as such.
    for (state, second) in [("paid", 1), ("\0 \u{1f980} \\u0000", 2), ("shipped", 3)] {
        engine.send(&Id::new("17"), OrderMessage::Set { state: state.into() }, Time::from_secs(second)).unwrap();
    }
    engine.sync().unwrap();

    let queries = queries();
    assert!(queries.len() >= 5, "{queries:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config: tokio_postgres::Config = url.parse().unwrap();
        config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        for query in queries {
            let rows = client.query(&query.replace("'shop'", &format!("'{name}'")), &[]).await;
            let rows = rows.unwrap_or_else(|error| panic!("{query}: {:?}", error.as_db_error()));
            assert!(!rows.is_empty(), "{query}");
        }
        let states = "SELECT value #>> '{}' FROM amiko.change WHERE node = $1 ORDER BY seq";
        let states = client.query(states, &[&name]).await.unwrap();
        let states: Vec<&str> = states.iter().map(|row| row.get(0)).collect();
        assert_eq!(states, ["paid", "\u{fffd} \u{1f980} \\u0000", "shipped"]);
    });
}
