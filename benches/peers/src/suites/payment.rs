//! Payments over six of twelve nodes: the whole node, with its runtime, its encryption and its disk.

mod lightning;

use crate::directory;
use crate::effort::Effort;
use crate::plot::{Axis, Line, Plot, Unit};
use crate::process::work;
use crate::report::{Asked, Bound, Report, Table};
use crate::spread::{Spread, figure};
use amiko_core::prelude::*;
use amiko_core::store::{Access, DirectorySettings, LockError, OsVfs, Store, Vfs, VfsFile};
use amiko_examples::payment::{Outcome, PaymentNode};
use amiko_examples::running::{self, RunningNetwork};
use amiko_runtime::{Durability, Handle, RuntimeSettings, SecretKey};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const TEXT: &str = "\
Twelve nodes in one process, each with its own thread, engine, directory, key and listener, as in `amiko-node demo`; streams \
between them are encrypted. A payment goes over six of them, from its request to the moment when its payer knows that it is \
committed.

How many syncs one payment waits for, one after the other, is measured and not counted by hand: with disks whose sync takes so \
many milliseconds longer, a payment takes so many times as many longer. A fdatasync of the real disk is that of 400 bytes in a \
file that was written before, in turns with the payments. A synced payment is held against one where nothing is synced together \
with the syncs that it waits for: the former alone takes about as long as all those syncs, so no payment could take 1.5 times as \
long as the syncs.

The processor time is that of the whole process, all twelve nodes and those who ask for payments, from \
`CLOCK_PROCESS_CPUTIME_ID`. Payments a second stand beside it, and have no bound: they are what this machine's processors and disk \
make of it, and how much else they had to do.";

const WORK_OF_A_PAYMENT: &str =
    "processor time of one payment over six of twelve nodes in one process, 100 at a time, synced, encrypted";

/// Enough for as many payments as there will be.
const FUNDS: u64 = 1_000_000_000;
/// The two ends of the payments.
const ENDS: [usize; 2] = [0, 7];
const ROUNDS: usize = 101;
/// Payments that are under way at the same time.
const LOADS: [usize; 8] = [1, 2, 5, 10, 20, 50, 100, 200];
const LOAD_ROUNDS: usize = 5;
const LOAD_TURN: Duration = Duration::from_secs(2);
/// The load at which the processor time is judged.
const JUDGED: usize = 100;

/// A disk whose sync takes this long, and does nothing.
#[derive(Clone, Copy)]
struct SlowDisk(Duration);

struct SlowFile {
    file: <OsVfs as Vfs>::File,
    sync: Duration,
}

impl SlowDisk {
    fn slow(self, file: io::Result<<OsVfs as Vfs>::File>) -> io::Result<SlowFile> {
        Ok(SlowFile { file: file?, sync: self.0 })
    }
}

impl Vfs for SlowDisk {
    type File = SlowFile;
    type Lock = <OsVfs as Vfs>::Lock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsVfs.create_dir(path)
    }

    fn lock(&self, path: &Path, access: Access) -> Result<Self::Lock, LockError> {
        OsVfs.lock(path, access)
    }

    fn create(&self, path: &Path) -> io::Result<SlowFile> {
        self.slow(OsVfs.create(path))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<SlowFile> {
        self.slow(OsVfs.open(path, access))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        OsVfs.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsVfs.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for SlowFile {
    fn size(&self) -> io::Result<u64> {
        VfsFile::size(&self.file)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        VfsFile::read_at(&self.file, offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        VfsFile::write_at(&mut self.file, offset, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        sleep(self.sync);
        Ok(())
    }
}

fn start<V: Vfs + Copy + Sync>(
    runtime: &Runtime,
    path: &Path,
    vfs: V,
    durability: Durability,
) -> RunningNetwork<Directory<V>> {
    let mut settings = RuntimeSettings::default();
    settings.durability = durability;
    let open = move |path: &Path| {
        let store = Directory::open_with_vfs(path, DirectorySettings::default(), vfs)?;
        Ok((store, SecretKey::generate()?))
    };
    runtime.block_on(RunningNetwork::start(path, FUNDS, &settings, open)).expect("starts")
}

fn ends<S: Store + 'static>(network: &RunningNetwork<S>) -> [Handle<PaymentNode, S>; 2] {
    ENDS.map(|end| network.handles().nth(end).expect("is there").clone())
}

/// Nanoseconds of one payment; none if it was cancelled, because a node was too late.
async fn try_to_pay<S: Store>(payer: &Handle<PaymentNode, S>, payee: &Handle<PaymentNode, S>) -> Option<f64> {
    let start = Instant::now();
    let outcome = running::pay(payer, payee, 1).await.expect("is possible");
    (outcome == Outcome::Committed).then(|| start.elapsed().as_nanos() as f64)
}

/// The same where no node has anything else to do.
async fn pay<S: Store>(payer: &Handle<PaymentNode, S>, payee: &Handle<PaymentNode, S>) -> f64 {
    try_to_pay(payer, payee).await.expect("is committed")
}

/// A file that was written before.
struct Prewritten {
    file: File,
    at: u64,
}

impl Prewritten {
    const SIZE: u64 = 16 << 20;
    const RECORD: [u8; 400] = [b'x'; 400];

    fn new(path: &Path) -> Self {
        let file = File::create(path.join("prewritten")).expect("creates");
        file.write_all_at(&vec![b'\n'; Self::SIZE as usize], 0).expect("writes");
        file.sync_all().expect("syncs");
        Self { file, at: 0 }
    }

    /// Nanoseconds of one fdatasync of a record.
    fn sync(&mut self) -> f64 {
        self.at = (self.at + Self::RECORD.len() as u64) % (Self::SIZE - Self::RECORD.len() as u64);
        self.file.write_all_at(&Self::RECORD, self.at).expect("writes");
        let start = Instant::now();
        self.file.sync_data().expect("syncs");
        start.elapsed().as_nanos() as f64
    }
}

/// How many syncs a payment waits for, one after the other.
fn syncs_in_a_row(runtime: &Runtime, effort: Effort) -> f64 {
    const SYNCS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(40)];
    const PAYMENTS: usize = 5;
    let [short, long] = SYNCS.map(|sync| {
        let files = directory();
        let network = start(runtime, files.path(), SlowDisk(sync), Durability::Always);
        let [payer, payee] = ends(&network);
        // The first one is part of the beginning.
        runtime.block_on(pay(&payer, &payee));
        let times = (0..effort.rounds(PAYMENTS)).map(|_| runtime.block_on(pay(&payer, &payee)));
        let median = Spread::of(times).median;
        network.stop().expect("stops");
        median
    });
    (long - short) / (SYNCS[1] - SYNCS[0]).as_nanos() as f64
}

/// One payment at a time: synced, and fdatasyncs beside it, and with nothing synced; in nanoseconds.
struct Alone {
    synced: Vec<f64>,
    sync: Vec<f64>,
    never: Vec<f64>,
}

fn alone(runtime: &Runtime, effort: Effort) -> Alone {
    /// Beside each payment, so that one of them is as good as another.
    const SYNCS: usize = 9;
    let (files, more_files) = (directory(), directory());
    let network = start(runtime, files.path(), OsVfs, Durability::Always);
    let lazy = start(runtime, more_files.path(), OsVfs, Durability::Never);
    let ([payer, payee], [lazy_payer, lazy_payee]) = (ends(&network), ends(&lazy));
    let mut file = Prewritten::new(files.path());
    let mut alone = Alone { synced: Vec::new(), sync: Vec::new(), never: Vec::new() };
    runtime.block_on(pay(&payer, &payee));
    runtime.block_on(pay(&lazy_payer, &lazy_payee));
    for _ in 0..effort.rounds(ROUNDS) {
        alone.synced.push(runtime.block_on(pay(&payer, &payee)));
        alone.sync.push(Spread::of((0..SYNCS).map(|_| file.sync())).median);
        alone.never.push(runtime.block_on(pay(&lazy_payer, &lazy_payee)));
    }
    network.stop().expect("stops");
    lazy.stop().expect("stops");
    alone
}

/// What a load gave.
#[derive(Default)]
struct Load {
    /// Payments a second in each round.
    rates: Vec<f64>,
    /// Milliseconds that processors worked for one payment, in each round.
    work: Vec<f64>,
    /// How long each payment took, in nanoseconds.
    times: Vec<f64>,
    /// Payments that were given up.
    cancelled: usize,
}

impl Load {
    fn percentile(&mut self, part: f64) -> f64 {
        self.times.sort_by(f64::total_cmp);
        self.times[((self.times.len() - 1) as f64 * part).round() as usize]
    }
}

/// So many payments at a time, to and fro, for a while.
fn load<S: Store + 'static>(
    runtime: &Runtime,
    ends: &[Handle<PaymentNode, S>; 2],
    at_a_time: usize,
    time: Duration,
    load: &mut Load,
) where
    Handle<PaymentNode, S>: Send + Sync,
{
    let (over, before, start) = (Arc::new(AtomicBool::new(false)), work(), Instant::now());
    let payers: Vec<_> = (0..at_a_time)
        .map(|number| {
            let (over, [one, other]) = (Arc::clone(&over), ends.clone());
            let (payer, payee) = if number % 2 == 0 { (one, other) } else { (other, one) };
            runtime.spawn(async move {
                let mut times = Vec::new();
                while times.is_empty() || !over.load(Ordering::Relaxed) {
                    times.push(try_to_pay(&payer, &payee).await);
                }
                times
            })
        })
        .collect();
    sleep(time);
    over.store(true, Ordering::Relaxed);
    let times: Vec<_> = payers.into_iter().flat_map(|payer| runtime.block_on(payer).expect("pays")).collect();
    let committed = times.iter().flatten();
    let count = committed.clone().count();
    load.rates.push(count as f64 / start.elapsed().as_secs_f64());
    load.work.push((work() - before).as_secs_f64() * 1e3 / count as f64);
    load.cancelled += times.len() - count;
    load.times.extend(committed);
}

fn loads(runtime: &Runtime, effort: Effort) -> Vec<(usize, Load)> {
    let files = directory();
    let network = start(runtime, files.path(), OsVfs, Durability::Always);
    let ends = ends(&network);
    let mut loads: Vec<_> = LOADS.map(|at_a_time| (at_a_time, Load::default())).into();
    let rounds = effort.rounds(LOAD_ROUNDS);
    for round in 0..rounds {
        eprintln!("  load: round {} of {rounds}", round + 1);
        for (at_a_time, found) in &mut loads {
            load(runtime, &ends, effort.at_most(*at_a_time, 4), effort.time(LOAD_TURN), found);
        }
    }
    network.stop().expect("stops");
    loads
}

/// What is asked.
fn bounds(alone: &Alone, in_a_row: f64, loads: &[(usize, Load)]) -> Vec<Bound> {
    let Alone { synced, sync, never } = alone;
    let floors = sync.iter().zip(never).map(|(sync, never)| never + in_a_row * sync);
    let judged = loads.iter().find(|(at_a_time, _)| *at_a_time == JUDGED).expect("is measured");
    vec![
        Bound {
            work: "one payment, everything synced, to one where nothing is synced and the syncs that it waits for"
                .into(),
            asked: Asked::AtMost(1.1),
            found: Spread::of(synced.iter().zip(floors).map(|(payment, floor)| payment / floor)),
            unit: "×".into(),
        },
        Bound {
            work: WORK_OF_A_PAYMENT.into(),
            asked: Asked::AtMost(2.6),
            found: Spread::of(judged.1.work.iter().copied()),
            unit: "ms".into(),
        },
    ]
}

fn milliseconds(times: &[f64]) -> Spread {
    Spread::of(times.iter().map(|time| time / 1e6))
}

/// What one payment took.
fn one(alone: &Alone, in_a_row: f64) -> Table {
    let Alone { synced, sync, never } = alone;
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    Table {
        name: "one payment".into(),
        heads: vec![String::new(), "ms".into()],
        rows: vec![
            row("everything synced", milliseconds(synced).to_string()),
            row("nothing synced", milliseconds(never).to_string()),
            row("one fdatasync", milliseconds(sync).to_string()),
            row("syncs that a payment waits for, one after the other (a number)", figure(in_a_row)),
        ],
    }
}

/// What many took, as a table and a plot.
fn many(loads: &mut [(usize, Load)]) -> (Table, Plot) {
    let (mut rows, mut middle, mut high) = (Vec::new(), Vec::new(), Vec::new());
    for (at_a_time, load) in loads {
        let (rate, p50, p99) = (Spread::of(load.rates.iter().copied()), load.percentile(0.5), load.percentile(0.99));
        middle.push((rate.median, p50));
        high.push((rate.median, p99));
        rows.push(vec![
            at_a_time.to_string(),
            rate.to_string(),
            Spread::of(load.work.iter().copied()).to_string(),
            figure(p50 / 1e6),
            figure(p99 / 1e6),
            load.cancelled.to_string(),
        ]);
    }
    let heads =
        ["at a time", "payments/s", "processor ms each", "p50, ms", "p99, ms", "cancelled"].map(Into::into).into();
    let table = Table { name: "many payments, everything synced".into(), heads, rows };
    let plot = Plot {
        name: "payment-load".into(),
        title: "Payments over six nodes, 1 to 200 at a time, everything synced".into(),
        x: Axis::new("payments a second", Unit::Count),
        y: Axis::new("time of one payment", Unit::Nanoseconds),
        lines: vec![
            Line { name: "half of them within".into(), points: middle },
            Line { name: "99 of 100 within".into(), points: high },
        ],
    };
    (table, plot)
}

pub(super) fn run(effort: Effort) -> Report {
    let runtime = Runtime::new().expect("starts");
    eprintln!("  one payment at a time");
    let in_a_row = syncs_in_a_row(&runtime, effort);
    let alone = alone(&runtime, effort);
    let mut loads = loads(&runtime, effort);
    let bounds = bounds(&alone, in_a_row, &loads);
    let (table, plot) = many(&mut loads);
    let text = format!("{TEXT}\n\n{}", lightning::TEXT);
    Report { text, tables: vec![one(&alone, in_a_row), table, lightning::table()], bounds, plots: vec![plot] }
}
