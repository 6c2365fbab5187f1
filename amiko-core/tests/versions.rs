//! Versions that are past, that might be, and that somebody made by hand.

#![allow(clippy::unwrap_used, clippy::panic)]

mod script;

use amiko_core::Serializable;
use amiko_core::Version;
use amiko_core::engine::{EditError, EventError};
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::{Archive, DirectorySettings, Memory, Retention};
use amiko_core::to_json;
use script::*;
use std::path::Path;

fn everything(value: i64) -> [Act; 6] {
    [
        set(value),
        send("a", [set(value), log("x")]),
        timer("t", 5_000 + value.unsigned_abs(), [log("due")]),
        connect("bob"),
        transmit("bob", "hello"),
        notice("done"),
    ]
}

#[test]
fn history_says_who_made_each_version_and_when() {
    let mut limited = settings();
    limited.history = 2;
    let mut engine = open(Memory::new(), limited);
    for value in 1..=3 {
        at(&mut engine, u64::try_from(value).unwrap(), [set(value)]).unwrap();
        at(&mut engine, 9, [Act::Reject]).unwrap_err();
    }
    let entries: Vec<_> = engine.history().map(|entry| (entry.version, entry.time)).collect();
    assert_eq!(entries, [(Version(2), Time::from_millis(2)), (Version(3), Time::from_millis(3))]);
    let record = Json::parse(&engine.history().next_back().unwrap().record).unwrap();
    assert_eq!(record.get("seq"), Some(&Json::integer(3)));
    assert!(record.get("cause").is_some());
    assert_eq!(
        record.get("patch").unwrap().to_string(),
        r#"[{"op":"replace","path":"/state/things/a/value","value":3}]"#
    );
}

#[test]
fn differences_between_versions() {
    let mut engine = open(Memory::new(), settings());
    for value in 1..=3 {
        at(&mut engine, 1, [set(value), Act::Root { acts: vec![set(value)] }]).unwrap();
    }
    let forth = engine.diff(1, 3).unwrap().unwrap().to_json();
    assert_eq!(
        forth,
        r#"[{"op":"replace","path":"/things/a/value","value":3},{"op":"replace","path":"/value","value":3}]"#
    );
    let back = engine.diff(3, 1).unwrap().unwrap().to_json();
    assert_eq!(back, forth.replace(":3}", ":1}"));
    assert!(engine.diff(1, 4).unwrap().is_none());
}

#[test]
fn a_dry_run_leaves_nothing_and_promises_what_happens() {
    let mut engine = open(Memory::new(), settings());
    let envelope = || WorldEnvelope::World(Script { acts: everything(7).into() });
    let before = engine.document().unwrap();
    let rehearsal = engine.dry_run(envelope(), Time::from_millis(1)).unwrap();
    assert_eq!(engine.document().unwrap(), before);
    assert_eq!((engine.version().0, engine.next_due(), engine.unsynced()), (0, None, false));
    assert_eq!(engine.connections().count(), 0);
    let promised: Vec<_> = rehearsal.outputs().map(|output| format!("{output:?}")).collect();

    engine.command(envelope(), None, Time::from_millis(1)).unwrap();
    let record = Json::parse(&engine.history().next().unwrap().record).unwrap();
    assert_eq!(record.get("patch").unwrap().to_string(), rehearsal.difference());
    assert!(rehearsal.difference().contains("/timers/"), "{}", rehearsal.difference());
    let happened: Vec<_> = engine.sync().unwrap().iter().map(|output| format!("{output:?}")).collect();
    assert_eq!(happened, promised);
}

#[test]
fn a_dry_run_is_rejected_like_the_command() {
    let mut engine = open(Memory::new(), settings());
    for last in [Act::Reject, Act::Panic, send("a", [set(-1)]), send("a", [Act::Divide]), send("nobody", [])] {
        let before = engine.document().unwrap();
        let mut acts: Vec<Act> = everything(1).into();
        acts.push(last);
        let envelope = || WorldEnvelope::World(Script { acts: acts.clone() });
        let tried = engine.dry_run(envelope(), Time::from_millis(1)).err().unwrap().to_string();
        let real = engine.command(envelope(), None, Time::from_millis(1)).unwrap_err().to_string();
        assert_eq!(tried, real);
        assert_eq!(engine.document().unwrap(), before);
    }
}

/// A directory with eight versions and several snapshots, and the document of each version.
fn lived(path: &Path, retention: Retention) -> Vec<String> {
    let mut often = settings();
    (often.snapshot_minimum, often.snapshot_ratio) = (600, 0);
    let store = Directory::open_with(path, {
        let mut settings = DirectorySettings::default();
        settings.segment_chunk = 512;
        settings.retention = retention;
        settings
    })
    .unwrap();
    let mut engine = Engine::<World>::open_with(store, often, three_things).unwrap();
    let mut documents = vec![engine.document().unwrap()];
    for value in 1..=8 {
        let envelope = WorldEnvelope::World(Script { acts: everything(value).into() });
        engine.command(envelope, None, Time::from_millis(1)).unwrap();
        engine.sync().unwrap();
        documents.push(engine.document().unwrap());
    }
    documents
}

#[test]
fn every_version_that_is_kept_can_be_opened_while_the_directory_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let documents = lived(folder.path(), Retention::Forever);
    let snapshots = std::fs::read_dir(folder.path()).unwrap();
    let snapshots = snapshots.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("snap"));
    assert!(snapshots.count() > 2, "too few snapshots for this test");
    let in_use = Directory::open(folder.path()).unwrap();
    for (version, document) in documents.iter().enumerate() {
        let archive = Directory::open_at(folder.path(), version as u64).unwrap();
        let mut engine: Engine<World, Archive> = Engine::open(archive, settings()).unwrap();
        assert_eq!(&engine.document().unwrap(), document);
        // It can be asked what would have happened, and takes nothing.
        let envelope = || WorldEnvelope::World(Script { acts: vec![set(77)] });
        assert!(engine.dry_run(envelope(), Time::from_millis(1)).unwrap().difference().contains("77"));
        let error = engine.command(envelope(), None, Time::from_millis(1)).unwrap_err();
        assert!(matches!(error, EventError::Store(_)), "{error}");
        assert_eq!(&engine.document().unwrap(), document);
    }
    drop(in_use);
    assert!(Engine::<World, _>::open(Directory::open_at(folder.path(), 9).unwrap(), settings()).is_err());
}

/// Replaces a part of a document.
fn edited(engine: &Engine<World, Memory>, from: &str, to: &str) -> String {
    let document = engine.document().unwrap();
    assert!(document.contains(from), "{document}");
    document.replace(from, to)
}

#[test]
fn an_edit_is_one_version_with_a_cause_of_its_own() {
    let mut engine = open(Memory::new(), settings());
    at(&mut engine, 1, [Act::Root { acts: everything(5).into() }]).unwrap();
    engine.sync().unwrap();
    let text = edited(&engine, r#""at":5005"#, r#""at":  4000"#).replace(r#""value":5"#, r#""value":6"#);
    let text = text.replace('{', "{\n  ");
    let mut asked = String::new();
    let version = engine.edit(&text, Time::from_millis(2), |patch| {
        patch.clone_into(&mut asked);
        true
    });
    assert_eq!(version.unwrap(), Some(Version(2)));
    assert_eq!(
        asked,
        concat!(
            r#"[{"op":"replace","path":"/state/things/a/value","value":6},{"op":"replace","path":"/state/value","value":6},"#,
            r#"{"op":"replace","path":"/timers/node~1~1t/at","value":4000}]"#
        )
    );
    assert!(engine.state_at(1).is_none(), "a version from before an edit can't be made from its undo log");
    assert_eq!((engine.node().value, engine.next_due()), (6, Some(Time::from_millis(4000))));
    engine.sync().unwrap();
    let document = engine.document().unwrap();
    let mut engine = crash(engine);
    assert_eq!(engine.document().unwrap(), document);
    // The timer fires at its new time.
    engine.tick(Time::from_millis(4500)).unwrap();
    assert_eq!(engine.next_due(), None);
}

#[test]
fn a_bad_edit_changes_nothing() {
    let mut engine = open(Memory::new(), settings());
    at(&mut engine, 1, everything(5)).unwrap();
    engine.sync().unwrap();
    let before = engine.document().unwrap();
    let cases = [
        (edited(&engine, r#""value":5"#, r#""value":-5"#), "expected a not to be negative"),
        (edited(&engine, r#""value":5"#, r#""value":"five""#), "expected an integer"),
        (edited(&engine, r#""value":5"#, r#""valu":5"#), "valu"),
        (edited(&engine, r#""seq":1"#, r#""seq":2"#), "seq: expected 1, which isn't to be edited, found 2"),
        (edited(&engine, r#""format":1"#, r#""format":2"#), "format: expected 1"),
        (before[..before.len() - 1].to_owned(), "the edited document can't be read"),
        (String::new(), "the edited document can't be read"),
        (format!("{before}{before}"), "the edited document can't be read"),
    ];
    for (text, expected) in cases {
        let error = engine.edit(&text, Time::from_millis(2), |_| true).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(engine.document().unwrap(), before);
        assert_eq!((engine.version().0, engine.next_due()), (1, Some(Time::from_millis(5005))));
    }
    // Nothing is changed by nothing, or by who doesn't agree.
    assert_eq!(engine.edit(&before, Time::from_millis(2), |_| panic!("nothing to ask")).unwrap(), None);
    let text = edited(&engine, r#""value":5"#, r#""value":6"#);
    assert_eq!(engine.edit(&text, Time::from_millis(2), |_| false).unwrap(), None);
    assert_eq!(engine.document().unwrap(), before);
    // It is as it was for events too.
    at(&mut engine, 3, [send("a", [set(8)])]).unwrap();
    at(&mut engine, 3, [send("a", [set(-8)])]).unwrap_err();
    engine.sync().unwrap();
    assert_eq!(crash(engine).node().things.get(&thing("a")).unwrap().value, 8);
}

#[test]
fn an_edit_for_another_program_is_refused() {
    let mut engine = open(Memory::new(), settings());
    let text = engine.document().unwrap();
    let schema = Json::parse(&text).unwrap().get("schema").unwrap().to_string();
    let error = engine.edit(&text.replace(&schema, "\"another\""), Time::from_millis(1), |_| true).unwrap_err();
    assert!(matches!(error, EditError::Changed { field: "schema", .. }), "{error}");
}

#[test]
fn fields_of_a_node_that_is_no_machine_can_be_edited() {
    #[derive(Clone, Default, Serializable, Node)]
    struct Plain {
        #[amiko(objects)]
        things: Table<Item>,
        note: String,
    }
    #[derive(Clone, Serializable)]
    #[amiko(key = String)]
    struct Item {
        value: u64,
    }
    let mut engine = Engine::<Plain, _>::open(Memory::new(), settings()).unwrap();
    let text = engine.document().unwrap().replace(r#""note":"""#, r#""note":"new""#);
    engine.edit(&text, Time::from_millis(1), |_| true).unwrap();
    engine.sync().unwrap();
    assert_eq!(engine.node().note, "new");
    let engine = Engine::<Plain, _>::open(engine.into_store().crash(), settings()).unwrap();
    assert_eq!(to_json(engine.node()).unwrap(), r#"{"_class":"Plain","things":{},"note":"new"}"#);
}
