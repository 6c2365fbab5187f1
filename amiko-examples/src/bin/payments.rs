//! A payment service to try other programs with: it loses answers, and may be killed at any moment. No card is ever charged.
//!
//! ```sh
//! cargo run --bin payments -- charges.jsonl 127.0.0.1:8090 --lose 20 --refuse 10
//! curl --json '{"order":1,"card":"4711","cents":500}' -H 'idempotency-key: 1' localhost:8090/charges
//! curl localhost:8090/charges    # each key with its charge, its answer, and how often it was seen
//! ```
//!
//! Invariant: a call is in the file before it is answered; so a key has one answer forever, and is charged once.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A payment service that loses answers.
#[derive(Parser)]
struct Arguments {
    /// The file of all calls.
    #[arg(default_value = "charges.jsonl")]
    file: PathBuf,
    #[arg(default_value = "127.0.0.1:8090")]
    address: String,
    #[command(flatten)]
    chances: Chances,
}

#[derive(Clone, Copy, clap::Args)]
struct Chances {
    /// So many of 100 answers get lost.
    #[arg(long, default_value_t = 0)]
    lose: u64,
    /// So many of 100 charges are refused.
    #[arg(long, default_value_t = 0)]
    refuse: u64,
    /// What chance begins with.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Chances {
    /// A number below 100, the same each time for the same call: chance goes on where it was after a restart.
    fn draw(&self, what: &str, key: &str, calls: u64) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one((self.seed, what, key, calls)) % 100
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Charge {
    order: u64,
    card: String,
    cents: u64,
}

/// What became of the charge of a key, and how often it was asked for.
#[derive(Clone, Serialize, Deserialize)]
struct Seen {
    charge: Charge,
    /// The receipt; none if the card was refused.
    receipt: Option<String>,
    calls: u64,
}

/// All calls that there ever were: one line of the file is what was known of a key after one of them.
struct Book {
    file: File,
    seen: BTreeMap<String, Seen>,
}

impl Book {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line without its end was being written when the service was killed, and nobody was answered.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        let lines = text.get(..whole).unwrap_or_default().lines();
        let seen = lines.map(serde_json::from_str::<(String, Seen)>).collect::<Result<_, _>>()?;
        Ok(Self { file, seen })
    }

    /// One call; none if the key was another charge's.
    fn call(&mut self, key: &str, charge: Charge, chances: Chances) -> io::Result<Option<Seen>> {
        let mut seen = self.seen.get(key).cloned().unwrap_or_else(|| {
            let refused = chances.draw("refuse", key, 0) < chances.refuse;
            let receipt = (!refused).then(|| format!("receipt {}", self.seen.len() + 1));
            Seen { charge: charge.clone(), receipt, calls: 0 }
        });
        if seen.charge != charge {
            return Ok(None);
        }
        seen.calls += 1;
        self.file.write_all(format!("{}\n", serde_json::to_string(&(key, &seen))?).as_bytes())?;
        self.file.sync_data()?;
        self.seen.insert(key.to_owned(), seen.clone());
        Ok(Some(seen))
    }
}

type Service = State<(Arc<Mutex<Book>>, Chances)>;

async fn charge(State((book, chances)): Service, headers: HeaderMap, Json(charge): Json<Charge>) -> Response {
    let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned) else {
        return (StatusCode::BAD_REQUEST, "expected an idempotency-key").into_response();
    };
    let told = key.clone();
    let calling = move || book.lock().unwrap_or_else(PoisonError::into_inner).call(&told, charge, chances);
    let seen = match tokio::task::spawn_blocking(calling).await.map_err(io::Error::other) {
        Ok(Ok(Some(seen))) => seen,
        Ok(Ok(None)) => return (StatusCode::CONFLICT, "this key was another charge's").into_response(),
        Ok(Err(error)) | Err(error) => {
            // What the file has now, only the next start will know.
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let answer = match seen.receipt {
        Some(receipt) => receipt.into_response(),
        None => (StatusCode::PAYMENT_REQUIRED, "the card was refused").into_response(),
    };
    match chances.draw("lose", &key, seen.calls) {
        lot if lot >= chances.lose => answer,
        // The connection is closed without an answer.
        lot if lot % 2 == 0 => Body::from_stream(tokio_stream::once(Err::<&str, _>("lost"))).into_response(),
        // It is never answered.
        _ => std::future::pending().await,
    }
}

async fn list(State((book, _)): Service) -> Json<BTreeMap<String, Seen>> {
    Json(book.lock().unwrap_or_else(PoisonError::into_inner).seen.clone())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { file, address, chances } = Arguments::parse();
    let book = Arc::new(Mutex::new(Book::open(&file)?));
    let routes = Router::new().route("/charges", post(charge).get(list));
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, routes.with_state((book, chances))).await?;
    Ok(())
}
