//! Orders of many clients: a whole service, as a process, beside the same one on SQLite.

use crate::directory;
use crate::effort::{Effort, set};
use crate::report::{Report, Table};
use crate::spread::Spread;
use std::collections::BTreeSet;
use std::env::current_exe;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TEXT: &str = "\
The service of `amiko-examples/src/bin/orders.rs` beside the same service on rusqlite, `benches/peers/src/bin/orders_rusqlite.rs`: \
the same routes, the same axum and tokio, the same promise, that a request is answered after what it did is on disk. Each turn \
starts one of them as a process, in an empty directory. Each client has one HTTP connection, places an order with an idempotency \
key, pays for it, and begins again: that is two requests, one after the other, each of which waits for the disk.

- **Amiko**: place is three messages to three machines, in one event; all orders are in memory. The service is the example, \
  unchanged.
- **rusqlite**: one thread writes. It takes all requests that are waiting, up to 1,000, into one transaction, with a savepoint \
  for each, commits, and answers them. WAL, synchronous=FULL, cached statements that keep their plans, narrow rows and no JSON \
  in them. It never forgets a key, and can't be watched; Amiko does both. SQLite as it comes with rusqlite syncs with fsync, \
  which on ext4 takes longer than the fdatasync of Amiko.
- **rusqlite, alone**: the same with a transaction for each request.

The clients are another process on the same processors, the same for all, and take much of them. So orders a second tell what this \
machine can do together with its clients; the processor time, from `/proc/PID/stat`, is that of the service alone. At the end of \
each turn the orders that the service lists are the ones that were answered, all of them paid. `AMIKO_LOAD_SECONDS` sets how long \
a turn takes, 3 by default, and `AMIKO_LOAD_ROUNDS` how many there are of each, 5 by default.";

/// Ours is the first.
const SERVICES: [Service; 3] = [
    Service { name: "Amiko", program: "orders", arguments: &[] },
    Service { name: "rusqlite", program: "orders_rusqlite", arguments: &[] },
    Service { name: "rusqlite, alone", program: "orders_rusqlite", arguments: &["alone"] },
];
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_secs(3);
/// `USER_HZ`, the unit of times in `/proc`: the same for every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

struct Service {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

/// A service that runs; killed when it is dropped.
struct Running {
    process: Child,
    address: String,
}

impl Service {
    fn start(&self, programs: &Path, directory: &Path) -> Running {
        let mut process = Command::new(programs.join(self.program))
            .args([directory.as_os_str(), "127.0.0.1:0".as_ref()])
            .args(self.arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("is piped")).read_line(&mut line).expect("reads");
        let address = line.trim().strip_prefix("listening on ").expect("an address").to_owned();
        Running { process, address }
    }
}

impl Running {
    /// Seconds that processors have worked for it.
    fn work(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("a process of Linux");
        // The name of the program stands in parentheses, and may have spaces in it.
        let (_, fields) = text.rsplit_once(") ").expect("fields");
        let times = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number"));
        times.sum::<f64>() / TICKS_PER_SECOND
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Builds the services as this program was built, because cargo builds only the one that it runs; gives their folder.
fn build() -> PathBuf {
    let folder = current_exe().expect("a program").parent().expect("a folder").to_owned();
    let profile = folder.file_name().expect("a profile").to_string_lossy();
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--profile", if profile == "debug" { "dev" } else { &profile }])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .args(["--bin", "orders", "--bin", "orders_rusqlite", "--target-dir"])
        .arg(folder.parent().expect("a folder"))
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("cargo runs").success(), "the services can't be built");
    folder
}

/// A connection, with just enough HTTP.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("connects");
        stream.set_nodelay(true).expect("sets");
        Self { stream, buffer: Vec::with_capacity(1 << 10) }
    }

    /// The body of the answer, which must have this status.
    async fn ask(&mut self, request: &str, expected: &str) -> &[u8] {
        self.stream.write_all(request.as_bytes()).await.expect("sends");
        self.buffer.clear();
        let (mut head, mut end) = (0, usize::MAX);
        while self.buffer.len() < end {
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.expect("receives"), 0, "the service has gone");
            if head == 0
                && let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n")
            {
                head = at + 4;
                let text = str::from_utf8(&self.buffer[..at]).expect("text");
                assert!(text.starts_with(expected), "{}", String::from_utf8_lossy(&self.buffer));
                let length = text.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.lines().next());
                end = head + length.map_or(0, |length| length.parse::<usize>().expect("a number"));
            }
        }
        &self.buffer[head..end]
    }

    /// Places an order, and pays for it.
    async fn order(&mut self, key: &str) -> u64 {
        const WANTED: &str = r#"{"item":"nuts","count":1}"#;
        let place = format!(
            "POST /orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\n\
             content-length: {}\r\n\r\n{WANTED}",
            WANTED.len()
        );
        let number = self.ask(&place, "HTTP/1.1 201 ").await;
        let number = str::from_utf8(number).expect("text").parse().expect("a number");
        let pay = format!("POST /orders/{number}/pay HTTP/1.1\r\nhost: shop\r\ncontent-length: 0\r\n\r\n");
        self.ask(&pay, "HTTP/1.1 204 ").await;
        number
    }
}

/// What one service did in one turn.
struct Turn {
    rate: f64,
    p50: f64,
    p99: f64,
    work: f64,
}

/// The name of a figure, and where it is found.
type Figure = (&'static str, fn(&Turn) -> f64);

/// What is told of each turn.
const FIGURES: [Figure; 4] = [
    ("orders a second", |turn| turn.rate),
    ("half of the orders were placed and paid within, ms", |turn| turn.p50),
    ("99 of 100 orders were placed and paid within, ms", |turn| turn.p99),
    ("processor seconds of the service for 1,000 orders", |turn| turn.work),
];

/// Places orders until then; gives their numbers, and how many milliseconds each took.
async fn shop(mut client: Client, number: usize, end: Instant) -> Vec<(u64, f64)> {
    let mut orders = Vec::new();
    while orders.is_empty() || Instant::now() < end {
        let (key, begin) = (format!("{number}-{}", orders.len()), Instant::now());
        orders.push((client.order(&key).await, begin.elapsed().as_secs_f64() * 1e3));
    }
    orders
}

/// So many clients for a while, each of which places one order at least.
async fn drive(running: &Running, clients: usize, time: Duration) -> Turn {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Client::connect(&running.address).await);
    }
    let (before, start) = (running.work(), Instant::now());
    let shoppers: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(number, client)| tokio::spawn(shop(client, number, start + time)))
        .collect();
    let mut orders = Vec::new();
    for shopper in shoppers {
        orders.extend(shopper.await.expect("places orders"));
    }
    let (count, time, work) = (orders.len() as f64, start.elapsed().as_secs_f64(), running.work() - before);
    check(running, orders.iter().map(|(number, _)| *number)).await;
    let mut times: Vec<_> = orders.into_iter().map(|(_, time)| time).collect();
    times.sort_by(f64::total_cmp);
    let percentile = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize];
    Turn { rate: count / time, p50: percentile(0.5), p99: percentile(0.99), work: work * 1e3 / count }
}

/// The orders that were answered are the ones that are there, all of them paid.
async fn check(running: &Running, answered: impl Iterator<Item = u64>) {
    #[derive(serde::Deserialize)]
    struct Order {
        phase: String,
    }
    let mut client = Client::connect(&running.address).await;
    let list = client.ask("GET /orders HTTP/1.1\r\nhost: shop\r\n\r\n", "HTTP/1.1 200 ").await;
    let orders: Vec<(u64, Order)> = serde_json::from_slice(list).expect("a list");
    assert!(orders.iter().all(|(_, order)| order.phase == "Paid"), "an order was answered and isn't paid");
    let mut there = BTreeSet::new();
    assert!(orders.iter().all(|(number, _)| there.insert(*number)), "an order is there twice");
    let mut count = 0;
    assert!(
        answered.inspect(|_| count += 1).all(|number| there.contains(&number)),
        "an order that was answered is lost"
    );
    assert_eq!(count, there.len(), "an order is there that nobody was told of, or two clients got one order");
}

pub(super) fn run(effort: Effort) -> Report {
    let rounds = effort.rounds(set("AMIKO_LOAD_ROUNDS", ROUNDS));
    let time = effort.time(Duration::from_secs_f64(set("AMIKO_LOAD_SECONDS", TURN.as_secs_f64())));
    eprintln!("  the services are built");
    let programs = build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    let mut found = CLIENTS.map(|_| SERVICES.map(|_| Vec::new()));
    for round in 0..rounds {
        eprintln!("  round {} of {rounds}", round + 1);
        for (clients, found) in CLIENTS.into_iter().zip(&mut found) {
            // Another one begins each time, because each one leaves the disk something to do.
            for offset in 0..SERVICES.len() {
                let which = (offset + round) % SERVICES.len();
                let directory = directory();
                let running = SERVICES[which].start(&programs, directory.path());
                let turn = drive(&running, effort.at_most(clients, 4), time);
                found[which].push(runtime.block_on(turn));
            }
        }
    }
    Report { text: TEXT.into(), tables: tables(&found), ..Report::default() }
}

/// One table for each figure, with a row for each number of clients.
fn tables(found: &[[Vec<Turn>; SERVICES.len()]]) -> Vec<Table> {
    let mut heads = vec!["clients".to_owned()];
    heads.extend(SERVICES.iter().map(|service| service.name.to_owned()));
    heads.extend(SERVICES[1..].iter().map(|service| format!("{} / {}", SERVICES[0].name, service.name)));
    let table = |(name, figure): Figure| {
        let row = |(clients, turns): (usize, &[Vec<Turn>; SERVICES.len()])| {
            let mut row = vec![clients.to_string()];
            row.extend(turns.iter().map(|turns| Spread::of(turns.iter().map(figure)).to_string()));
            let [ours, others @ ..] = turns;
            let ratio = |other: &Vec<Turn>| Spread::of(ours.iter().zip(other).map(|(a, b)| figure(a) / figure(b)));
            row.extend(others.iter().map(|other| ratio(other).to_string()));
            row
        };
        Table { name: name.to_owned(), heads: heads.clone(), rows: CLIENTS.into_iter().zip(found).map(row).collect() }
    };
    FIGURES.map(table).into()
}
