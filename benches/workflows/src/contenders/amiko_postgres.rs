//! The workflows of Amiko on PostgreSQL.

use super::amiko::{Office, Ready, prepare, settings};
use crate::contender::{Contender, Later, Opened, Way};
use crate::place::{Kind, address};
use amiko_core::prelude::*;
use amiko_postgres::{Postgres, PostgresSettings};
use tokio::task::spawn_blocking;

/// The name of the node there.
const NODE: &str = "workflows";

/// On PostgreSQL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AmikoPostgres {
    /// As many attempts at a time as workflows.
    Tuned,
    /// As many as there are by default.
    Defaults,
}

impl Contender for AmikoPostgres {
    fn name(&self) -> &'static str {
        match self {
            Self::Tuned => "Amiko on PostgreSQL",
            Self::Defaults => "Amiko on PostgreSQL, as it comes",
        }
    }

    fn argument(&self) -> &'static str {
        match self {
            Self::Tuned => "amiko-postgres",
            Self::Defaults => "amiko-postgres-defaults",
        }
    }

    fn is(&self, way: Way) -> bool {
        way == if *self == Self::Tuned { Way::Tuned } else { Way::Defaults }
    }

    fn kind(&self) -> Kind {
        Kind::Database
    }

    fn promise(&self) -> &'static str {
        "as `synchronous_commit` of the server says: on, by default; what waits meanwhile shares a commit"
    }

    fn open<'c>(&'c self, place: &'c str) -> Later<'c, Box<dyn Opened>> {
        Box::pin(async move {
            let (address, settings) = (address(place).await, settings(*self == Self::Tuned));
            let engine = spawn_blocking(move || open(&address)).await.expect("opens");
            Box::new(Ready { engine, settings }) as Box<dyn Opened>
        })
    }

    fn prepare<'c>(&'c self, place: &'c str, count: u64) -> Later<'c, ()> {
        Box::pin(async move {
            let address = address(place).await;
            let work = move || {
                let mut engine = open(&address);
                prepare(&mut engine, count);
                engine.into_store().close();
            };
            spawn_blocking(work).await.expect("prepares");
        })
    }
}

fn open(address: &str) -> Engine<Office, Postgres> {
    let store = Postgres::open(address, NODE, PostgresSettings::default()).expect("leads");
    Engine::open(store, Settings::default()).expect("opens")
}
