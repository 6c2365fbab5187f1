//! Commits to PostgreSQL: the store against the limit, a prepared insert of the same bytes in a loop, and against a directory.
//!
//! Run with `.ci/postgres cargo bench -p amiko-benches --bench postgres`, which starts a primary and two standbys, one of which
//! has to confirm each commit. `--test` does everything once.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::store::{Directory, Recovery, Refused, Store, Work};
use amiko_postgres::{Postgres, PostgresSettings};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// Bytes of a record.
const RECORD: usize = 400;

struct Nothing;

impl Recovery for Nothing {
    fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        Ok(())
    }

    fn record(&mut self, _: u64, _: &str) -> Result<(), Refused> {
        Ok(())
    }
}

fn record(sequence: u64) -> String {
    let begin = format!("{{\"seq\":{sequence},\"text\":\"");
    // As little alike as what is in a journal.
    let mut number = sequence;
    let mut text = begin;
    while text.len() < RECORD - 2 {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(&format!("{number:016x}"));
    }
    text.truncate(RECORD - 2);
    text + "\"}"
}

/// Something that takes groups of records, and says how long each took to be durable.
trait Commits {
    fn commit(&mut self, first: u64, records: &[String]) -> Duration;
}

impl<S: Store> Commits for S {
    fn commit(&mut self, first: u64, records: &[String]) -> Duration {
        let begun = Instant::now();
        for (record, sequence) in records.iter().zip(first..) {
            self.append(sequence, record).unwrap();
        }
        let work = self.begin_sync().unwrap().unwrap();
        self.end_sync(work.run()).unwrap();
        begun.elapsed()
    }
}

/// The limit: the same bytes in one prepared statement, over one connection.
struct Insert {
    runtime: Runtime,
    client: Client,
    statement: tokio_postgres::Statement,
    node: String,
}

impl Insert {
    fn new(url: &str, node: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (client, statement) = runtime.block_on(async {
            let mut config: tokio_postgres::Config = url.parse().unwrap();
            config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            let table = "CREATE TABLE IF NOT EXISTS insert_limit (node text, last bigint, lines text, PRIMARY KEY (node, last))";
            client.batch_execute(table).await.unwrap();
            let statement = client.prepare("INSERT INTO insert_limit VALUES ($1, $2, $3)").await.unwrap();
            (client, statement)
        });
        Self { runtime, client, statement, node: node.to_owned() }
    }
}

impl Commits for Insert {
    fn commit(&mut self, first: u64, records: &[String]) -> Duration {
        let begun = Instant::now();
        let lines = records.join("\n");
        let last = i64::try_from(first).unwrap();
        let insert = async { self.client.execute(&self.statement, &[&self.node, &last, &lines]).await };
        self.runtime.block_on(insert).unwrap();
        begun.elapsed()
    }
}

/// Groups a second, in each round.
fn rounds(stores: &mut [&mut dyn Commits], next: &mut u64, size: u64, rounds: usize, each: Duration) -> Vec<Vec<f64>> {
    let mut rates = vec![Vec::new(); stores.len()];
    for _ in 0..rounds {
        // All of them get the same records: each store wants numbers without a gap, so each gets as many groups.
        let mut taken = vec![Duration::ZERO; stores.len()];
        let (begun, mut groups) = (Instant::now(), 0_u32);
        while begun.elapsed() < each || groups < 3 {
            let records: Vec<String> = (*next..*next + size).map(record).collect();
            for (store, taken) in stores.iter_mut().zip(&mut taken) {
                *taken += store.commit(*next, &records);
            }
            *next += size;
            groups += 1;
        }
        for (rates, taken) in rates.iter_mut().zip(&taken) {
            rates.push(f64::from(groups) / taken.as_secs_f64());
        }
    }
    rates
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn ratio(one: &[f64], other: &[f64]) -> String {
    let ratios: Vec<f64> = one.iter().zip(other).map(|(one, other)| one / other).collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2}–{most:.2})", median(&ratios))
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let Some(url) = std::env::var("AMIKO_POSTGRES").ok().filter(|url| !url.is_empty()) else {
        println!(
            "NOT RUN: there is no PostgreSQL; start one with .ci/postgres, or name yours in AMIKO_POSTGRES=postgres://…"
        );
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let node = format!("bench-{now}");
    let folder = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let mut postgres = Postgres::open(&url, &node, PostgresSettings::default()).unwrap();
    let mut directory = Directory::open(folder.path()).unwrap();
    postgres.recover(&mut Nothing).unwrap();
    directory.recover(&mut Nothing).unwrap();
    let mut insert = Insert::new(&url, &node);
    let (count, each) = if quick { (1, Duration::from_millis(50)) } else { (7, Duration::from_secs(3)) };
    let mut next = 1;
    println!("records of {RECORD} bytes; groups a second, median of {count} rounds; ratios with their least and most");
    println!("| group | amiko-postgres | prepared insert | Directory | of the insert | of the directory |");
    println!("|---|---|---|---|---|---|");
    for size in [1, 100, 1_000] {
        let rates = rounds(&mut [&mut postgres, &mut insert, &mut directory], &mut next, size, count, each);
        let [ours, limit, files] = &rates[..] else { return };
        println!(
            "| {size} | {:.0} | {:.0} | {:.0} | {} | {} |",
            median(ours),
            median(limit),
            median(files),
            ratio(ours, limit),
            ratio(ours, files)
        );
    }
}
