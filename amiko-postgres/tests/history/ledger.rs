//! The process under test: a ledger that takes commands, a line each, on a port of this machine.
//!
//! | line | answer |
//! |---|---|
//! | `put CLIENT NUMBER` | `done N`: it is the entry of this number |
//! | `refuse CLIENT NUMBER` | `rejected`, after its handler has done the same as for `put` |
//! | `read` | `done N`: there are so many entries |
//! | `dump` | `entries N`, then `CLIENT NUMBER` for each |
//!
//! `elsewhere ADDRESS` means that nothing has happened here, and who leads, or `-`; `unknown`, that it may have happened.

use amiko_core::prelude::*;
use amiko_core::store::Retention;
use amiko_postgres::{Cluster, Postgres, PostgresSettings};
use amiko_runtime::{AskError, Handle, Member, RuntimeSettings, SendError, stop_signal};
use std::convert::Infallible;
use std::io::Read as _;
use std::process::exit;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How a process ends that was told to.
pub(crate) const STOPPED: i32 = 10;
/// How it ends if the node has failed.
pub(crate) const FAILED: i32 = 11;

pub(crate) const URL: &str = "AMIKO_LEDGER_URL";
pub(crate) const NODE: &str = "AMIKO_LEDGER_NODE";
pub(crate) const LEASE: &str = "AMIKO_LEDGER_LEASE";

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, reply = u64)]
struct Ledger {
    count: u64,
    #[amiko(objects)]
    entries: Table<Entry>,
}

/// Who has put it there, with which of its commands.
#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Entry {
    client: u64,
    number: u64,
}

#[derive(Clone, Serializable)]
struct Put {
    client: u64,
    number: u64,
    refuse: bool,
}

impl StateMachine for Ledger {
    type Node = Self;
    type Message = Put;

    fn handle(&mut self, put: Put, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let Put { client, number, refuse } = put;
        self.count += 1;
        cx.create(&Id::new(self.count), Entry { client, number });
        cx.reply(self.count);
        if refuse { Err(Rejection::new("as it was asked to")) } else { Ok(()) }
    }
}

type Node = Arc<OnceLock<Handle<Ledger, Postgres>>>;

/// Settings of a process with this lease.
pub(crate) fn settings(lease: Duration) -> PostgresSettings {
    let mut settings = PostgresSettings::default();
    settings.lease = lease;
    settings.renew = lease / 4;
    settings.poll = (lease / 10).min(Duration::from_millis(100));
    settings.timeout = lease * 3;
    settings.retention = Retention::Forever;
    settings
}

/// Runs until it is told to stop, or until the process that has started it is gone.
pub(crate) fn run(url: String) -> ! {
    std::thread::spawn(|| {
        drop(std::io::stdin().read_to_end(&mut Vec::new()));
        exit(FAILED);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    exit(runtime.block_on(serve(url)))
}

async fn serve(url: String) -> i32 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut settings = settings(Duration::from_millis(std::env::var(LEASE).unwrap().parse().unwrap()));
    settings.address = Some(address.clone());
    println!("\nlistening on {address}");
    let node = Node::default();
    let answers = Arc::clone(&node);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&answers)));
        }
    });
    let told_before_it_has_joined = async {
        stop_signal().await;
        if node.get().is_some() {
            std::future::pending().await
        }
    };
    tokio::select! {
        code = lead(url, settings, &node) => code,
        () = told_before_it_has_joined => STOPPED,
    }
}

async fn lead(url: String, settings: PostgresSettings, node: &Node) -> i32 {
    let name = std::env::var(NODE).unwrap();
    let cluster = loop {
        let (url, name, settings) = (url.clone(), name.clone(), settings.clone());
        match tokio::task::spawn_blocking(move || Cluster::join(&url, &name, settings)).await.unwrap() {
            Ok(cluster) => break cluster,
            // The database is away.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    let mut engine = Settings::default();
    engine.snapshot_minimum = 16 << 10;
    let mut runtime = RuntimeSettings::default();
    runtime.stop_limit = settings.lease * 5;
    let member = Member::<Ledger, _>::new(cluster, engine, runtime);
    let handle = node.get_or_init(|| member.handle()).clone();
    tokio::spawn(async move {
        stop_signal().await;
        handle.stop();
    });
    match member.run(|runtime| async { Ok::<_, Infallible>(runtime) }).await {
        Ok(()) => STOPPED,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                text = format!("{text}: {error}");
                source = error.source();
            }
            eprintln!("process {}: {text}", std::process::id());
            FAILED
        }
    }
}

async fn converse(stream: TcpStream, node: Node) {
    let (reads, mut writes) = stream.into_split();
    let mut lines = BufReader::new(reads).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut answer = match node.get() {
            Some(handle) => obey(&line, handle).await,
            None => "elsewhere -".to_owned(),
        };
        answer.push('\n');
        if writes.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn obey(line: &str, handle: &Handle<Ledger, Postgres>) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["read"] => asked(handle.read(|ledger| format!("done {}", ledger.count)).await),
        ["dump"] => asked(handle.read(dump).await),
        [verb @ ("put" | "refuse"), client, number] => {
            let put =
                Put { client: client.parse().unwrap(), number: number.parse().unwrap(), refuse: verb == "refuse" };
            match handle.send(&Id::<Ledger>::node(), put).key(format!("{client}-{number}")).await {
                Ok(count) => format!("done {count}"),
                Err(SendError::Rejected(_)) => "rejected".to_owned(),
                Err(SendError::NotLeader { leader }) => asked(Err(AskError::NotLeader { leader })),
                Err(SendError::Stopped) => asked(Err(AskError::Stopped)),
                Err(SendError::Unknown) => "unknown".to_owned(),
                Err(other) => format!("failed {other}"),
            }
        }
        _ => "failed: expected another line".to_owned(),
    }
}

fn asked(answer: Result<String, AskError>) -> String {
    match answer {
        Ok(answer) => answer,
        Err(AskError::NotLeader { leader: Some(leader) }) => format!("elsewhere {leader}"),
        Err(_) => "elsewhere -".to_owned(),
    }
}

fn dump(ledger: &Ledger) -> String {
    let mut text = format!("entries {}", ledger.entries.len());
    for (id, entry) in ledger.entries.iter() {
        text.push_str(&format!("\n{} {} {}", id.key(), entry.client, entry.number));
    }
    text
}
