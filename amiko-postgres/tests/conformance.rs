//! The requirements on any store, held against this one.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use amiko_core::store::conformance::{self, Subject};
use amiko_postgres::{Postgres, PostgresSettings};
use common::{database, lead, node, quick};
use std::error::Error;

struct OnPostgres(String);

impl Subject for OnPostgres {
    type Store = Postgres;

    fn fresh(&mut self) -> Result<Postgres, Box<dyn Error>> {
        Ok(Postgres::open(&self.0, &node("conformance"), quick())?)
    }

    fn crash(&mut self, store: Postgres) -> Result<Postgres, Box<dyn Error>> {
        let node = store.node().to_owned();
        store.abandon();
        Ok(lead(&self.0, &node, &quick()))
    }

    fn limited(&mut self, bytes: u64) -> Result<Option<Postgres>, Box<dyn Error>> {
        let settings: PostgresSettings = {
            let mut settings = quick();
            settings.buffer_limit = bytes;
            settings
        };
        Ok(Some(Postgres::open(&self.0, &node("conformance"), settings)?))
    }
}

#[test]
fn it_does_what_any_store_does() {
    let Some(url) = database() else { return };
    conformance::check_all(&mut OnPostgres(url)).unwrap();
}
