//! The shop of `amiko-examples/src/bin/orders.rs` as one writes it on rusqlite: the same routes, statuses and promises,
//! but for cards.
//!
//! `orders_rusqlite shop/ 127.0.0.1:8080`; with `alone` as a third argument each request has a transaction of its own.
//!
//! Invariant: a request is answered after the transaction that it is part of is on disk. One thread writes; a group is all
//! requests that were waiting. Who reads has another connection, and sees what is committed.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// How long an order may stay unpaid.
const EXPIRY: Duration = Duration::from_secs(15 * 60);
/// How often it is looked for orders that have expired.
const TICK: Duration = Duration::from_secs(1);
/// Requests in one transaction, as in `RuntimeSettings::group`.
const GROUP: usize = 1_000;

/// An order has a time in `expires` while it waits for its payment: that is the timer.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS items (name TEXT PRIMARY KEY, stock INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS orders (
        number INTEGER PRIMARY KEY, item TEXT NOT NULL, count INTEGER NOT NULL, phase INTEGER NOT NULL, expires INTEGER
    ) STRICT;
    CREATE INDEX IF NOT EXISTS timers ON orders (expires) WHERE expires IS NOT NULL;
    CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT OR IGNORE INTO items VALUES ('nuts', 1000000);
";

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
enum Phase {
    Placed,
    Paid,
    Shipped,
    Expired,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Placed, Self::Paid, Self::Shipped, Self::Expired];
}

#[derive(Serialize)]
#[serde(tag = "_class")]
struct Order {
    item: String,
    count: u64,
    phase: Phase,
}

/// Why a request has no effect.
enum Refusal {
    NoSuchItem,
    Shortage { available: u64 },
    NoSuchOrder,
    NotIn { expected: Phase, found: Phase },
    KeyUsed,
    Failed(rusqlite::Error),
    Stopped,
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchItem => f.write_str("the shop doesn't have this item"),
            Self::Shortage { available } => write!(f, "only {available} are left"),
            Self::NoSuchOrder => f.write_str("there is no such order"),
            Self::NotIn { expected, found } => write!(f, "expected an order that is {expected:?}, found {found:?}"),
            Self::KeyUsed => f.write_str("another request had this key"),
            Self::Failed(error) => write!(f, "{error}"),
            Self::Stopped => f.write_str("the shop has stopped"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchItem => StatusCode::NOT_FOUND,
            Self::Shortage { .. } => StatusCode::CONFLICT,
            Self::Failed(_) | Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoSuchOrder | Self::NotIn { .. } | Self::KeyUsed => StatusCode::UNPROCESSABLE_ENTITY,
        };
        (status, format!("{self}\n")).into_response()
    }
}

enum Work {
    Place { item: String, count: u64, key: Option<String> },
    Enter { number: u64, from: Phase, to: Phase },
}

/// The number of the order.
type Outcome = Result<u64, Refusal>;

struct Request {
    work: Work,
    answer: oneshot::Sender<Outcome>,
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

fn order(row: &Row<'_>) -> rusqlite::Result<Order> {
    let phase = Phase::ALL[row.get::<_, usize>("phase")? % Phase::ALL.len()];
    Ok(Order { item: row.get("item")?, count: row.get("count")?, phase })
}

fn connect(directory: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(directory.join("shop.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // 64 MiB: room for everything.
    connection.pragma_update(None, "cache_size", -(64 << 10))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise a statement is compiled anew whenever a value is bound that its plan might depend on, as with the partial index.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// The one who writes.
struct Writer {
    connection: Connection,
    group: usize,
}

impl Writer {
    /// Until nobody can send requests any more.
    fn run(self, requests: &Receiver<Request>) -> rusqlite::Result<()> {
        let mut next_tick = now();
        let (mut group, mut outcomes) = (Vec::new(), Vec::new());
        loop {
            match requests.recv_timeout(TICK) {
                Ok(request) => group.push(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            group.extend(requests.try_iter().take(self.group - group.len()));
            self.execute("BEGIN IMMEDIATE")?;
            if now() >= next_tick {
                self.expire()?;
                next_tick = now() + TICK.as_millis() as i64;
            }
            for request in &group {
                outcomes.push(self.apart(&request.work)?);
            }
            // If the disk fails nobody is answered, and the service ends: what was promised is on disk.
            self.execute("COMMIT")?;
            for (request, outcome) in group.drain(..).zip(outcomes.drain(..)) {
                // The client may have gone.
                drop(request.answer.send(outcome));
            }
        }
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(statement)?.execute([])
    }

    /// A request that is refused is undone, and the others of its group aren't.
    fn apart(&self, work: &Work) -> rusqlite::Result<Outcome> {
        self.execute("SAVEPOINT request")?;
        let outcome = self.act(work);
        if outcome.is_err() {
            self.execute("ROLLBACK TO request")?;
        }
        self.execute("RELEASE request")?;
        Ok(outcome)
    }

    fn act(&self, work: &Work) -> Outcome {
        match work {
            Work::Place { item, count, key } => self.place(item, *count, key.as_deref()),
            Work::Enter { number, from, to } => self.enter(*number, *from, *to),
        }
    }

    fn place(&self, item: &str, count: u64, key: Option<&str>) -> Outcome {
        let sql = |statement| self.connection.prepare_cached(statement);
        if let Some(key) = key {
            let mut answered =
                sql("SELECT number, item, count FROM answers JOIN orders USING (number) WHERE key = ?1")?;
            let same =
                |row: &Row<'_>| Ok((row.get(0)?, row.get_ref(1)?.as_str()? == item && row.get::<_, u64>(2)? == count));
            match answered.query_one([key], same).optional()? {
                Some((number, true)) => return Ok(number),
                Some((_, false)) => return Err(Refusal::KeyUsed),
                None => {}
            }
        }
        let taken =
            sql("UPDATE items SET stock = stock - ?2 WHERE name = ?1 AND stock >= ?2")?.execute((item, count))?;
        if taken == 0 {
            let stock =
                sql("SELECT stock FROM items WHERE name = ?1")?.query_one([item], |row| row.get(0)).optional()?;
            return Err(stock.map_or(Refusal::NoSuchItem, |available| Refusal::Shortage { available }));
        }
        let expires = now() + EXPIRY.as_millis() as i64;
        sql("INSERT INTO orders (item, count, phase, expires) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            item,
            count,
            Phase::Placed as i64,
            expires
        ])?;
        let number = self.connection.last_insert_rowid();
        if let Some(key) = key {
            sql("INSERT INTO answers VALUES (?1, ?2)")?.execute((key, number))?;
        }
        Ok(number as u64)
    }

    fn enter(&self, number: u64, from: Phase, to: Phase) -> Outcome {
        let sql = |statement| self.connection.prepare_cached(statement);
        let entered = sql("UPDATE orders SET phase = ?3, expires = NULL WHERE number = ?1 AND phase = ?2")?
            .execute((number, from as i64, to as i64))?;
        if entered == 0 {
            let found = sql("SELECT * FROM orders WHERE number = ?1")?.query_one([number], order).optional()?;
            return Err(
                found.map_or(Refusal::NoSuchOrder, |order| Refusal::NotIn { expected: from, found: order.phase })
            );
        }
        Ok(number)
    }

    /// What is due puts its stock back.
    fn expire(&self) -> rusqlite::Result<()> {
        let sql = |statement| self.connection.prepare_cached(statement);
        let mut due = sql("UPDATE orders SET phase = ?2, expires = NULL WHERE expires <= ?1 RETURNING item, count")?;
        let put_back = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let due =
            due.query_map((now(), Phase::Expired as i64), put_back)?.collect::<Result<Vec<(String, u64)>, _>>()?;
        let mut put_back = sql("UPDATE items SET stock = stock + ?2 WHERE name = ?1")?;
        due.into_iter().try_for_each(|item| put_back.execute(item).map(drop))
    }
}

#[derive(Clone)]
struct Shop {
    requests: Sender<Request>,
    reader: Arc<Mutex<Connection>>,
}

impl Shop {
    async fn write(&self, work: Work) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { work, answer }).map_err(|_| Refusal::Stopped)?;
        answered.await.map_err(|_| Refusal::Stopped)?
    }

    async fn read<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> rusqlite::Result<R> + Send + 'static,
    ) -> Result<R, Refusal> {
        let reader = Arc::clone(&self.reader);
        let read = move || look(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(read).await.map_err(|_| Refusal::Stopped)??)
    }
}

#[derive(Deserialize)]
struct Wanted {
    item: String,
    count: u64,
}

async fn place(State(shop): State<Shop>, headers: HeaderMap, Json(wanted): Json<Wanted>) -> Result<Response, Refusal> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
    let number = shop.write(Work::Place { item: wanted.item, count: wanted.count, key }).await?;
    Ok((StatusCode::CREATED, Json(number)).into_response())
}

async fn act(State(shop): State<Shop>, Path((number, action)): Path<(u64, String)>) -> Result<StatusCode, Refusal> {
    let work = match action.as_str() {
        "pay" => Work::Enter { number, from: Phase::Placed, to: Phase::Paid },
        "ship" => Work::Enter { number, from: Phase::Paid, to: Phase::Shipped },
        _ => return Ok(StatusCode::NOT_FOUND),
    };
    shop.write(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn one(State(shop): State<Shop>, Path(number): Path<u64>) -> Result<Response, Refusal> {
    let look = move |reader: &Connection| {
        reader.prepare_cached("SELECT * FROM orders WHERE number = ?1")?.query_one([number], order).optional()
    };
    let order = shop.read(look).await?;
    Ok(order.map_or(StatusCode::NOT_FOUND.into_response(), |order| Json(order).into_response()))
}

async fn list(State(shop): State<Shop>) -> Result<Json<Vec<(u64, Order)>>, Refusal> {
    let look = |reader: &Connection| {
        let mut orders = reader.prepare_cached("SELECT * FROM orders ORDER BY number")?;
        orders.query_map([], |row| Ok((row.get("number")?, order(row)?)))?.collect()
    };
    Ok(Json(shop.read(look).await?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (directory, address) = (arguments.next().unwrap_or("shop".into()), arguments.next());
    let group = if arguments.next().is_some_and(|alone| alone == "alone") { 1 } else { GROUP };
    let directory = std::path::Path::new(&directory);
    std::fs::create_dir_all(directory)?;
    let connection = connect(directory)?;
    connection.execute_batch(SCHEMA)?;
    let reader = Arc::new(Mutex::new(connect(directory)?));
    let (requests, waiting) = channel();
    let writer = thread::spawn(move || {
        if let Err(error) = (Writer { connection, group }).run(&waiting) {
            eprintln!("the disk failed: {error}");
            std::process::exit(1);
        }
    });
    let routes = Router::new()
        .route("/orders", post(place).get(list))
        .route("/orders/{number}", get(one))
        .route("/orders/{number}/{action}", post(act));
    let listener = tokio::net::TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on {}", listener.local_addr()?);
    let routes = routes.with_state(Shop { requests, reader });
    axum::serve(listener, routes).with_graceful_shutdown(amiko_runtime::stop_signal()).await?;
    writer.join().map_err(|_| "the writer has panicked")?;
    Ok(())
}
