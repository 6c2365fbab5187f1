//! The shop and the payment service as two processes, either of them killed again and again: each card is charged once.
//!
//! `AMIKO_KILLS` says how often they are killed; the default is 6. There are 25 orders for each kill.
//! `AMIKO_SEED` chooses the moments, and which answers get lost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CLIENTS: usize = 16;

/// A process that listens; killed when it is dropped.
struct Running {
    process: Child,
    address: String,
}

impl Running {
    fn start(program: &str, arguments: &[&OsStr]) -> Self {
        let program = Command::new(program).args(arguments).env("NO_PROXY", "127.0.0.1").stdout(Stdio::piped()).spawn();
        let mut process = program.unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { process, address }
    }

    /// The shop, which is told where the payment service is.
    fn shop(directory: &Path, payments: Option<&str>) -> Self {
        let payments = payments.map(|payments| format!("--payments=http://{payments}"));
        let mut arguments = vec![directory.as_os_str(), OsStr::new("127.0.0.1:0")];
        arguments.extend(payments.as_deref().map(OsStr::new));
        Self::start(env!("CARGO_BIN_EXE_orders"), &arguments)
    }

    fn payments(file: &Path, chances: [u64; 3]) -> Self {
        let [lose, refuse, seed] = chances.map(|chance| chance.to_string());
        let options = ["127.0.0.1:0", "--lose", &lose, "--refuse", &refuse, "--seed", &seed].map(OsStr::new);
        Self::start(env!("CARGO_BIN_EXE_payments"), &[&[file.as_os_str()][..], &options].concat())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Carries bytes to where the payment service listens at the time, and counts how often some have passed: each call that is answered
/// is at least two. The shop knows one address, and the port of a process that was killed may be somebody else's.
async fn relay(listener: TcpListener, payments: watch::Receiver<String>, passed: watch::Sender<u64>) {
    while let Ok((near, _)) = listener.accept().await {
        let (address, passed) = (payments.borrow().clone(), passed.clone());
        tokio::spawn(async move {
            // Nobody may be there.
            if let Ok(far) = TcpStream::connect(address).await {
                let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (near.into_split(), far.into_split());
                // When one of them has gone, so has the other.
                tokio::select! {
                    () = carry(&mut near_in, &mut far_out, &passed) => {}
                    () = carry(&mut far_in, &mut near_out, &passed) => {}
                }
            }
        });
    }
}

async fn carry(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, passed: &watch::Sender<u64>) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        passed.send_modify(|passed| *passed += 1);
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// Places an order, again and again until it is answered, and gives its number.
async fn place(http: &reqwest::Client, shop: &mut watch::Receiver<String>, order: u64) -> u64 {
    loop {
        let url = format!("http://{}/orders", *shop.borrow_and_update());
        let request = http.post(url).header("idempotency-key", order.to_string());
        if let Ok(answer) = request.json(&json!({ "item": "nuts", "count": 1, "card": "4711" })).send().await {
            assert_eq!(answer.status(), 201);
            if let Ok(number) = answer.text().await {
                return number.parse().unwrap();
            }
        }
        // It was killed; there will be another one.
        shop.changed().await.unwrap();
    }
}

async fn get(http: &reqwest::Client, address: &str, path: &str) -> Value {
    http.get(format!("http://{address}/{path}")).send().await.unwrap().json().await.unwrap()
}

/// All orders by their numbers, when none waits for the payment service any more.
async fn settled(http: &reqwest::Client, shop: &str) -> BTreeMap<u64, Value> {
    let orders: Vec<(u64, Value)> = serde_json::from_value(get(http, shop, "orders").await).unwrap();
    for (number, _) in orders.iter().filter(|(_, order)| order["phase"] == "Charging") {
        let mut seen = Vec::new();
        let mut watched = http.get(format!("http://{shop}/orders/{number}/watch")).send().await.unwrap();
        // One event a line: the order, whenever it has changed.
        while !String::from_utf8_lossy(&seen).lines().any(|line| line.contains("phase") && !line.contains("Charging")) {
            seen.extend(watched.chunk().await.unwrap().unwrap());
        }
    }
    let orders: Vec<(u64, Value)> = serde_json::from_value(get(http, shop, "orders").await).unwrap();
    orders.into_iter().collect()
}

/// How often the state heard the outcome of each effect, by its whole journal: a directory keeps so much history.
fn heard(directory: &Path) -> BTreeMap<String, usize> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    let mut records = BTreeMap::new();
    for line in files.flat_map(|file| BufReader::new(File::open(file).unwrap()).lines().map_while(Result::ok)) {
        let Ok(record) = serde_json::from_str::<Value>(&line) else { continue };
        if let Some(sequence) = record["seq"].as_u64() {
            assert!(records.get(&sequence).is_none_or(|other| *other == record), "two records {sequence}");
            records.insert(sequence, record);
        }
    }
    let gap = records.keys().zip(1..).find(|(found, expected)| *found != expected);
    assert_eq!(gap, None, "a part of the journal wasn't seen");
    let mut heard = BTreeMap::new();
    for record in records.into_values().filter(|record| record["cause"]["_class"] == "Performed") {
        let effect = record["cause"]["effect"].as_str().unwrap();
        assert_eq!(record["cause"]["envelope"]["message"]["_class"], "Charged", "{record}");
        let over = json!({ "op": "remove", "path": format!("/effects/{}", effect.replace('/', "~1")) });
        assert!(record["patch"].as_array().unwrap().contains(&over), "it isn't over: {record}");
        *heard.entry(effect.to_owned()).or_default() += 1;
    }
    heard
}

/// Both processes, and what is known of them.
struct World {
    seed: u64,
    kills: u64,
    effects: u64,
    directory: PathBuf,
    charges: PathBuf,
    chances: [u64; 3],
}

impl World {
    fn new(directory: &Path, kills: u64, seed: u64) -> Self {
        let (shop, charges) = (directory.join("shop"), directory.join("charges.jsonl"));
        Self { seed, kills, effects: kills * 25, directory: shop, charges, chances: [20, 10, seed] }
    }

    /// A number below `end`.
    fn draw(&self, what: &str, kill: u64, end: u64) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one((self.seed, what, kill)) % end
    }

    /// Kills either of them at any moment while there are charges to come. Gives the last shop and the last payment service, and
    /// how many there were of each.
    async fn kill(
        &self,
        shops: &watch::Sender<String>,
        services: &watch::Sender<String>,
        (relay, mut passed): (&str, watch::Receiver<u64>),
    ) -> [(Running, u64); 2] {
        let begin = |world: &Self| Running::payments(&world.charges, world.chances);
        let mut running = [(Running::shop(&self.directory, Some(relay)), 0), (begin(self), 0)];
        shops.send_replace(running[0].0.address.clone());
        services.send_replace(running[1].0.address.clone());
        for kill in 0..self.kills {
            // Two for each of 25 calls.
            let moment = kill * 50 + self.draw("moment", kill, 50);
            passed.wait_for(|passed| *passed >= moment).await.unwrap();
            let victim = self.draw("victim", kill, 2) as usize;
            let (process, kills) = &mut running[victim];
            process.process.kill().unwrap();
            process.process.wait().unwrap();
            *kills += 1;
            *process = if victim == 0 { Running::shop(&self.directory, Some(relay)) } else { begin(self) };
            [shops, services][victim].send_replace(process.address.clone());
        }
        running
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_card_is_charged_once_and_each_order_hears_once_whichever_process_is_killed() {
    let kills = std::env::var("AMIKO_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let seed = std::env::var("AMIKO_SEED").map_or(now, |seed| seed.parse().unwrap());
    println!("AMIKO_SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(directory.path(), kills, seed);
    let limit = Duration::from_secs(60 + kills);
    timeout(limit, pay(&world)).await.unwrap_or_else(|_| panic!("not all orders were settled within {limit:?}"));
}

async fn pay(world: &World) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let ((services, service), (shops, shop)) = (watch::channel(String::new()), watch::channel(String::new()));
    let (pass, passed) = watch::channel(0);
    tokio::spawn(relay(listener, service, pass));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (effects, next) = (world.effects, Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (http, mut shop, next) = (http.clone(), shop.clone(), Arc::clone(&next));
        clients.spawn(async move {
            let mut numbers = Vec::new();
            shop.changed().await.unwrap();
            shop.mark_changed();
            loop {
                let order = next.fetch_add(1, Ordering::Relaxed);
                if order >= effects {
                    return numbers;
                }
                numbers.push(place(&http, &mut shop, order).await);
            }
        });
    }
    let [(shop, of_shop), (service, of_service)] = world.kill(&shops, &services, (&address, passed)).await;
    let placed: BTreeSet<u64> = clients.join_all().await.into_iter().flatten().collect();
    let orders = settled(&http, &shop.address).await;
    let charges = get(&http, &service.address, "charges").await;
    let charges: BTreeMap<String, Value> = serde_json::from_value(charges).unwrap();
    assert!(
        orders.keys().eq(&placed) && placed.len() as u64 == effects,
        "{} orders, {} placed",
        orders.len(),
        placed.len()
    );
    let calls = check(&orders, &charges);

    // The stock came back once for each that was refused: the shop says so when somebody wants too much.
    let charged = orders.values().filter(|order| order["phase"] == "Charged").count();
    let much =
        http.post(format!("http://{}/orders", shop.address)).json(&json!({ "item": "nuts", "count": 10_000_000 }));
    let text = much.send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with(&format!("only {} are left", 1_000_000 - charged)), "{text}");

    drop(shop);
    let heard = heard(&world.directory);
    assert!(heard.len() as u64 == effects && heard.values().all(|times| *times == 1), "{heard:?}");
    println!(
        "{} effects, {} kills ({of_shop} of orders, {of_service} of payments): each key seen at least once ({} calls), each outcome \
         heard once; {} charged, {} refused",
        grouped(effects),
        world.kills,
        grouped(calls),
        grouped(charged as u64),
        grouped(effects - charged as u64),
    );
}

/// In digits by threes.
fn grouped(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1_000), number % 1_000) }
}

/// Each order has one key, and what the service answered to it. Gives the number of calls.
fn check(orders: &BTreeMap<u64, Value>, charges: &BTreeMap<String, Value>) -> u64 {
    let of_order = |charge: &Value| charge["charge"]["order"].as_u64().unwrap();
    let by_order: BTreeMap<u64, &Value> = charges.values().map(|charge| (of_order(charge), charge)).collect();
    assert_eq!(by_order.len(), charges.len(), "an order has two keys");
    assert!(by_order.keys().eq(orders.keys()), "{} orders, {} charges", orders.len(), by_order.len());
    for (number, order) in orders {
        let (answer, charge) = (&order["answer"], by_order[number]);
        assert_eq!(charge["charge"]["cents"], 250);
        match charge["receipt"].as_str() {
            Some(receipt) => assert!(order["phase"] == "Charged" && answer == receipt, "{order} {charge}"),
            None => assert!(order["phase"] == "Refused" && answer == "the card was refused", "{order} {charge}"),
        }
    }
    let receipts: BTreeSet<_> = charges.values().filter_map(|charge| charge["receipt"].as_str()).collect();
    assert_eq!(receipts.len(), orders.values().filter(|order| order["phase"] == "Charged").count());
    let calls = charges.values().map(|charge| charge["calls"].as_u64().unwrap()).sum();
    assert!(charges.values().all(|charge| charge["calls"] != 0) && calls > orders.len() as u64, "no answer was lost");
    calls
}

#[tokio::test]
async fn an_order_with_a_card_waits_for_a_shop_that_knows_the_payment_service() {
    let directory = tempfile::tempdir().unwrap();
    let (state, charges) = (directory.path().join("shop"), directory.path().join("charges.jsonl"));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let shop = Running::shop(&state, None);
    let (_addresses, mut address) = watch::channel(shop.address.clone());
    assert_eq!(place(&http, &mut address, 0).await, 1);
    assert_eq!(get(&http, &shop.address, "orders/1").await["phase"], "Charging");
    drop(shop);

    let payments = Running::payments(&charges, [0; 3]);
    let shop = Running::shop(&state, Some(&payments.address));
    let orders = timeout(Duration::from_secs(60), settled(&http, &shop.address)).await.unwrap();
    assert_eq!((&orders[&1]["phase"], &orders[&1]["answer"]), (&json!("Charged"), &json!("receipt 1")));
}
