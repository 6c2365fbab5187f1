//! Editing a state by hand, and checking and salvaging its files with the classes of its node.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::Version;
use amiko_core::engine::{self, EditError, EventError};
use amiko_core::prelude::*;
use amiko_core::serializable::Json;
use amiko_core::store::{DirectorySettings, Finding, RecoverError, RepairError, Retention};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String)]
struct Account {
    balance: i64,
    #[amiko(strong)]
    guarantor: Option<Id<Account>>,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine, check = nothing_is_owed)]
struct Bank {
    #[amiko(objects)]
    accounts: Table<Account>,
    note: String,
}

fn nothing_is_owed(bank: &Bank, undo: &BankUndo) -> Result<(), Rejection> {
    for (key, _) in undo.accounts.first_touches() {
        if bank.accounts.get(&Id::new(key.clone())).is_some_and(|account| account.balance < 0) {
            return Err(Rejection::new(format!("expected {key} to owe nothing")));
        }
    }
    Ok(())
}

#[derive(Clone, Serializable)]
struct Open {
    name: String,
    balance: i64,
    guarantor: Option<Id<Account>>,
}

impl StateMachine for Bank {
    type Node = Self;
    type Message = Open;

    fn handle(&mut self, Open { name, balance, guarantor }: Open, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        cx.create(&Id::new(name), Account { balance, guarantor });
        Ok(())
    }
}

fn now() -> Time {
    Time::from_secs(1_800_000_000)
}

fn open(path: &Path) -> Engine<Bank> {
    let mut settings = DirectorySettings::default();
    settings.segment_chunk = 1;
    settings.retention = Retention::Forever;
    Engine::open(Directory::open_with(path, settings).unwrap(), Settings::default()).unwrap()
}

/// Alice is good for Bob: two versions.
fn bank(path: &Path) -> Engine<Bank> {
    let mut bank = open(path);
    for (name, balance, guarantor) in [("alice", 10, None), ("bob", 5, Some(Id::new("alice")))] {
        bank.send(&Id::new(()), Open { name: name.into(), balance, guarantor }, now()).unwrap();
        bank.sync().unwrap();
    }
    bank
}

fn edit(bank: &mut Engine<Bank>, from: &str, to: &str) -> Result<Option<Version>, EditError> {
    let pretty = Json::parse(&bank.document().unwrap()).unwrap().to_pretty().unwrap();
    assert!(pretty.contains(from), "{from} in {pretty}");
    bank.edit(&pretty.replace(from, to), now(), |_| true)
}

#[test]
fn an_edit_is_one_record_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut bank = bank(folder.path());
    let document = bank.document().unwrap();
    let mut asked = String::new();
    let changed = document.replace("\"balance\":10", "\"balance\":17");
    let refused = bank.edit(&changed, now(), |patch| {
        asked = patch.into();
        false
    });
    assert_eq!((refused.unwrap(), bank.version().0), (None, 2), "nobody agreed");
    assert_eq!(asked, r#"[{"op":"replace","path":"/state/accounts/alice/balance","value":17}]"#);
    assert_eq!(bank.edit(&document, now(), |_| panic!("there is nothing to ask about")).unwrap(), None);
    assert_eq!(bank.edit(&changed, now(), |_| true).unwrap(), Some(Version(3)));
    bank.sync().unwrap();
    drop(bank);
    let journal = fs::read_to_string(folder.path().join("journal-1.jsonl")).unwrap();
    let record = journal.lines().last().unwrap();
    assert!(record.contains(r#""cause":{"_class":"Edit"}"#) && record.contains("\"value\":17"), "{record}");
    assert_eq!(open(folder.path()).node().accounts.get(&Id::new("alice")).unwrap().balance, 17);
    assert!(engine::verify::<Bank>(folder.path()).unwrap().findings.is_empty());
}

#[test]
fn an_edit_that_breaks_something_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut bank = bank(folder.path());
    let before = bank.document().unwrap();
    let error = edit(&mut bank, "\"balance\": 10", "\"balance\": \"ten\"").unwrap_err();
    let EditError::Read(read) = &error else { panic!("{error}") };
    assert_eq!(read.path(), "state.accounts.alice.balance");
    let lines = Json::parse(&before).unwrap().to_pretty().unwrap();
    let line = lines.lines().position(|line| line.contains("\"balance\": 10")).unwrap() + 1;
    assert_eq!(read.place().line, line as u64);

    let rejected = |result: Result<Option<Version>, EditError>| match result {
        Err(EditError::Event(EventError::Rejected(rejection))) => rejection.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(rejected(edit(&mut bank, "\"balance\": 5", "\"balance\": -5")).contains("bob to owe nothing"));
    assert!(rejected(edit(&mut bank, "\"guarantor\": \"alice\"", "\"guarantor\": \"carol\"")).contains("carol"));
    let error = edit(&mut bank, "\"seq\": 2", "\"seq\": 1").unwrap_err();
    assert!(matches!(error, EditError::Changed { field: "seq", .. }), "{error}");
    assert!(matches!(edit(&mut bank, "}", "").unwrap_err(), EditError::Read(_)));
    assert_eq!((bank.document().unwrap(), bank.version().0), (before, 2));
    bank.send(&Id::new(()), Open { name: "carol".into(), balance: 1, guarantor: None }, now()).unwrap();
}

/// Changes the last record of a journal, and its checksum with it.
fn forge(journal: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(journal).unwrap();
    let (rest, last) = text.trim_end().rsplit_once('\n').unwrap();
    let body = last.split_once(',').unwrap().1.replace(from, to);
    assert!(!last.ends_with(&body), "{from} in {last}");
    fs::write(journal, format!("{rest}\n{{\"crc\":\"{:08x}\",{body}\n", crc32c::crc32c(body.as_bytes()))).unwrap();
}

#[test]
fn a_patch_that_does_not_apply_is_damage_and_what_is_before_it_is_salvaged() {
    let folder = tempfile::tempdir().unwrap();
    drop(bank(folder.path()));
    forge(&folder.path().join("journal-1.jsonl"), "/state/accounts/bob", "/state/accounts/bob/balance");
    let report = engine::verify::<Bank>(folder.path()).unwrap();
    let [Finding::Damage(RecoverError::Refused { line: 3, .. })] = &report.findings[..] else { panic!("{report:?}") };
    let repair = engine::repair::<Bank>(folder.path()).unwrap();
    assert_eq!((repair.version(), repair.report().newest), (1, 2));
    let repaired = repair.run().unwrap();
    let aside = repaired.aside.unwrap();
    assert!(aside.join("journal-1.jsonl").exists() && aside.join("snapshot-0.json").exists());
    let mut bank = open(folder.path());
    assert_eq!((bank.version().0, bank.node().accounts.len()), (1, 1));
    bank.send(&Id::new(()), Open { name: "bob".into(), balance: 1, guarantor: None }, now()).unwrap();
    bank.sync().unwrap();
}

#[test]
fn broken_rules_and_references_are_named_and_are_not_thrown_away() {
    for (from, to, word) in [
        ("\"balance\":5", "\"balance\":-5", "bob to owe nothing"),
        ("\"guarantor\":\"alice\"", "\"guarantor\":\"carol\"", "carol"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        drop(bank(folder.path()));
        forge(&folder.path().join("journal-1.jsonl"), from, to);
        let report = engine::verify::<Bank>(folder.path()).unwrap();
        let [Finding::Rule { version: 2, reason, .. }] = &report.findings[..] else { panic!("{report:?}") };
        assert!(reason.contains(word), "{reason}");
        assert_eq!(engine::repair::<Bank>(folder.path()).unwrap().version(), 2);
    }
}

#[test]
fn the_journal_leads_to_the_next_snapshot_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    drop(bank(folder.path()));
    // A snapshot of version 2, as a repair writes it, beside all that it comes from.
    let copy = tempfile::tempdir().unwrap();
    for name in ["snapshot-0.json", "journal-1.jsonl"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let flawed = fs::read_to_string(copy.path().join("snapshot-0.json")).unwrap().replace("note", "nota");
    fs::write(folder.path().join("snapshot-1.json"), flawed).unwrap();
    let repair = engine::repair::<Bank>(folder.path()).unwrap();
    assert_eq!(repair.version(), 2);
    repair.run().unwrap();
    for name in ["snapshot-2.json", "journal-3.jsonl"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let report = engine::verify::<Bank>(copy.path()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);

    let snapshot = copy.path().join("snapshot-2.json");
    let text = fs::read_to_string(&snapshot).unwrap().replace("\"balance\":5", "\"balance\":6");
    let body = text.split_once(",\n\"crc\"").unwrap().0;
    let crc = crc32c::crc32c(body.as_bytes());
    fs::write(&snapshot, format!("{body},\n\"crc\":\"{crc:08x}\"}}\n")).unwrap();
    let report = engine::verify::<Bank>(copy.path()).unwrap();
    let [Finding::Differs { byte, reason, .. }] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!(text.as_bytes()[*byte as usize], b'6', "{reason}");
}

/// An older program isn't to throw away what a newer one has written.
#[test]
fn an_intact_snapshot_of_another_program_is_not_for_repair() {
    let folder = tempfile::tempdir().unwrap();
    drop(bank(folder.path()));
    let snapshot = folder.path().join("snapshot-0.json");
    let text = fs::read_to_string(&snapshot).unwrap();
    let schema = Json::parse(&text).unwrap().get("schema").and_then(Json::as_str).unwrap().to_owned();
    let text = text.replace(&schema, "another").replace("\"note\"", "\"remark\"");
    let body = text.split_once(",\n\"crc\"").unwrap().0;
    let crc = crc32c::crc32c(body.as_bytes());
    fs::write(&snapshot, format!("{body},\n\"crc\":\"{crc:08x}\"}}\n")).unwrap();
    let error = engine::repair::<Bank>(folder.path()).unwrap_err();
    assert!(matches!(error, RepairError::Undecided(RecoverError::Refused { .. })), "{error}");
    assert!(error.to_string().contains("the program that wrote it"), "{error}");
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?".prop_map(Json::Number),
        any::<String>().prop_map(Json::String),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn pretty_text_is_the_same_json(json in json()) {
        let pretty = json.to_pretty().unwrap();
        let back = Json::parse(&pretty).unwrap();
        prop_assert_eq!(back.to_string(), json.to_string());
        prop_assert_eq!(&back, &json);
    }
}

#[test]
fn pretty_text_has_the_limit_of_readers() {
    let nested = |depth: usize| (1..depth).fold(Json::Array(Vec::new()), |json, _| Json::Array(vec![json]));
    let text = nested(128).to_pretty().unwrap();
    assert_eq!(Json::parse(&text).unwrap(), nested(128));
    assert!(nested(129).to_pretty().is_err());
}
