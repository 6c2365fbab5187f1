//! The database of the tests: whatever `AMIKO_POSTGRES` names. `.ci/postgres` starts one.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "shared by tests, each of which uses a part")]

use amiko_postgres::{Postgres, PostgresSettings};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The address of the database. Without one, a test says that it wasn't run, and is over.
pub(crate) fn database() -> Option<String> {
    let url = std::env::var("AMIKO_POSTGRES").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        // Past the test harness, which keeps to itself what a test that passes prints.
        let said = "NOT RUN: there is no PostgreSQL; start one with .ci/postgres, or name yours in AMIKO_POSTGRES=postgres://…";
        let _ = writeln!(std::io::stderr(), "{said}");
    }
    url
}

/// A name that no other test, and no earlier run, has.
pub(crate) fn node(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{name}-{}-{}-{}", now.as_micros(), std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Settings with a short lease, so that a test that waits for its end is short too.
pub(crate) fn quick() -> PostgresSettings {
    let mut settings = PostgresSettings::default();
    settings.lease = Duration::from_millis(100);
    settings.renew = Duration::from_millis(20);
    settings.poll = Duration::from_millis(10);
    settings
}

/// Leads the node, as soon as nobody else does any more.
pub(crate) fn lead(url: &str, node: &str, settings: &PostgresSettings) -> Postgres {
    loop {
        match Postgres::open(url, node, settings.clone()) {
            Ok(store) => return store,
            Err(amiko_postgres::OpenError::Led { .. }) => std::thread::sleep(settings.poll),
            Err(error) => {
                panic!("{error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
            }
        }
    }
}

/// Rows of the database, as text, asked of whichever server can be written.
pub(crate) fn ask(url: &str, sql: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
    ask_any(&config, sql)
}

/// The same of this server, whatever it is.
pub(crate) fn ask_any(config: &tokio_postgres::Config, sql: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
    let mut config = config.clone();
    config.connect_timeout(Duration::from_secs(2));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        let driver = tokio::spawn(connection);
        let messages = client.simple_query(sql).await;
        driver.abort();
        let text = |row: &tokio_postgres::SimpleQueryRow| {
            (0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect()
        };
        Ok(messages?
            .iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(text(row)),
                _ => None,
            })
            .collect())
    })
}

/// Waits until something holds, which has to be soon.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "expected within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
