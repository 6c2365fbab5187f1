//! A timeline knows the document of a real node at every version.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::Memory;
use amiko_core::tree::classes_of_node;
use amiko_inspector::reading::{Path, Tree};
use amiko_inspector::timeline::{Part, Place, Timeline, TimelineError};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Thing {
    text: String,
    list: Vec<u64>,
    inner: BTreeMap<String, u64>,
    pin: Secret<String>,
    /// As a table of the node is called.
    notes: u64,
}

#[derive(Debug, Clone, Serializable)]
enum StoreroomMessage {
    Put { key: String, text: String },
    Push { key: String, value: u64 },
    Pop { key: String },
    Inner { key: String, name: String, value: Option<u64> },
    Remove { key: String },
    Count { value: u64 },
    Note { name: String, value: Option<u64> },
    Remind { name: String, at: u64 },
    Forget { name: String },
    Pin { key: String, pin: String },
    Many { count: u64 },
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Storeroom {
    #[amiko(objects)]
    things: Table<Thing>,
    counted: u64,
    notes: BTreeMap<String, u64>,
}

impl StateMachine for Storeroom {
    type Node = Self;
    type Message = StoreroomMessage;

    fn handle(&mut self, message: StoreroomMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        type Message = StoreroomMessage;
        let mut change = |key: &String, act: &dyn Fn(&mut Thing)| {
            let id = Id::new(key.clone());
            if let Some(mut thing) = self.things.get(&id).cloned() {
                act(&mut thing);
                self.things.insert(&id, thing);
            }
        };
        match message {
            Message::Put { key, text } => {
                let pin = Secret::new("hush".to_owned());
                let thing = Thing { text, list: Vec::new(), inner: BTreeMap::new(), pin, notes: 0 };
                self.things.insert(&Id::new(key), thing);
            }
            Message::Push { key, value } => change(&key, &|thing| thing.list.push(value)),
            Message::Pop { key } => change(&key, &|thing| thing.list.truncate(thing.list.len().saturating_sub(1))),
            Message::Inner { key, name, value } => change(&key, &|thing| match value {
                Some(value) => _ = thing.inner.insert(name.clone(), value),
                None => _ = thing.inner.remove(&name),
            }),
            Message::Pin { key, pin } => change(&key, &|thing| thing.pin = Secret::new(format!("hush {pin}"))),
            Message::Remove { key } => drop(self.things.remove(&Id::new(key))),
            Message::Many { count } => {
                for value in 0..count {
                    self.notes.insert(format!("{value:03}"), count);
                }
            }
            Message::Count { value } => self.counted = value,
            Message::Note { name, value } => match value {
                Some(value) => _ = self.notes.insert(name, value),
                None => _ = self.notes.remove(&name),
            },
            Message::Remind { name, at } => {
                cx.timer(&name, Time::from_secs(1_000_000 + at), Message::Count { value: at });
            }
            Message::Forget { name } => cx.cancel(&name),
        }
        Ok(())
    }
}

fn message() -> impl Strategy<Value = StoreroomMessage> {
    type Message = StoreroomMessage;
    let key = || "[ab]|x/y|~|\u{202e}";
    let number = || 0_u64..5;
    prop_oneof![
        (key(), "\\PC{0,5}").prop_map(|(key, text)| Message::Put { key, text }),
        (key(), number()).prop_map(|(key, value)| Message::Push { key, value }),
        key().prop_map(|key| Message::Pop { key }),
        (key(), key(), proptest::option::of(number())).prop_map(|(key, name, value)| Message::Inner {
            key,
            name,
            value
        }),
        key().prop_map(|key| Message::Remove { key }),
        number().prop_map(|value| Message::Count { value }),
        (key(), proptest::option::of(number())).prop_map(|(name, value)| Message::Note { name, value }),
        ("[t-v]", number()).prop_map(|(name, at)| Message::Remind { name, at }),
        "[t-v]".prop_map(|name| Message::Forget { name }),
        (key(), key()).prop_map(|(key, pin)| Message::Pin { key, pin }),
    ]
}

/// All that a timeline shows of a version, put together to a document.
fn shown(timeline: &Timeline, version: u64) -> Json {
    let root = Path::default();
    let Some(Place::Parts(parts)) = timeline.look(&root, version) else { panic!("no document") };
    let mut document = Vec::new();
    for (name, _) in parts {
        let path = Path(vec![name.clone()]);
        let fields = match timeline.look(&path, version).unwrap() {
            Place::Parts(fields) => fields
                .into_iter()
                .map(|(field, part)| match part {
                    Part::Value(tree) => (field, tree.to_json()),
                    Part::Table(count) => {
                        let path = Path(vec![name.clone(), field.clone()]);
                        (field, table(timeline, &path, version, count))
                    }
                })
                .collect(),
            Place::Table(count) => match table(timeline, &path, version, count) {
                Json::Object(entries) => entries,
                _ => Vec::new(),
            },
            Place::Value(_) => panic!("{name}"),
        };
        document.push((name, Json::Object(fields)));
    }
    Json::Object(document).sorted()
}

/// A table, page by page.
fn table(timeline: &Timeline, path: &Path, version: u64, count: usize) -> Json {
    let mut entries: Vec<(String, Tree)> = Vec::new();
    loop {
        let after = entries.last().map(|(key, _)| key.clone());
        let page = timeline.page(path, version, after.as_deref(), "", 2).unwrap();
        entries.extend(page.entries);
        if page.more.is_none() {
            break;
        }
        assert_eq!(page.more.as_ref(), entries.last().map(|(key, _)| key));
    }
    assert_eq!(entries.len(), count, "{path} at {version}");
    Json::Object(entries.into_iter().map(|(key, tree)| (key, tree.to_json())).collect())
}

/// The document as the node has it, without secrets and without what a timeline doesn't show.
fn expected(engine: &Engine<Storeroom, Memory>) -> Json {
    let mut json = Json::parse(&engine.document_without_secrets().unwrap()).unwrap();
    for part in ["format", "seq", "schema"] {
        json.remove(part);
    }
    json.get_mut("state").unwrap().remove("_class");
    for part in ["answers", "effects"] {
        json.set(part, Json::Object(Vec::new()));
    }
    json.sorted()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn each_version_is_shown_as_it_was(messages in proptest::collection::vec(message(), 1..60), together in 1_usize..20) {
        let mut engine = Engine::<Storeroom, _>::open(Memory::new(), Settings::default()).unwrap();
        let classes = classes_of_node::<Storeroom>();
        let mut timeline = Timeline::new(classes, 0, &engine.document().unwrap(), usize::MAX).unwrap();
        let mut documents = vec![expected(&engine)];
        let mut records = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            let before = engine.version();
            engine.send(&Id::new(()), message.clone(), Time::from_secs(at as u64)).unwrap();
            if engine.version() > before {
                let entry = engine.history().next_back().unwrap();
                records.push((entry.version.0, entry.record.clone()));
                documents.push(expected(&engine));
            }
        }
        for records in records.chunks(together) {
            timeline.push_all(records.iter().map(|(version, record)| (*version, record.as_str()))).unwrap();
        }
        for (version, _) in &records {
            prop_assert!(!timeline.record(*version).unwrap().json.to_string().contains("hush"));
        }
        for (version, document) in documents.iter().enumerate() {
            let found = shown(&timeline, version as u64);
            prop_assert_eq!(found.to_string(), document.to_string(), "version {}", version);
        }
    }
}

#[test]
fn what_is_forgotten_isnt_shown_and_the_rest_is() {
    let mut engine = Engine::<Storeroom, _>::open(Memory::new(), Settings::default()).unwrap();
    let classes = classes_of_node::<Storeroom>();
    let mut timeline = Timeline::new(classes, 0, &engine.document().unwrap(), 20_000).unwrap();
    let mut documents = vec![expected(&engine)];
    for at in 0..3_000_u64 {
        // Text that can't be compressed.
        let text = format!("{:x}", (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let message = match at % 3 {
            0 => StoreroomMessage::Put { key: format!("{}", at % 10), text },
            1 => StoreroomMessage::Remove { key: format!("{}", at % 10) },
            _ => StoreroomMessage::Note { name: text, value: Some(at) },
        };
        let before = engine.version();
        engine.send(&Id::new(()), message, Time::from_secs(at)).unwrap();
        if engine.version() > before {
            let entry = engine.history().next_back().unwrap();
            timeline.push(entry.version.0, &entry.record).unwrap();
            documents.push(expected(&engine));
        }
    }
    let (oldest, newest) = timeline.versions();
    assert!(oldest > 100 && timeline.bytes() <= 20_000, "{oldest}, {} bytes", timeline.bytes());
    for version in [oldest, oldest + 1, newest - 1, newest] {
        assert_eq!(shown(&timeline, version).to_string(), documents[usize::try_from(version).unwrap()].to_string());
    }
    assert!(timeline.record(oldest).is_none() && timeline.record(oldest + 1).is_some());
}

#[test]
fn an_event_may_change_many_entries() {
    let mut engine = Engine::<Storeroom, _>::open(Memory::new(), Settings::default()).unwrap();
    let classes = classes_of_node::<Storeroom>();
    let mut timeline = Timeline::new(classes, 0, &engine.document().unwrap(), usize::MAX).unwrap();
    let mut documents = vec![expected(&engine)];
    for count in [40, 100, 99] {
        engine.send(&Id::new(()), StoreroomMessage::Many { count }, Time::from_secs(count)).unwrap();
        documents.push(expected(&engine));
    }
    let records: Vec<_> = engine.history().map(|entry| (entry.version.0, entry.record.as_str())).collect();
    timeline.push_all(records).unwrap();
    for (version, document) in documents.iter().enumerate() {
        assert_eq!(shown(&timeline, version as u64).to_string(), document.to_string(), "version {version}");
    }
    // Each of them is an entry of its own.
    let notes = Path(vec!["state".into(), "notes".into()]);
    assert_eq!(timeline.look(&notes, 1), Some(Place::Table(40)));
    assert_eq!(timeline.look(&notes, 2), Some(Place::Table(100)));
}

#[test]
fn what_doesnt_fit_is_refused() {
    let engine = Engine::<Storeroom, _>::open(Memory::new(), Settings::default()).unwrap();
    let new = |text: &str| Timeline::new(classes_of_node::<Storeroom>(), 0, text, 0);
    for nonsense in ["", "[]", "7"] {
        assert_eq!(new(nonsense).err(), Some(TimelineError::Document));
    }
    let mut timeline = new(&engine.document().unwrap()).unwrap();
    assert_eq!(timeline.push(2, "{}"), Err(TimelineError::Gap { expected: 1, found: 2 }));
    assert_eq!(timeline.push(1, "{}"), Err(TimelineError::Record { version: 1 }));
    let record =
        r#"{"seq":1,"time":1,"cause":"Edit","patch":[{"op":"replace","path":"/state/things/x/text","value":1}]}"#;
    let path = "/state/things/x/text".to_owned();
    assert_eq!(timeline.push(1, record), Err(TimelineError::Patch { version: 1, path }));
}
