//! Where a contender keeps its state: a directory, or a database of a PostgreSQL.
//!
//! Invariant: each turn has a place of its own, which is gone when its owner is dropped.

use crate::directory;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};

/// What names the servers.
const SERVERS: &str = "AMIKO_POSTGRES";

/// In what a state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files, and no server.
    Directory,
    /// A database of PostgreSQL.
    Database,
}

impl Kind {
    /// Those that are at hand.
    pub fn at_hand() -> Vec<Self> {
        if servers().is_some() { vec![Self::Directory, Self::Database] } else { vec![Self::Directory] }
    }

    /// What is said of it in the title of a table.
    pub fn title(self) -> &'static str {
        match self {
            Self::Directory => "",
            Self::Database => ", on PostgreSQL",
        }
    }
}

/// The address of the servers, if there are some.
pub fn servers() -> Option<String> {
    std::env::var(SERVERS).ok().filter(|servers| !servers.is_empty())
}

/// Does something with the server that takes commits.
async fn with_leader<T>(work: impl AsyncFnOnce(&Client) -> T) -> T {
    let servers = servers().expect("a PostgreSQL");
    let mut config: Config = servers.parse().expect("an address of PostgreSQL");
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    let (client, connection) = config.connect(NoTls).await.expect("connects");
    let connection = tokio::spawn(connection);
    let done = work(&client).await;
    drop(client);
    connection.await.expect("goes on").expect("ends");
    done
}

/// Runs one statement there; gives the first column of the only row, as text.
async fn ask(statement: &str) -> String {
    with_leader(async |client| {
        let rows = client.simple_query(statement).await.expect("answers");
        let row = rows.iter().find_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        row.unwrap_or_default().to_owned()
    })
    .await
}

/// The address of a database on the server that takes commits, for those who can't find out themselves which one does.
pub async fn address(database: &str) -> String {
    let server = "SELECT format('%s@%s:%s', current_user, host(inet_server_addr()), inet_server_port())";
    format!("postgres://{}/{database}?sslmode=disable", ask(server).await)
}

/// A connection to a database on that server.
pub async fn connect(database: &str) -> Client {
    let config: Config = address(database).await.parse().expect("an address of PostgreSQL");
    let (client, connection) = config.connect(NoTls).await.expect("connects");
    tokio::spawn(connection);
    client
}

/// How often that server has synced what it has written ahead.
pub async fn syncs_of_server() -> u64 {
    ask("SELECT wal_sync FROM pg_stat_wal").await.parse().expect("a number")
}

/// Runs what isn't part of a turn.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().expect("a runtime")).block_on(work)
}

/// How often the server has synced, if a state of this kind is kept by one.
pub fn syncs_of(kind: Kind) -> u64 {
    match kind {
        Kind::Directory => 0,
        Kind::Database => block_on(syncs_of_server()),
    }
}

/// Where one state is.
pub enum Place {
    /// In a directory.
    Directory(TempDir),
    /// In a database of this name.
    Database(String),
}

impl Place {
    /// An empty one.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::Directory => Self::Directory(directory()),
            Kind::Database => Self::database("template1"),
        }
    }

    fn database(template: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("workflows_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        block_on(ask(&format!("CREATE DATABASE {name} TEMPLATE {template}")));
        Self::Database(name)
    }

    /// Another one with the same in it. Nobody must have it open.
    pub fn copy(&self) -> Self {
        match self {
            Self::Directory(from) => {
                let to = directory();
                for file in files(from.path()) {
                    std::fs::copy(&file, to.path().join(file.file_name().expect("a name"))).expect("copies");
                }
                Self::Directory(to)
            }
            Self::Database(name) => Self::database(name),
        }
    }

    /// Its bytes.
    pub fn size(&self) -> f64 {
        match self {
            Self::Directory(directory) => {
                files(directory.path()).iter().map(|file| file.metadata().expect("reads").len() as f64).sum()
            }
            Self::Database(name) => {
                let size = format!("SELECT pg_database_size('{name}') - pg_database_size('template1')");
                block_on(ask(&size)).parse().expect("a number")
            }
        }
    }

    /// What a turn is told.
    pub fn argument(&self) -> String {
        match self {
            Self::Directory(directory) => directory.path().display().to_string(),
            Self::Database(name) => name.clone(),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Database(name) = self {
            block_on(ask(&format!("DROP DATABASE {name} WITH (FORCE)")));
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory).expect("lists");
    files.map(|file| file.expect("lists").path()).collect()
}
