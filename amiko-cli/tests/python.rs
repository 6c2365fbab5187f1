//! The package `amiko-journal` reads what these commands read: every kept version and every event of random directories, and
//! events as a node writes them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::engine::Entropy;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::{DirectorySettings, Retention};
use common::amiko;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// Of every kind of field that a change is written of in another way.
#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Shop {
    #[amiko(objects)]
    items: Table<Item>,
    notes: Map<String, u128>,
    log: Vec<String>,
    code: Option<Secret<String>>,
    fired: u64,
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Item {
    text: String,
    bytes: Vec<u8>,
    number: i128,
    ratio: f64,
    parts: Vec<(u64, Option<f64>)>,
}

#[derive(Clone, Serializable)]
enum Order {
    Put { key: String, item: Item },
    Change { key: String, text: String, ratio: f64, parts: Vec<(u64, Option<f64>)> },
    Remove { key: String },
    Note { key: String, number: Option<u128> },
    Log { at: usize, text: Option<String> },
    Lock { code: Secret<String> },
    Later { name: String, seconds: u64 },
    Fire,
    Refuse { reason: String },
}

impl StateMachine for Shop {
    type Node = Self;
    type Message = Order;

    fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match order {
            Order::Put { key, item } => cx.create(&Id::new(key), item),
            Order::Change { key, text, ratio, parts } => {
                let item = self.items.get_mut(&Id::new(key)).ok_or_else(|| Rejection::new("no such item"))?;
                (item.text, item.ratio, item.parts) = (text, ratio, parts);
            }
            Order::Remove { key } => cx.remove::<Item>(&Id::new(key)),
            Order::Note { key, number: Some(number) } => drop(self.notes.insert(key, number)),
            Order::Note { key, number: None } => drop(self.notes.remove(&key)),
            Order::Log { at, text: Some(text) } => self.log.insert(at.min(self.log.len()), text),
            Order::Log { at, text: None } if at < self.log.len() => drop(self.log.remove(at)),
            Order::Log { .. } => self.log.clear(),
            Order::Lock { code } => self.code = Some(code),
            Order::Later { name, seconds } => cx.timer(&name, cx.now() + Duration::from_secs(seconds), Order::Fire),
            Order::Fire => self.fired += 1,
            Order::Refuse { reason } => return Err(Rejection::new(reason)),
        }
        Ok(())
    }
}

/// Numbers without a pattern (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Often one that was there before.
    fn key(&mut self) -> String {
        ["", "a", "a/b", "~1", "~0", "~", "!x00", "0", "-", "é", "\u{1F980}\n"][self.below(11) as usize].to_owned()
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 18] = [
            "a",
            "\"",
            "\\",
            "/",
            "~",
            "!",
            "{",
            "[",
            "}",
            "\u{0}",
            "\u{8}",
            "\u{1f}",
            "\u{7f}",
            "\u{a0}",
            "\u{2028}",
            "\u{202e}",
            "é",
            "\u{1F980}",
        ];
        (0..self.below(6)).map(|_| PIECES[self.below(18) as usize]).collect()
    }

    fn ratio(&mut self) -> f64 {
        const RATIOS: [f64; 8] = [0.0, -0.0, 0.1, 1.0, 1e16, 1e300, 5e-324, f64::MAX];
        match self.below(10) {
            place @ 0..8 => RATIOS[place as usize],
            _ => Some(f64::from_bits(self.next())).filter(|ratio| ratio.is_finite()).unwrap_or(1.5),
        }
    }

    fn wide(&mut self) -> u128 {
        (u128::from(self.next()) << 64 | u128::from(self.next())) >> self.below(128)
    }

    fn parts(&mut self) -> Vec<(u64, Option<f64>)> {
        (0..self.below(4)).map(|_| (self.next(), Some(self.ratio()).filter(|_| self.below(2) == 0))).collect()
    }

    fn order(&mut self) -> Order {
        let key = self.key();
        match self.below(10) {
            0 | 1 => {
                let bytes = (0..self.below(9)).map(|_| self.next() as u8).collect();
                let number = self.wide() as i128;
                let item = Item { text: self.text(), bytes, number, ratio: self.ratio(), parts: self.parts() };
                Order::Put { key, item }
            }
            2 => Order::Change { key, text: self.text(), ratio: self.ratio(), parts: self.parts() },
            3 => Order::Remove { key },
            4 => Order::Note { key, number: Some(self.wide()).filter(|_| self.below(3) > 0) },
            5 | 6 => Order::Log { at: self.below(4) as usize, text: Some(self.text()).filter(|_| self.below(3) > 0) },
            7 => Order::Lock { code: Secret::new(self.text()) },
            8 => Order::Later { name: key, seconds: self.below(9) },
            _ => Order::Refuse { reason: self.text() },
        }
    }
}

/// A process that is being started has, for a moment, the files of this one, locks among them: no test starts one while another opens a
/// directory that it has just closed.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The settings of nodes that make the same records, and short segments.
fn open(path: &Path, retention: Retention) -> Engine<Shop> {
    let mut store = DirectorySettings::default();
    (store.segment_chunk, store.retention) = (1_024, retention);
    let mut settings = Settings::default();
    settings.entropy = Entropy::Seed([1; 32]);
    settings.journal_rejected = true;
    (settings.snapshot_minimum, settings.snapshot_ratio) = (6_000, 0);
    Engine::open(Directory::open_with(path, store).unwrap(), settings).unwrap()
}

/// An event at a second, or several if timers are due.
fn happen(engine: &mut Engine<Shop>, order: Order, second: u64) {
    let now = Time::from_secs(1_800_000_000 + second);
    engine.tick(now).unwrap();
    // A rejection is an event as well.
    drop(engine.send(&Id::node(), order, now));
}

/// Python with the package, if there is one.
fn python(arguments: &[&str]) -> Option<Command> {
    let recent = Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]).status();
    if !recent.is_ok_and(|status| status.success()) {
        eprintln!("skipped: expected python3 of version 3.9 or newer, found none");
        return None;
    }
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/../python/src"));
    python.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONIOENCODING", "utf-8").args(arguments);
    Some(python)
}

fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn commanded(arguments: &[&str]) -> String {
    let output = amiko(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `amiko log --json` prints, one event a line.
fn log(arguments: &[&str]) -> Vec<String> {
    let Json::Array(events) = Json::parse(&commanded(arguments)).unwrap() else { panic!("expected an array") };
    events.iter().map(Json::to_string).collect()
}

const DOCUMENTS: &str = "
import sys
from amiko_journal import Directory, write
directory = Directory(sys.argv[1], secrets=sys.argv[2] == 'True')
print(list(directory.versions()))
for version in directory.versions():
    print(write(directory.document(version)))
";

#[test]
fn python_reads_every_version_and_every_event_as_rust_does() {
    let _alone = alone();
    for seed in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_str().unwrap();
        let mut random = Random(seed);
        let newest = happened(folder.path(), &mut random, 100);
        let snapshots = folder
            .path()
            .read_dir()
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("snapshot"));
        assert!(snapshots.count() > 2, "seed {seed} makes no snapshots");

        for secrets in ["False", "True"] {
            let shown: &[&str] = if secrets == "True" { &["--secrets"] } else { &[] };
            let Some(python) = python(&["-W", "error", "-c", DOCUMENTS, directory, secrets]) else { return };
            let read = output(python);
            let mut read = read.lines();
            let versions: Vec<u64> = (0..=newest).collect();
            assert_eq!(read.next().unwrap(), format!("{versions:?}"), "seed {seed}");
            for version in versions {
                let at = version.to_string();
                let expected = commanded(&[&["show", directory, "--json", "--at", &at], shown].concat());
                let expected = Json::parse(&expected).unwrap().to_string();
                assert_eq!(read.next().unwrap(), expected, "seed {seed}, version {version}");
            }

            let module = |more: &[&str]| {
                output(self::python(&[&["-m", "amiko_journal", directory], shown, more].concat()).unwrap())
            };
            let expected = log(&[&["log", directory, "--json"], shown].concat());
            assert_eq!(module(&["--json"]).lines().collect::<Vec<_>>(), expected, "seed {seed}");
            assert_eq!(module(&[]), commanded(&[&["log", directory], shown].concat()), "seed {seed}");
        }
    }
}

/// A directory of some hundred events, in groups, over several snapshots and restarts. Gives the newest version.
fn happened(folder: &Path, random: &mut Random, seconds: u64) -> u64 {
    let mut engine = open(folder, Retention::Forever);
    for second in 0..seconds {
        happen(&mut engine, random.order(), second);
        match random.below(20) {
            0..8 => drop(engine.sync().unwrap()),
            8 => {
                engine.sync().unwrap();
                drop(engine);
                engine = open(folder, Retention::Forever);
            }
            _ => {}
        }
    }
    engine.sync().unwrap();
    engine.version().0
}

/// Its exit code, and what it prints; or the first place that it names, with what was expected and found there.
fn outcome(output: &Output) -> (i32, String) {
    let code = output.status.code().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().last().unwrap_or_default().split_once(": ").unwrap_or_default().1;
    let place = reason.split_once("; ").map(|(place, _)| place).filter(|place| place.contains(" (byte "));
    match code {
        0 => (code, String::from_utf8(output.stdout.clone()).unwrap()),
        _ => (code, place.unwrap_or_default().to_owned()),
    }
}

/// Something that happens to a file.
fn damage(file: &Path, random: &mut Random) -> String {
    let mut content = fs::read(file).unwrap();
    // Not the room behind the records.
    let end = content.trim_ascii_end().len() + 2;
    let at = random.below(end.min(content.len()) as u64) as usize;
    let what = match random.below(8) {
        0 => {
            fs::remove_file(file).unwrap();
            return format!("{} removed", file.display());
        }
        1 => {
            content.truncate(at);
            "cut off"
        }
        2 => {
            content[at..].fill(b'\n');
            "blank from there"
        }
        3 => {
            content[at] = b"\n\"{}[]\\ 0"[random.below(9) as usize];
            "another character"
        }
        _ => {
            content[at] ^= 1 << random.below(8);
            "another bit"
        }
    };
    fs::write(file, content).unwrap();
    format!("{} at byte {at}: {what}", file.display())
}

#[test]
fn python_finds_the_damage_that_rust_finds_where_rust_finds_it() {
    let _alone = alone();
    let original = tempfile::tempdir().unwrap();
    let mut random = Random(11);
    let newest = happened(original.path(), &mut random, 60);
    let mut codes = BTreeMap::<i32, u64>::new();
    let long = std::env::var_os("AMIKO_CI").is_some_and(|kind| kind == "long");
    for _ in 0..if long { 300 } else { 20 } {
        let folder = tempfile::tempdir().unwrap();
        for entry in original.path().read_dir().unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let mut files: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.file_name().unwrap().to_string_lossy().contains('-'));
        files.sort();
        let file = &files[random.below(files.len() as u64) as usize];
        let what = damage(file, &mut random);

        let directory = folder.path().to_str().unwrap();
        let at = random.below(newest + 2).to_string();
        for (rust, more) in [
            (vec!["log", directory, "--secrets"], vec!["--secrets"]),
            (vec!["export", directory, "--secrets", "--at", &at], vec!["--secrets", "--json", "--at", &at]),
            (vec!["export", directory, "--secrets"], vec!["--secrets", "--json", "--at", "newest"]),
        ] {
            let Some(mut python) = python(&[&["-m", "amiko_journal", directory], &more[..]].concat()) else { return };
            let (mut rust, mut python) = (outcome(&amiko(&rust)), outcome(&python.output().unwrap()));
            if (rust.0, python.0) == (0, 0) && more.len() > 1 {
                for text in [&mut rust.1, &mut python.1] {
                    *text = Json::parse(text).unwrap().to_string();
                }
            }
            assert_eq!(python, rust, "{what}, {more:?}");
            *codes.entry(rust.0).or_default() += 1;
        }
    }
    assert!(codes[&0] > 5 && codes[&4] > 5, "{codes:?}");
}

#[test]
fn python_follows_a_node_while_snapshots_take_the_place_of_its_journal() {
    let _alone = alone();
    /// How long it may take until what was written is seen, on a machine with other things to do.
    const DEADLINE: Duration = Duration::from_secs(60);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut followed = open(folders[0].path(), Retention::Count(0));
    // Makes the same records, and keeps them.
    let mut kept = open(folders[1].path(), Retention::Forever);
    let directory = folders[0].path().to_str().unwrap();
    let Some(mut follow) = python(&["-m", "amiko_journal", directory, "--follow", "--json"]) else { return };
    let mut follow = follow.stdout(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let stdout = BufReader::new(follow.stdout.take().unwrap());
    let reader =
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));

    let (mut random, mut seen) = (Random(7), Vec::new());
    for second in 0..120 {
        let order = random.order();
        happen(&mut followed, order.clone(), second);
        happen(&mut kept, order, second);
        if random.below(3) > 0 {
            continue;
        }
        followed.sync().unwrap();
        while (seen.len() as u64) < followed.version().0 {
            seen.push(lines.recv_timeout(DEADLINE).unwrap());
        }
    }
    kept.sync().unwrap();
    follow.kill().unwrap();
    follow.wait().unwrap();
    drop(reader.join().unwrap());
    let mut first = folders[0].path().read_dir().unwrap();
    assert!(!first.any(|entry| entry.unwrap().file_name() == "journal-1.jsonl"), "no snapshot has taken its place");
    let expected = log(&["log", folders[1].path().to_str().unwrap(), "--json"]);
    assert_eq!(seen, expected[..seen.len()]);
    assert!(seen.len() > 100);
}
