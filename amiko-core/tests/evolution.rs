//! Classes that change while their files stay: versions, migrations, defaults, unknown fields, and the lock on the schema.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::engine::EngineOpenError;
use amiko_core::prelude::*;
use amiko_core::serializable::{Json, Reader, Unknown, UnknownFields, schema};
use amiko_core::store::Memory;

/// A program, and the next version of it.
mod old {
    use super::*;

    #[derive(Clone, Serializable)]
    #[amiko(key = String)]
    pub(crate) struct Account {
        pub(crate) amount: u64,
        pub(crate) owner: String,
    }

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    pub(crate) struct Bank {
        #[amiko(objects)]
        pub(crate) accounts: Table<Account>,
    }

    #[derive(Clone, Serializable)]
    pub(crate) enum Order {
        Open { name: String },
        Change { name: String, amount: u64 },
    }

    impl StateMachine for Bank {
        type Node = Self;
        type Message = Order;

        fn handle(&mut self, order: Order, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
            match order {
                Order::Open { name } => {
                    cx.create(&Id::new(name.clone()), Account { amount: 1, owner: name });
                }
                Order::Change { name, amount } => {
                    let account = self.accounts.get_mut(&Id::new(name)).ok_or(Rejection::new("no account"))?;
                    account.amount = amount;
                }
            }
            Ok(())
        }
    }
}

mod new {
    use super::*;

    /// Version 2 called the amount a balance; version 3 has it in cents.
    #[derive(Clone, Debug, PartialEq, Serializable)]
    #[amiko(key = String, version = 3, migrate = lift)]
    pub(crate) struct Account {
        pub(crate) cents: u64,
        pub(crate) owner: String,
        #[amiko(default)]
        pub(crate) notes: Vec<String>,
    }

    pub(crate) fn lift(from: u32, account: &mut Json) -> Result<(), String> {
        match from {
            1 => account.rename("amount", "balance"),
            _ => {
                let balance = account.remove("balance").and_then(|balance| balance.as_u64()).ok_or("no balance")?;
                account.set("cents", Json::integer(balance.checked_mul(100).ok_or("too much")?));
            }
        }
        Ok(())
    }

    #[derive(Clone, Debug, Default, PartialEq, Serializable, Node)]
    pub(crate) struct Bank {
        #[amiko(objects)]
        pub(crate) accounts: Table<Account>,
    }
}

fn written_by_the_old_program() -> Memory {
    let mut engine = Engine::<old::Bank, _>::open(Memory::new(), Settings::default()).unwrap();
    let bank = Id::<old::Bank>::new(());
    for name in ["ann", "bob"] {
        engine.send(&bank, old::Order::Open { name: name.into() }, Time::from_secs(1)).unwrap();
    }
    engine.send(&bank, old::Order::Change { name: "bob".into(), amount: 7 }, Time::from_secs(2)).unwrap();
    engine.sync().unwrap();
    engine.into_store().crash()
}

#[test]
fn a_new_program_opens_what_an_old_one_left_in_snapshot_and_journal() {
    let engine = Engine::<new::Bank, _>::open(written_by_the_old_program(), Settings::default()).unwrap();
    let cents: Vec<_> = engine.node().accounts.iter().map(|(id, account)| (id.key().clone(), account.cents)).collect();
    assert_eq!(cents, [("ann".to_owned(), 100), ("bob".to_owned(), 700)]);
    // From here on the files are those of the new program.
    let again = Engine::<new::Bank, _>::open(engine.into_store().crash(), Settings::default()).unwrap();
    assert_eq!(again.node().accounts.len(), 2);
    assert!(
        again.document().unwrap().contains(r#"{"_class":"Account","_version":3,"cents":700,"owner":"bob","notes":[]}"#)
    );
}

#[test]
fn an_old_program_refuses_what_a_new_one_left_and_says_why() {
    let engine = Engine::<new::Bank, _>::open(written_by_the_old_program(), Settings::default()).unwrap();
    let error = Engine::<old::Bank, _>::open(engine.into_store().crash(), Settings::default()).err().unwrap();
    assert!(matches!(error, EngineOpenError::Recover(_)), "{error:?}");
    let text = format!("{error:?}");
    assert!(text.contains("expected Account of version 1 at most, found version 3: use a newer program"), "{text}");
}

#[test]
fn a_migration_is_chained_and_its_errors_name_the_versions() {
    let read = |text: &str| from_json::<new::Account>(text).map_err(|error| error.to_string());
    let account = |cents| new::Account { cents, owner: "a".into(), notes: vec![] };
    assert_eq!(read(r#"{"_class":"Account","amount":2,"owner":"a"}"#), Ok(account(200)));
    assert_eq!(read(r#"{"_class":"Account","_version":2,"balance":2,"owner":"a"}"#), Ok(account(200)));
    assert_eq!(read(r#"{"cents":2,"owner":"a","_version":3,"_class":"Account"}"#), Ok(account(2)));
    assert_eq!(
        read(r#"{"_class":"Account","owner":"a"}"#).unwrap_err(),
        "Account can't be lifted from version 2: no balance (line 1, column 1)"
    );
    assert_eq!(
        read(r#"{"_class":"Account","_version":2,"balance":2}"#).unwrap_err(),
        "in Account after its migration from version 2 to 3, expected the field \"owner\" of class Account, found none \
         (line 1, column 1)"
    );
    assert!(
        read(r#"{"_class":"Account","_version":4,"cents":2,"owner":"a"}"#).unwrap_err().contains("found version 4")
    );
    assert!(read(r#"{"_class":"Account","_version":0,"cents":2,"owner":"a"}"#).is_err());
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(unknown = "keep")]
struct Kept {
    known: u64,
    rest: UnknownFields,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(unknown = "ignore")]
struct Ignored {
    known: u64,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(unknown = "deny")]
struct Denied {
    known: u64,
}

#[test]
fn fields_that_a_class_does_not_have_are_kept_ignored_or_refused_as_it_says() {
    let newer = r#"{"_class":"Kept","known":1,"big":18446744073709551617,"deep":{"a":[null,"!x00"]}}"#;
    let kept: Kept = from_json(newer).unwrap();
    assert_eq!(kept.rest.names().collect::<Vec<_>>(), ["big", "deep"]);
    assert_eq!(to_json(&kept).unwrap(), newer);
    let twice = r#"{"_class":"Kept","known":1,"x":1,"x":2}"#;
    assert!(from_json::<Kept>(twice).unwrap_err().to_string().contains("found \"x\" twice"));

    assert_eq!(from_json(r#"{"_class":"Ignored","known":1,"x":{}}"#), Ok(Ignored { known: 1 }));
    let mut network = Reader::new(r#"{"_class":"Denied","known":1,"x":{}}"#).with_unknown(Unknown::Ignore);
    assert!(Denied::read(&mut network).unwrap_err().to_string().contains("found \"x\""));
}

#[test]
fn what_is_kept_has_its_differences_too() {
    let old: Kept = from_json(r#"{"_class":"Kept","known":1,"a":1,"b":{"c":2}}"#).unwrap();
    let new: Kept = from_json(r#"{"_class":"Kept","known":1,"b":{"c":3},"d":4}"#).unwrap();
    let mut patch = amiko_core::Patch::new();
    new.difference(&old, &mut patch).unwrap();
    let mut patched = old;
    amiko_core::apply_patch(&mut patched, &mut Reader::new(&patch.to_json())).unwrap();
    assert_eq!(patched, new);
}

#[test]
fn a_patch_adds_nothing_to_what_is_kept_that_the_class_reads_itself() {
    #[derive(Debug, Clone, PartialEq, Serializable)]
    #[amiko(unknown = "keep")]
    struct Renamed {
        #[amiko(alias = "before")]
        known: u64,
        rest: UnknownFields,
    }

    let object: Renamed = from_json(r#"{"_class":"Renamed","before":1}"#).unwrap();
    for name in ["_class", "_version", "before"] {
        let patch = format!(r#"[{{"op":"add","path":"/{name}","value":2}}]"#);
        let mut patched = object.clone();
        amiko_core::apply_patch(&mut patched, &mut Reader::new(&patch)).unwrap_err();
        assert_eq!(patched, object);
    }
}

#[test]
fn the_schema_of_a_program_is_compared_with_its_lock() {
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("schema.lock");
    std::fs::write(&lock, schema::describe::<old::Bank>()).unwrap();
    schema::check::<old::Bank>(&lock).unwrap();
    assert_ne!(schema::fingerprint::<old::Bank>(), schema::fingerprint::<new::Bank>());
    let told = schema::check::<new::Bank>(&lock).unwrap_err();
    for line in [
        "Account.cents is new: `migrate` has to lift it to version 3",
        "Account.notes is new and may be missing: nothing is to be done",
        "Account.amount is gone: `migrate` has to lift it to version 3",
        "AMIKO_BLESS=1",
    ] {
        assert!(told.contains(line), "{line:?} in {told}");
    }
}

mod doors {
    use amiko_core::prelude::*;

    #[derive(Clone, Copy, PartialEq, Serializable, Phases)]
    #[amiko(rename_all = "kebab-case")]
    pub(crate) enum Door {
        #[amiko(next(Open, BoltedTwice))]
        Closed,
        #[amiko(next(Closed))]
        Open,
        #[amiko(next(Closed))]
        BoltedTwice,
    }

    pub(crate) mod later {
        use amiko_core::prelude::*;

        #[derive(Clone, Copy, PartialEq, Serializable, Phases)]
        #[amiko(rename_all = "kebab-case")]
        pub(crate) enum Door {
            #[amiko(next(Open, BoltedTwice))]
            Closed,
            #[amiko(next(Closed, BoltedTwice))]
            Open,
            BoltedTwice,
        }
    }
}

#[test]
fn a_move_that_was_taken_away_is_noticed_by_the_lock() {
    let directory = tempfile::tempdir().unwrap();
    let lock = directory.path().join("schema.lock");
    let locked = "\
class Door, version 1
  closed
  open
  bolted-twice
moves of Door
  closed -> open, bolted-twice
  open -> closed
  bolted-twice -> closed
";
    std::fs::write(&lock, locked).unwrap();
    assert_eq!(schema::check::<doors::Door>(&lock), Ok(()));
    let error = schema::check::<doors::later::Door>(&lock).unwrap_err();
    let lines: Vec<&str> = error.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "  Door: the move bolted-twice -> closed is gone: an object that is bolted-twice in an old file can't become closed any more",
            "  Door: the move open -> bolted-twice is new: nothing is to be done",
            "when old files open, run the test with AMIKO_BLESS=1"
        ]
    );
    // What can be read is the same, so programs don't tell them apart.
    assert_eq!(schema::fingerprint::<doors::Door>(), schema::fingerprint::<doors::later::Door>());
}

#[test]
fn two_types_of_one_class_name_are_found_by_the_check() {
    mod other {
        #[derive(amiko_core::Serializable)]
        #[amiko(class = "Kept")]
        pub(super) struct Another {}
    }

    #[derive(Serializable)]
    struct Both {
        one: Kept,
        other: other::Another,
    }

    let told = schema::check::<Both>("nowhere.lock").unwrap_err();
    assert_eq!(told, "expected each class name once, found two types named Kept");
}
