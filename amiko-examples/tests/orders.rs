//! The shop as a process with many clients, killed again and again: each order that was answered is there, none twice.
//!
//! `AMIKO_KILLS` says how often it is killed; the default is 5.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const CLIENTS: usize = 128;

/// A shop that runs; killed when it is dropped.
struct Shop {
    process: Child,
    address: String,
}

impl Shop {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_orders"))
            .arg(directory)
            .arg("127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, address }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A connection to a shop.
struct Client(tokio::io::BufReader<TcpStream>);

impl Client {
    async fn connect(address: &str) -> Option<Self> {
        Some(Self(tokio::io::BufReader::new(TcpStream::connect(address).await.ok()?)))
    }

    /// Status and body; `None` if the shop has gone meanwhile.
    async fn ask(&mut self, line: &str, key: &str, body: &str) -> Option<(u16, String)> {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n{key}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).await.ok()?;
        let (status, length) = self.head().await?;
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some((status, String::from_utf8(body).unwrap()))
    }

    async fn head(&mut self) -> Option<(u16, usize)> {
        let (mut status, mut length) = (0, 0);
        loop {
            let line = self.line().await?;
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().unwrap();
            } else if let Some(rest) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap();
            } else if line.is_empty() {
                return Some((status, length));
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

/// Where each order that was answered is told.
type Told = mpsc::UnboundedSender<()>;

/// Places orders until the shop has gone, each under a key of its own; one that wasn't answered is sent again to the next
/// shop. Gives the numbers of the orders by their keys, and the key that is still to be answered.
async fn shopper(address: String, client: usize, mut next: u64, told: Told) -> (BTreeMap<String, u64>, u64) {
    let mut answered = BTreeMap::new();
    if let Some(mut connection) = Client::connect(&address).await {
        loop {
            let key = format!("{client}-{next}");
            let header = format!("idempotency-key: {key}\r\n");
            let body = r#"{"item":"nuts","count":1}"#;
            let Some((status, number)) = connection.ask("POST /orders", &header, body).await else { break };
            assert_eq!(status, 201, "{number}");
            answered.insert(key, number.parse().unwrap());
            next += 1;
            // Nobody counts any more once the shop is to be killed.
            let _ = told.send(());
        }
    }
    (answered, next)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_order_that_was_answered_is_there_and_none_twice_whenever_the_shop_is_killed() {
    let kills = std::env::var("AMIKO_KILLS").map_or(5, |kills| kills.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut answered = BTreeMap::new();
    let mut next = [0; CLIENTS];
    for kill in 0..kills {
        let mut shop = Shop::start(directory.path());
        let (told, mut tells) = mpsc::unbounded_channel();
        let mut shoppers = JoinSet::new();
        for (client, next) in next.into_iter().enumerate() {
            let (address, told) = (shop.address.clone(), told.clone());
            shoppers.spawn(async move { (client, shopper(address, client, next, told).await) });
        }
        drop(told);
        // After so many orders, whatever the others are at.
        for _ in 0..=kill * 37 % 200 {
            tells.recv().await.unwrap();
        }
        drop(tells);
        shop.process.kill().unwrap();
        while let Some(shopper) = shoppers.join_next().await {
            let (client, (numbers, upto)) = shopper.unwrap();
            answered.extend(numbers);
            next[client] = upto;
        }
    }

    let shop = Shop::start(directory.path());
    let mut client = Client::connect(&shop.address).await.unwrap();
    let (_, orders) = client.ask("GET /orders", "", "").await.unwrap();
    let orders: Vec<(u64, Value)> = serde_json::from_str(&orders).unwrap();
    let numbers: std::collections::BTreeSet<u64> = orders.iter().map(|(number, _)| *number).collect();
    let found: std::collections::BTreeSet<u64> = answered.values().copied().collect();
    assert!(found.is_subset(&numbers), "an order that was answered is lost");
    assert_eq!(found.len(), answered.len(), "two keys got one order");
    // What is there and wasn't answered is at most one order of each client: the one that it would send again.
    assert!(numbers.len() - found.len() <= CLIENTS, "{} orders, {} answered", numbers.len(), found.len());
    for (client, next) in next.into_iter().enumerate() {
        let (numbers, _) = again(&shop.address, client, next).await;
        answered.extend(numbers);
    }
    let (_, orders) = client.ask("GET /orders", "", "").await.unwrap();
    let orders: Vec<(u64, Value)> = serde_json::from_str(&orders).unwrap();
    assert_eq!(orders.len(), answered.len(), "an order was placed twice");
    println!("{} orders by {CLIENTS} clients, killed {kills} times: none lost, none twice", orders.len());
}

/// Sends the order again that wasn't answered.
async fn again(address: &str, client: usize, next: u64) -> (BTreeMap<String, u64>, u64) {
    let key = format!("{client}-{next}");
    let header = format!("idempotency-key: {key}\r\n");
    let mut connection = Client::connect(address).await.unwrap();
    let body = r#"{"item":"nuts","count":1}"#;
    let (_, number) = connection.ask("POST /orders", &header, body).await.unwrap();
    (BTreeMap::from([(key, number.parse().unwrap())]), next)
}

#[tokio::test]
async fn a_client_is_told_why_not_sees_its_order_change_and_the_shop_stops_when_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut shop = Shop::start(directory.path());
    let mut client = Client::connect(&shop.address).await.unwrap();
    let mut ask = async |line: &str, body: &str| client.ask(line, "", body).await.unwrap();
    assert_eq!(ask("POST /orders", r#"{"item":"nuts","count":2}"#).await, (201, "1".into()));
    let (status, text) = ask("POST /orders", r#"{"item":"nuts","count":1000000}"#).await;
    assert_eq!((status, text.trim()), (409, "only 999998 are left (in Take to item nuts, sent by Place to node)"));
    let (status, text) = ask("POST /orders", r#"{"item":"figs","count":1}"#).await;
    assert_eq!((status, text.trim()), (404, "the shop doesn't have this item (in Place to node)"));

    let mut watching = Client::connect(&shop.address).await.unwrap();
    watching.0.get_mut().write_all(b"GET /orders/1/watch HTTP/1.1\r\nhost: shop\r\n\r\n").await.unwrap();
    assert_eq!(watching.head().await.unwrap().0, 200);
    let mut seen = async |phase: &str| {
        let phase = format!(r#""phase":"{phase}""#);
        while !watching.line().await.unwrap().contains(&phase) {}
    };
    seen("Placed").await;
    assert_eq!(ask("POST /orders/1/pay", "").await.0, 204);
    seen("Paid").await;
    let (status, text) = ask("POST /orders/1/pay", "").await;
    let refused = "OrderPhase: expected one of Shipped after Paid, found Paid (in Pay to order 1)";
    assert_eq!((status, text.trim()), (422, refused));
    assert_eq!(
        ask("GET /orders/1", "").await.1,
        r#"{"_class":"Order","item":"nuts","count":2,"phase":"Paid","answer":null}"#
    );

    // Its clients are still connected.
    Command::new("kill").arg(shop.process.id().to_string()).status().unwrap();
    assert!(shop.process.wait().unwrap().success());
}

#[tokio::test]
async fn a_shop_whose_disk_fails_ends_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    // A journal grows beyond 64 KiB, which the shell forbids; its signal would end the process before it could say anything.
    let mut process = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 150; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_orders")])
        .arg(directory.path())
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();

    let mut client = Client::connect(&address).await.unwrap();
    let mut placed = 0;
    loop {
        match client.ask("POST /orders", "", r#"{"item":"nuts","count":1}"#).await {
            Some((201, _)) => placed += 1,
            Some((503, _)) | None => break,
            Some((status, body)) => panic!("{status}: {body}"),
        }
    }
    assert!(placed > 10);
    // It ends by itself, nobody tells it to.
    let output = tokio::task::spawn_blocking(move || process.wait_with_output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("File too large"), "{said}");
}
