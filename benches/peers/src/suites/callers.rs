//! Commands of many callers, and of one: a node that runs, beside an actor with SQLite and group commit by hand.

mod actor;

use crate::directory;
use crate::effort::{Effort, set};
use crate::process::{again, work};
use crate::report::{self, Asked, Report};
use crate::samples::Samples;
use amiko_core::prelude::*;
use amiko_runtime::{Handle, Runtime};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const TEXT: &str = "\
A command changes one of 100,000 accounts, some 320 bytes of JSON each, and is answered with a number once that is on disk: by 256 \
callers at once, each of which sends one command after the other, and by one caller alone. A caller is a task of the same tokio \
runtime, of as many threads as there are processors.

- **Amiko**: `Handle::send` to a `Runtime` on a `Directory`, with the settings that they have by default.
- **ractor + rusqlite** is what one would write instead, with group commit by hand. An actor has the accounts as typed objects in a \
  hash table, changes one, and passes its JSON on to a thread that has the connection. That thread takes all changes that are \
  waiting, up to 1,000, into one transaction, commits, and answers each caller by its oneshot.
- **ractor + rusqlite, columns**: the same with the accounts in the database alone, a column for each field. The actor passes \
  commands on, and the thread runs `UPDATE … RETURNING` for each: no JSON, and no state in memory that could be ahead of the disk.

For both SQLite is in WAL mode with synchronous=FULL, statements are prepared once, the cache holds everything, nobody else may open \
the file, so that it needs no locks, and a checkpoint is made every 16,384 pages instead of every 1,000: by default it would be made \
after every few transactions. Of the two the better one counts, for each bound anew.

Each turn has a process of its own; at its end the state is opened anew, and the sum of all balances must say that each command that \
was answered was carried out once. Processor time is that of the whole process, callers and system included, from \
`CLOCK_PROCESS_CPUTIME_ID`. `AMIKO_CALL_SECONDS` sets how long a turn takes, 2 by default, and `AMIKO_CALL_ROUNDS` how many there \
are of each, 7 by default.";

const NAMES: [&str; 3] = ["Amiko", "ractor + rusqlite", "ractor + rusqlite, columns"];
const CALLERS: [usize; 2] = [256, 1];
const ACCOUNTS: u64 = 100_000;
const ROUNDS: usize = 7;
const TURN: Duration = Duration::from_secs(2);

/// What is told of each turn, in the order in which a turn prints it.
const FIGURES: [(&str, &str); 4] = [
    ("commands a second", "/s"),
    ("processor milliseconds for 1,000 commands", "ms"),
    ("half of the commands were answered within, µs", "µs"),
    ("99 of 100 commands were answered within, µs", "µs"),
];
const RATE: usize = 0;
const WORK: usize = 1;
const HALF: usize = 2;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    Amiko,
    Objects,
    Columns,
}

/// An account.
#[derive(Clone, Debug, Serializable)]
#[amiko(key = u64, reply = u64)]
struct Account {
    number: u64,
    owner: String,
    address: String,
    contact: String,
    currency: String,
    note: String,
    balance: u64,
    limit: u64,
    opened: u64,
    open: bool,
}

impl Account {
    fn new(number: u64) -> Self {
        Self {
            number,
            owner: format!("owner number {number:08} of the bank"),
            address: format!("{} Long Road, 10115 Springfield on the River", number % 9_973),
            contact: format!("owner-{number:08}@mail.example.org"),
            currency: "EUR".into(),
            note: "may be overdrawn up to the limit, as agreed with the branch".into(),
            balance: 1_000_000,
            limit: 250_000,
            opened: 1_700_000_000_000 + number,
            open: true,
        }
    }
}

#[derive(Clone, Serializable)]
enum AccountMessage {
    Deposit { amount: u64 },
}

impl StateMachine for Account {
    type Node = Bank;
    type Message = AccountMessage;

    fn handle(&mut self, message: AccountMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let AccountMessage::Deposit { amount } = message;
        self.balance = self.balance.checked_add(amount).ok_or(Rejection::new("the account is full"))?;
        cx.reply(self.balance);
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Bank {
    #[amiko(machines)]
    accounts: Table<Account>,
}

/// Whoever takes commands.
trait Service: Clone + Send + Sync + 'static {
    /// Puts this much into an account; gives what is in it then, once that is on disk.
    fn deposit(&self, account: u64, amount: u64) -> impl Future<Output = u64> + Send;
}

impl Service for Handle<Bank> {
    async fn deposit(&self, account: u64, amount: u64) -> u64 {
        self.send(&Id::<Account>::new(account), AccountMessage::Deposit { amount }).await.expect("is carried out")
    }
}

/// One command after the other until then; gives the nanoseconds that each took.
async fn call(service: impl Service, caller: u64, accounts: u64, end: Instant) -> Vec<f64> {
    let (mut times, mut number) = (Vec::with_capacity(1 << 12), caller);
    loop {
        // Large and odd steps, so that accounts are visited in no simple order.
        number = number.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let begin = Instant::now();
        service.deposit((number >> 32) % accounts, 1).await;
        times.push(begin.elapsed().as_nanos() as f64);
        if Instant::now() >= end {
            return times;
        }
    }
}

/// So many callers for a while; gives the nanoseconds of each command, in order.
async fn drive(service: &impl Service, callers: u64, accounts: u64, time: Duration) -> Vec<f64> {
    let end = Instant::now() + time;
    let calls: Vec<_> = (0..callers).map(|caller| tokio::spawn(call(service.clone(), caller, accounts, end))).collect();
    let mut times = Vec::new();
    for call in calls {
        times.append(&mut call.await.expect("calls"));
    }
    times.sort_by(f64::total_cmp);
    times
}

/// The figures of a service, and how many commands it has carried out.
async fn measure(service: impl Service, callers: u64, accounts: u64, time: Duration) -> ([f64; 4], u64) {
    let first = drive(&service, callers, accounts, time / 4).await.len();
    let (before, start) = (work(), Instant::now());
    let times = drive(&service, callers, accounts, time).await;
    let (seconds, work, count) = (start.elapsed().as_secs_f64(), work() - before, times.len() as f64);
    let percentile = |part: f64| times[((count - 1.0) * part).round() as usize] / 1e3;
    let figures = [count / seconds, work.as_secs_f64() * 1e6 / count, percentile(0.5), percentile(0.99)];
    (figures, (first + times.len()) as u64)
}

fn open(path: &Path, accounts: u64) -> Engine<Bank> {
    let initial = || Bank { accounts: (0..accounts).map(|number| (Id::new(number), Account::new(number))).collect() };
    let store = Directory::open(path).expect("opens");
    Engine::open_with(store, Settings::default(), initial).expect("opens")
}

/// The figures of Amiko, and what was paid in by how many commands.
async fn amiko(path: &Path, callers: u64, accounts: u64, time: Duration) -> ([f64; 4], u64, u64) {
    let sum = |engine: &Engine<Bank>| engine.node().accounts.iter().map(|(_, account)| account.balance).sum::<u64>();
    let engine = open(path, accounts);
    let before = sum(&engine);
    let (bank, running) = Runtime::new(engine).spawn();
    let (figures, count) = measure(bank.clone(), callers, accounts, time).await;
    bank.stop();
    drop(running.await.expect("stops"));
    (figures, sum(&open(path, accounts)) - before, count)
}

/// Takes one turn, and prints its figures.
pub(super) fn turn(contender: Contender, callers: u64, accounts: u64, milliseconds: u64, path: &Path) {
    let time = Duration::from_millis(milliseconds);
    let runtime = tokio::runtime::Runtime::new().expect("starts");
    let (figures, paid, count) = runtime.block_on(async {
        match contender {
            Contender::Amiko => amiko(path, callers, accounts, time).await,
            Contender::Objects => actor::measure(actor::Objects, path, callers, accounts, time).await,
            Contender::Columns => actor::measure(actor::Columns, path, callers, accounts, time).await,
        }
    });
    assert_eq!(paid, count, "each command was carried out once");
    println!("{}", figures.map(|figure| figure.to_string()).join(" "));
}

pub(super) fn run(effort: Effort) -> Report {
    let (accounts, rounds) = (effort.count(ACCOUNTS), effort.rounds(set("AMIKO_CALL_ROUNDS", ROUNDS)));
    let time = effort.time(Duration::from_secs_f64(set("AMIKO_CALL_SECONDS", TURN.as_secs_f64())));
    let mut found = CALLERS.map(|_| FIGURES.map(|(name, unit)| Samples::new(name, unit, &NAMES)));
    for round in 0..rounds {
        eprintln!("  round {} of {rounds}", round + 1);
        for (callers, found) in CALLERS.into_iter().zip(&mut found) {
            // Another one begins each time, because each one leaves the disk something to do.
            for offset in 0..NAMES.len() {
                let which = (offset + round) % NAMES.len();
                for (samples, figure) in found.iter_mut().zip(in_a_process(which, callers, accounts, time)) {
                    samples.add(which, figure);
                }
            }
        }
    }
    let [many, one] = &found;
    let bound = |samples: &Samples, what: &str, most: bool, asked: Asked| {
        let other = rival(samples, most);
        samples.bound(&format!("{what}, to {other}"), NAMES[0], other, asked)
    };
    let bounds = vec![
        bound(&many[RATE], "durable commands a second of 256 callers", true, Asked::AtLeast(2.0)),
        bound(&many[WORK], "processor time of a command of 256 callers", false, Asked::AtMost(0.5)),
        bound(&one[HALF], "a durable command of one caller alone, p50", false, Asked::AtMost(0.45)),
    ];
    Report { text: TEXT.into(), tables: tables(&found), bounds, ..Report::default() }
}

/// The figures of one turn in a process of its own.
fn in_a_process(which: usize, callers: usize, accounts: u64, time: Duration) -> Vec<f64> {
    let files = directory();
    let name = Contender::value_variants()[which].to_possible_value().expect("none is hidden").get_name().to_owned();
    let path: PathBuf = files.path().into();
    let numbers = [callers as u64, accounts, time.as_millis() as u64].map(|number| number.to_string());
    let [callers, accounts, time] = numbers.each_ref().map(String::as_str);
    again(&["call", &name, callers, accounts, time, &path.to_string_lossy()])
}

/// The better one of the others.
fn rival(samples: &Samples, most: bool) -> &'static str {
    let better = |name: &&&str| if most { samples.spread(name).median } else { -samples.spread(name).median };
    NAMES[1..].iter().max_by(|one, other| better(one).total_cmp(&better(other))).copied().unwrap_or(NAMES[1])
}

/// One table for each figure, with a row for each number of callers.
fn tables(found: &[[Samples; FIGURES.len()]; CALLERS.len()]) -> Vec<report::Table> {
    let mut heads = vec!["callers".to_owned()];
    heads.extend(NAMES.map(str::to_owned));
    heads.extend(NAMES[1..].iter().map(|name| format!("{} / {name}", NAMES[0])));
    let table = |(figure, (name, _)): (usize, (&str, &str))| {
        let row = |(callers, samples): (usize, &[Samples; FIGURES.len()])| {
            let mut row = vec![callers.to_string()];
            row.extend(NAMES.map(|name| samples[figure].spread(name).to_string()));
            row.extend(NAMES[1..].iter().map(|name| samples[figure].ratio(NAMES[0], name).to_string()));
            row
        };
        report::Table {
            name: name.to_owned(),
            heads: heads.clone(),
            rows: CALLERS.into_iter().zip(found).map(row).collect(),
        }
    };
    FIGURES.into_iter().enumerate().map(table).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_some_320_bytes() {
        let text = to_json(&Account::new(4711)).expect("writes");
        assert!((300..=360).contains(&text.len()), "{} bytes: {text}", text.len());
        assert_eq!(serde_json::to_string(&actor::Account::from(Account::new(4711))).expect("writes"), text);
    }

    #[test]
    fn all_carry_out_each_command_once() {
        let runtime = tokio::runtime::Runtime::new().expect("starts");
        let time = Duration::from_millis(1);
        runtime.block_on(async {
            let directories = [directory(), directory(), directory()];
            let [ours, objects, columns] = directories.each_ref().map(|directory| directory.path());
            for (_, paid, count) in [
                amiko(ours, 10, 100, time).await,
                actor::measure(actor::Objects, objects, 10, 100, time).await,
                actor::measure(actor::Columns, columns, 10, 100, time).await,
            ] {
                assert!(paid == count && count >= 20, "{count} commands, {paid} paid");
            }
        });
    }
}
