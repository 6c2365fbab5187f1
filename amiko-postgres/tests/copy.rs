//! A node that is copied from a directory into a database, and back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod common;

use amiko_core::prelude::*;
use amiko_core::store::{DirectorySettings, KeptReader, Recovery, Refused, Retention, Store, classes, verify, walk};
use amiko_postgres::{Copied, CopyError, OpenError, Postgres, export, export_checked, export_running, import};
use common::{database, lead, node, quick};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::{fs, thread};

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Notes {
    texts: Vec<String>,
}

#[derive(Clone, Serializable)]
struct Write {
    text: String,
}

impl StateMachine for Notes {
    type Node = Self;
    type Message = Write;

    fn handle(&mut self, Write { text }: Write, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        self.texts.push(text);
        Ok(())
    }
}

/// A snapshot after every few events, and all of them are kept.
fn often() -> Settings {
    let mut settings = Settings::default();
    (settings.snapshot_minimum, settings.snapshot_ratio) = (1, 0);
    settings
}

fn open(path: &Path) -> Engine<Notes> {
    let mut settings = DirectorySettings::default();
    settings.retention = Retention::Forever;
    settings.segment_chunk = 512;
    Engine::open(Directory::open_with(path, settings).unwrap(), often()).unwrap()
}

/// So many events, two of them in each sync.
fn write<S: Store>(engine: &mut Engine<Notes, S>, events: std::ops::Range<u64>) {
    for event in events {
        let text = format!("{event}: é\u{0}\"\\\n");
        engine.send(&Id::node(), Write { text }, Time::from_secs(1_800_000_000 + event)).unwrap();
        if event % 2 == 1 {
            engine.sync().unwrap();
        }
    }
    engine.sync().unwrap();
}

/// A directory with a history, and no node in it.
fn written(events: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&mut open(folder.path()), 0..events);
    folder
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Log(Vec<(u64, String)>);

impl Recovery for Log {
    fn snapshot(&mut self, sequence: u64, document: &str) -> Result<(), Refused> {
        self.0.push((sequence, document.to_owned()));
        Ok(())
    }

    fn record(&mut self, sequence: u64, record: &str) -> Result<(), Refused> {
        self.0.push((sequence, record.to_owned()));
        Ok(())
    }
}

/// The texts from which each version is read, the times, and what is said of the classes.
fn everything(path: &Path) -> (Vec<Log>, Vec<Time>, String, Vec<String>) {
    let mut kept = Vec::new();
    KeptReader::open(path)
        .unwrap()
        .read(|next| {
            kept.push(format!("{next:?}"));
            ControlFlow::Continue(())
        })
        .unwrap();
    let files = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let snapshots = files.filter_map(|name| name.strip_prefix("snapshot-")?.strip_suffix(".json")?.parse::<u64>().ok());
    let first = snapshots.min().unwrap();
    let last = walk(path, 0, |_, _| ControlFlow::Continue(())).unwrap().last;
    let read = |version| {
        let mut log = Log::default();
        Directory::open_at(path, version).unwrap().recover(&mut log).unwrap();
        log
    };
    let report = engine_report(path);
    let said = classes(path).unwrap().map(|classes| classes.to_text()).unwrap_or_default();
    ((first..=last).map(read).collect(), report, said, kept)
}

fn engine_report(path: &Path) -> Vec<Time> {
    struct Nothing;
    impl Recovery for Nothing {
        fn snapshot(&mut self, _: u64, _: &str) -> Result<(), Refused> {
            Ok(())
        }
        fn record(&mut self, _: u64, _: &str) -> Result<(), Refused> {
            Ok(())
        }
    }
    impl amiko_core::store::Inspection for Nothing {
        fn check(&mut self) -> Result<(), String> {
            Ok(())
        }
        fn compare(&self, _: u64, _: &str) -> Result<(), Refused> {
            Ok(())
        }
        fn document(&self, _: u64) -> Result<String, String> {
            Ok(String::new())
        }
    }
    let report = verify(path, || Nothing).unwrap();
    assert!(report.is_healthy(), "{:?}", report.findings);
    report.files.iter().filter(|file| file.path.ends_with(".json")).filter_map(|file| file.time).collect()
}

fn names(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn copied_in(directory: &Path, url: &str, node: &str) -> Copied {
    let mut versions = Vec::new();
    let copied = import(directory, url, node, |version| versions.push(version)).unwrap();
    assert_eq!(versions.len() as u64, copied.records);
    assert!(versions.is_sorted());
    copied
}

/// Runs a statement beside everything.
fn sql(url: &str, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config: tokio_postgres::Config = url.parse().unwrap();
        config.target_session_attrs(tokio_postgres::config::TargetSessionAttrs::ReadWrite);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        client.batch_execute(statement).await.unwrap();
        drop(client);
        driver.await.unwrap().unwrap();
    });
}

#[test]
fn a_way_into_a_database_and_back_changes_no_byte() {
    let Some(url) = database() else { return };
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../amiko-core/tests/fixtures/format-1/directory");
    let history = written(200);
    for (from, described) in [(Path::new(fixture), false), (history.path(), true)] {
        let (node, folder) = (node("round-trip"), tempfile::tempdir().unwrap());
        let to = folder.path().join("deeper/copy");
        let copied = copied_in(from, &url, &node);
        assert_eq!(export(&url, &node, &to, |_| {}).unwrap(), copied);
        let (before, after) = (everything(from), everything(&to));
        assert!(before == after);
        assert!(copied.snapshots > 2 && copied.records >= 9 && copied.first == 0, "{copied:?}");
        assert_eq!(!after.2.is_empty(), described);
        // Nothing else was left beside it.
        assert_eq!(names(&folder.path().join("deeper")), [to]);
    }
    let (before, after) = (written(0), tempfile::tempdir().unwrap());
    let node = node("new");
    assert_eq!(copied_in(before.path(), &url, &node).records, 0);
    export(&url, &node, after.path(), |_| {}).unwrap();
    assert!(everything(before.path()) == everything(after.path()));
}

#[test]
fn a_copied_node_goes_on() {
    let Some(url) = database() else { return };
    let (from, node, folder) = (written(20), node("goes-on"), tempfile::tempdir().unwrap());
    copied_in(from.path(), &url, &node);
    let mut settings = quick();
    settings.retention = Retention::Forever;
    let mut engine: Engine<Notes, _> = Engine::open(lead(&url, &node, &settings), often()).unwrap();
    assert_eq!(engine.node().texts.len(), 20);
    write(&mut engine, 20..30);
    engine.into_store().close();

    let to = folder.path().join("copy");
    let copied = export(&url, &node, &to, |_| {}).unwrap();
    assert_eq!((copied.first, copied.last, copied.records), (0, 30, 30));
    let mut engine = open(&to);
    assert_eq!(engine.node().texts.len(), 30);
    write(&mut engine, 30..31);
    drop(engine);
    let texts = open(&to).node().texts.clone();
    assert!(texts.iter().zip(0..).all(|(text, event)| text.starts_with(&format!("{event}: "))), "{texts:?}");
}

#[test]
fn a_snapshot_within_a_group_is_copied_where_it_is() {
    let Some(url) = database() else { return };
    let (node, folder) = (node("within"), tempfile::tempdir().unwrap());
    let mut settings = quick();
    settings.retention = Retention::Count(0);
    let mut store = lead(&url, &node, &settings);
    store.recover(&mut Log::default()).unwrap();
    let append = |store: &mut Postgres, sequence: u64| {
        store.append(sequence, &format!(r#"{{"seq":{sequence},"time":{}}}"#, sequence * 1000)).unwrap();
    };
    (1..=3).for_each(|sequence| append(&mut store, sequence));
    store.begin_snapshot(3, Time::from_secs(3)).unwrap();
    (4..=5).for_each(|sequence| append(&mut store, sequence));
    store.write_snapshot(r#"{"format":1,"seq":3}"#).unwrap();
    store.finish_snapshot().unwrap();
    store.sync().unwrap();
    append(&mut store, 6);
    store.sync().unwrap();

    // It is led: who only looks doesn't mind.
    let looked = folder.path().join("looked");
    let copied = export_running(&url, &node, &looked, |_| {}).unwrap();
    assert_eq!((copied.first, copied.last, copied.records, copied.snapshots), (3, 6, 3, 1));
    let refused = export(&url, &node, folder.path().join("refused"), |_| {}).unwrap_err();
    assert!(matches!(refused, CopyError::Database(OpenError::Led { .. })), "{refused}");
    assert!(names(folder.path()).iter().all(|path| *path == looked));
    append(&mut store, 7);
    store.sync().unwrap();
    store.close();
    let whole = folder.path().join("whole");
    assert_eq!(export(&url, &node, &whole, |_| {}).unwrap().last, 7);
    let mut log = Log::default();
    Directory::open(&whole).unwrap().recover(&mut log).unwrap();
    let sequences: Vec<u64> = log.0.iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(sequences, [3, 4, 5, 6, 7]);
}

#[test]
fn what_is_refused_changes_nothing() {
    let Some(url) = database() else { return };
    let (from, other, name) = (written(10), written(4), node("refused"));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy");
    let is_missing = |name: &str| {
        let error = export(&url, name, &to, |_| {}).unwrap_err();
        assert!(matches!(error, CopyError::Database(OpenError::NoNode { .. })), "{error}");
        assert!(names(folder.path()).is_empty());
    };
    is_missing(&name);

    // The source is in use, or isn't one.
    let engine = open(from.path());
    let error = import(from.path(), &url, &name, |_| {}).unwrap_err();
    assert!(matches!(error, CopyError::Directory(amiko_core::store::OpenError::Locked { .. })), "{error}");
    drop(engine);
    let error = import(folder.path(), &url, &name, |_| {}).unwrap_err();
    assert!(matches!(error, CopyError::Directory(amiko_core::store::OpenError::NoStore { .. })), "{error}");
    is_missing(&name);

    // The target has something.
    copied_in(from.path(), &url, &name);
    let error = import(other.path(), &url, &name, |_| {}).unwrap_err();
    assert!(matches!(error, CopyError::Occupied { .. }), "{error}");
    let before = everything(other.path());
    let error = export(&url, &name, other.path(), |_| {}).unwrap_err();
    assert!(matches!(error, CopyError::Occupied { .. }), "{error}");
    assert!(everything(other.path()) == before);
    let check = |copy: &Path| {
        assert!(everything(copy) == everything(from.path()));
        Err("it isn't wanted".to_owned())
    };
    let error = export_checked(&url, &name, &to, check, |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "it isn't wanted");
    assert!(names(folder.path()).is_empty());
    export(&url, &name, &to, |_| {}).unwrap();
    assert!(everything(&to) == everything(from.path()));
    fs::remove_dir_all(&to).unwrap();

    // Somebody leads the target, and has written nothing yet.
    let led = node("led");
    let store = lead(&url, &led, &quick());
    let error = import(from.path(), &url, &led, |_| {}).unwrap_err();
    assert!(matches!(error, CopyError::Database(OpenError::Led { .. })), "{error}");
    store.close();
    // It isn't led any more, and still new.
    copied_in(from.path(), &url, &led);
}

#[test]
fn what_is_damaged_is_not_copied() {
    let Some(url) = database() else { return };
    let (from, name, folder) = (written(10), node("damaged"), tempfile::tempdir().unwrap());
    copied_in(from.path(), &url, &name);
    let to = folder.path().join("copy");
    let damages = [
        ("UPDATE amiko.journal_group SET lines = replace(lines, '3: ', '4: ') WHERE node = $", "checksum"),
        ("DELETE FROM amiko.journal_group WHERE last = 10 AND node = $", "journal_group"),
        ("UPDATE amiko.snapshot SET text = replace(text, '0: ', '9: ') WHERE draft = 2 AND node = $", "checksum"),
        ("UPDATE amiko.snapshot SET piece = 1 WHERE draft = 2 AND node = $", "expected piece 0"),
    ];
    for (statement, expected) in damages {
        let damaged = node("damaged");
        copied_in(from.path(), &url, &damaged);
        sql(&url, &statement.replace('$', &format!("'{damaged}'")));
        let error = export(&url, &damaged, &to, |_| {}).expect_err(statement);
        assert!(matches!(error, CopyError::Source(_)) && error.to_string().contains(expected), "{statement}: {error}");
        assert!(names(folder.path()).is_empty());
    }
    let journal = names(from.path()).into_iter().filter(|path| path.to_str().unwrap().contains("journal-")).max();
    let journal = journal.unwrap();
    fs::write(&journal, fs::read_to_string(&journal).unwrap().replacen("format", "fromat", 1)).unwrap();
    let other = node("damaged");
    let error = import(from.path(), &url, &other, |_| {}).unwrap_err();
    assert!(matches!(error, CopyError::Source(_)), "{error}");
    let error = export(&url, &other, &to, |_| {}).unwrap_err();
    assert!(matches!(error, CopyError::Database(OpenError::NoNode { .. })), "{error}");
}

#[test]
fn two_copies_to_one_place_are_one() {
    let Some(url) = database() else { return };
    let (from, name) = (written(50), node("twice"));
    let outcomes: Vec<_> = thread::scope(|scope| {
        let copy = || import(from.path(), &url, &name, |_| {});
        let copies: Vec<_> = (0..3).map(|_| scope.spawn(copy)).collect();
        copies.into_iter().map(|copy| copy.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    let refused = outcomes.into_iter().filter_map(Result::err);
    assert!(refused.into_iter().all(|error| matches!(error, CopyError::Occupied { .. })));
}

#[test]
fn nobody_leads_a_node_while_it_is_copied() {
    let Some(url) = database() else { return };
    let (from, name, folder) = (written(10), node("meanwhile"), tempfile::tempdir().unwrap());
    let leads = || {
        let mut settings = quick();
        settings.timeout = std::time::Duration::from_millis(300);
        Postgres::open(&url, &name, settings).map(Postgres::close)
    };
    let mut outcomes = Vec::new();
    import(from.path(), &url, &name, |version| outcomes.extend((version == 5).then(leads))).unwrap();
    let once = outcomes.len();
    let copy = folder.path().join("copy");
    // Who has given up may still get the lease when the copy is over, and loses it soon.
    while let Err(error) = export(&url, &name, &copy, |version| outcomes.extend((version == 5).then(leads))) {
        assert!(matches!(error, CopyError::Database(_)), "{error}");
        thread::sleep(quick().poll);
    }
    assert_eq!((once, outcomes.len()), (1, 2));
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(OpenError::Database { .. }))), "{outcomes:?}");
    assert!(everything(&copy) == everything(from.path()));
    lead(&url, &name, &quick()).close();
}
