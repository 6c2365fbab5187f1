//! Files of format 1, as they were written once: they have to be read for ever.
//!
//! `tests/fixtures/format-1` is never written anew. A new format gets a folder of its own, and a test beside this one.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::engine::Entropy;
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::{DirectorySettings, Retention};
use amiko_core::{Hosts, ResumePoint, to_json};
use std::fs;
use std::path::Path;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/format-1");

/// One of each that a file can have in it.
#[derive(Clone, Debug, PartialEq, Serializable)]
#[amiko(key = String, kind = "thing")]
struct Thing {
    text: String,
    bytes: Vec<u8>,
    large: u64,
    negative: i64,
    ratio: f64,
    maybe: Option<bool>,
    other: Option<Id<Thing>>,
    color: Color,
    shape: Shape,
    counts: Map<String, u32>,
    pin: Secret<[u8; 4]>,
}

#[derive(Clone, Debug, PartialEq, Serializable)]
enum Color {
    Red,
    Green,
}

#[derive(Clone, Debug, PartialEq, Serializable)]
enum Shape {
    Circle { radius: u8 },
    Square { side: u8 },
}

#[derive(Clone, Serializable)]
enum ThingMessage {
    Change { text: String, count: u32 },
    Late,
    Reject,
}

impl StateMachine for Thing {
    type Node = Things;
    type Message = ThingMessage;

    fn handle(&mut self, message: ThingMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            ThingMessage::Change { text, count } => {
                self.counts.insert(text.clone(), count);
                self.text = text;
                self.color = Color::Green;
                self.shape = Shape::Square { side: 2 };
                cx.timer("late", cx.now() + secs(5), ThingMessage::Late);
                cx.transmit(&Id::new("peer/1"), format!("count {count}"));
            }
            ThingMessage::Late => self.maybe = Some(true),
            ThingMessage::Reject => return Err(Rejection::new("no \"reason\"")),
        }
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, network = String)]
struct Things {
    #[amiko(machines)]
    things: Table<Thing>,
    note: String,
}

#[derive(Clone, Serializable)]
enum ThingsMessage {
    Create { name: String },
    Remove { name: String },
}

impl StateMachine for Things {
    type Node = Self;
    type Message = ThingsMessage;

    fn handle(&mut self, message: ThingsMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match message {
            ThingsMessage::Create { name } => {
                self.note.clone_from(&name);
                cx.create(&Id::new(name.clone()), thing(&name));
                cx.connect(&Id::new("peer/1"), Some("peer.example:4321"));
            }
            ThingsMessage::Remove { name } => cx.remove::<Thing>(&Id::new(name)),
        }
        Ok(())
    }
}

fn thing(name: &str) -> Thing {
    Thing {
        text: format!("!{name} \"quoted\"\n\té ✓"),
        bytes: vec![0, 255, 33],
        large: u64::MAX,
        negative: i64::MIN,
        ratio: 0.1,
        maybe: None,
        other: Some(Id::new("~a/b")),
        color: Color::Red,
        shape: Shape::Circle { radius: 1 },
        counts: [("~/".to_owned(), 1), (String::new(), 2)].into_iter().collect(),
        pin: Secret::new([1, 2, 3, 4]),
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.entropy = Entropy::Seed([1; 32]);
    // Two more snapshots than the first one.
    (settings.snapshot_minimum, settings.snapshot_ratio) = (1_600, 0);
    settings
}

fn open(path: &Path) -> Engine<Things> {
    let mut store = DirectorySettings::default();
    store.segment_chunk = 1_024;
    store.retention = Retention::Forever;
    Engine::open(Directory::open_with(path, store).unwrap(), settings()).unwrap()
}

/// Everything that makes a record, in groups of one and of several.
fn live(engine: &mut Engine<Things>) -> Vec<String> {
    let (node, first) = (Id::<Things>::new(()), Id::<Thing>::new("~a/b"));
    let peer = Id::new("peer/1");
    let message = |text: &str| ThingMessage::Change { text: text.into(), count: 7 };
    let mut documents = vec![engine.document().unwrap()];
    let mut version = |engine: &mut Engine<Things>, synced: bool| {
        documents.push(engine.document().unwrap());
        if synced {
            engine.sync().unwrap();
        }
    };
    for name in ["~a/b", "second", "third"] {
        engine.send(&node, ThingsMessage::Create { name: name.into() }, Time::from_secs(1)).unwrap();
        version(engine, name != "second");
    }
    engine.send(&first, message("a \\ b"), Time::from_secs(2)).unwrap();
    version(engine, true);
    engine.receive(&peer, 0, Ok(Things::envelope(first.clone(), message("é"))), Time::from_secs(3)).unwrap();
    version(engine, false);
    engine.receive(&peer, 1, Ok(Things::envelope(first, ThingMessage::Reject)), Time::from_secs(3)).unwrap_err();
    version(engine, false);
    engine.confirm(&peer, 0, Time::from_secs(4)).unwrap();
    version(engine, true);
    engine.tick(Time::from_secs(9)).unwrap();
    version(engine, true);
    engine.send(&node, ThingsMessage::Remove { name: "second".into() }, Time::from_secs(10)).unwrap();
    version(engine, false);
    let edited = engine.document().unwrap().replace(r#""note":"third""#, r#""note":"edited""#);
    engine.edit(&edited, Time::from_secs(11), |_| true).unwrap();
    version(engine, true);
    engine.resume(&peer, ResumePoint { received: 9, first: 0, sent: 2 }, Time::from_secs(12)).unwrap();
    version(engine, true);
    documents
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Documents without what a later version may write in another way.
fn content(document: &str) -> String {
    let mut document = Json::parse(document).unwrap();
    document.remove("format");
    document.remove("schema");
    document.to_string()
}

#[test]
fn files_of_format_1_are_read() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(FIXTURE).join("directory"), folder.path());
    let expected = fs::read_to_string(Path::new(FIXTURE).join("documents.jsonl")).unwrap();
    let expected: Vec<&str> = expected.lines().collect();
    assert_eq!(expected.len(), 12);
    for (version, expected) in expected.iter().enumerate() {
        let archive = Directory::open_at(folder.path(), version as u64).unwrap();
        let past = Engine::<Things, _>::open(archive, settings()).unwrap();
        assert_eq!(content(&past.document().unwrap()), content(expected), "version {version}");
    }
    let engine = open(folder.path());
    assert_eq!((engine.version().0, engine.torn()), (11, None));
    assert_eq!(content(&engine.document().unwrap()), content(expected[11]));
    let third = engine.node().things.get(&Id::new("third")).unwrap();
    assert_eq!(third, &thing("third"));
}

#[test]
fn what_is_written_today_is_format_1() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = open(folder.path());
    let documents = live(&mut engine);
    drop(engine);
    let lines: String = documents.iter().map(|document| format!("{}\n", document.replace('\n', ""))).collect();
    if !Path::new(FIXTURE).exists() {
        fs::create_dir_all(Path::new(FIXTURE).join("directory")).unwrap();
        copy(folder.path(), &Path::new(FIXTURE).join("directory"));
        fs::remove_file(Path::new(FIXTURE).join("directory/LOCK")).unwrap();
        fs::write(Path::new(FIXTURE).join("documents.jsonl"), &lines).unwrap();
    }
    // Whoever changes what is written changes the format: then it needs another number.
    for entry in fs::read_dir(Path::new(FIXTURE).join("directory")).unwrap() {
        let name = entry.unwrap().file_name();
        let (fixture, today) = (Path::new(FIXTURE).join("directory").join(&name), folder.path().join(&name));
        assert_eq!(fs::read_to_string(today).unwrap(), fs::read_to_string(fixture).unwrap(), "{name:?}");
    }
    // Those, a lock, and the description of the classes, which isn't read back.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 8);
    assert!(to_json(&thing("x")).is_ok());
}
