//! Keys that are derived: what their texts are, that they come back, and what is refused.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use amiko_core::Writer;
use amiko_core::prelude::*;
use amiko_core::serializable::{Reference, Text, apply, diff, schema};
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
struct Sku(String);

impl From<&str> for Sku {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serializable, Key)]
#[amiko(rename_all = "kebab-case")]
enum Colour {
    Red,
    DarkBlue,
    #[amiko(rename = "!grey", alias = "gray")]
    Grey,
    Türkis,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
struct Slot {
    shelf: u64,
    sku: Sku,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
#[amiko(class = "Place")]
struct Painted(Colour, Slot, (u8, Id<Shelf>));

#[derive(Clone, Default, PartialEq, Debug, Serializable)]
#[amiko(key = Slot)]
struct Stock {
    count: u64,
}

#[derive(Clone, Default, Serializable)]
#[amiko(key = Sku)]
struct Shelf {}

fn slot(shelf: u64, sku: &str) -> Slot {
    Slot { shelf, sku: sku.into() }
}

fn comes_back<K: Key>(key: K) {
    key.with_text(|text| {
        assert_eq!(text, key.encode());
        assert_eq!(K::decode(text).as_ref(), Ok(&key));
    });
    let (map, empty) = (BTreeMap::from([(key.clone(), 7_u8)]), BTreeMap::new());
    assert_eq!(apply(&empty, &diff(&empty, &map).unwrap()).as_ref(), Ok(&map));
    let shared: Map<K, u8> = map.clone().into_iter().collect();
    for mode in [Text::Unicode, Text::Ascii] {
        let mut out = Writer::new().with_text(mode);
        Serializable::write(&map, &mut out).unwrap();
        assert!(mode == Text::Unicode || out.as_str().is_ascii(), "{out:?}");
        assert_eq!(from_json(out.as_str()).as_ref(), Ok(&map), "{out:?}");
        assert_eq!(from_json(out.as_str()).as_ref(), Ok(&shared), "{out:?}");
    }
}

#[test]
fn a_newtype_is_written_as_the_key_in_it() {
    assert_eq!(Sku::from("a/b").encode(), "a/b");
    assert_eq!(Sku::from("!a").encode(), "!!a");
    assert_eq!(Sku::schema_name(), "key Sku of text");
}

#[test]
fn a_variant_is_written_as_its_name() {
    let texts =
        [Colour::Red, Colour::DarkBlue, Colour::Grey, Colour::Türkis].map(|colour| colour.encode().into_owned());
    assert_eq!(texts, ["red", "dark-blue", "!!grey", "türkis"]);
    assert_eq!(Colour::decode("gray"), Ok(Colour::Grey));
    assert_eq!(Colour::decode("!x74c3bc726b6973"), Ok(Colour::Türkis));
    let expected = "one of red, dark-blue, !grey, türkis";
    assert_eq!(["Red", "", "!grey", "!x726564"].map(Colour::decode).map(|read| read.is_err()), [true; 4]);
    assert_eq!(Colour::decode("Red"), Err(expected));
    assert_eq!(Colour::schema_name(), "key Colour of red, dark-blue, !grey, türkis");
    [Colour::Red, Colour::DarkBlue, Colour::Grey, Colour::Türkis].into_iter().for_each(comes_back);
}

#[test]
fn several_keys_are_joined() {
    assert_eq!(slot(7, "nuts").encode(), "7/nuts");
    assert_eq!(slot(7, "a/b~c").encode(), "7/a~1b~0c");
    let painted = Painted(Colour::Grey, slot(7, "nuts"), (1, Id::new("top")));
    assert_eq!(painted.encode(), "!!!grey/7~1nuts/1~1top");
    assert_eq!(Slot::schema_name(), "key Slot of integer, key Sku of text");
    let parts = "(key Colour of red, dark-blue, !grey, türkis), (key Slot of integer, key Sku of text), (key of integer, ID of a shelf by key Sku of text)";
    assert_eq!(Painted::schema_name(), format!("key Place of {parts}"));

    let mut found = Vec::new();
    painted.reference(&mut |Reference { kind, key, .. }| found.push(format!("{kind} {key}")));
    assert_eq!(found, ["shelf top"]);
}

#[test]
fn what_is_wrong_with_a_key_is_said() {
    let error = |json: &str| from_json::<BTreeMap<Slot, u8>>(json).unwrap_err().to_string();
    let parts = "expected 2 keys joined by /, shelf/sku as a key, found \"7\" (line 1, column 6)";
    assert_eq!(error(r#"{"7": 1}"#), parts);
    assert_eq!(error(r#"{"7/a/b": 1}"#), parts.replace("\"7\"", "\"7/a/b\"").replace("column 6", "column 10"));
    assert!(error(r#"{"x/a": 1}"#).starts_with("expected an integer as a key, found \"x/a\""));
    assert!(error(r#"{"07/a": 1}"#).starts_with("expected an integer without leading zeros or plus as a key"));
    assert!(error(r#"{"7/~a": 1}"#).starts_with("expected ~0 for ~ and ~1 for / in each part as a key"));
    assert!(error(r#"{"7/a": 1, "7/a": 2}"#).contains("7/a"));
}

/// A lock of the schema notices when keys are written otherwise.
#[test]
fn a_schema_says_what_a_key_is_made_of() {
    #[derive(Serializable)]
    struct Warehouse {
        stock: HashMap<Slot, u64>,
        colours: Map<Colour, u64>,
    }

    assert_eq!(
        schema::describe::<Warehouse>(),
        "class Warehouse, version 1\n  \
         stock: map of key Slot of integer, key Sku of text to unsigned integer of 64 bits\n  \
         colours: map of key Colour of red, dark-blue, !grey, türkis to unsigned integer of 64 bits\n"
    );
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Warehouse {
    #[amiko(objects)]
    stock: Table<Stock>,
}

#[derive(Clone, Serializable)]
struct Put {
    shelf: u64,
    sku: String,
}

impl StateMachine for Warehouse {
    type Node = Self;
    type Message = Put;

    fn handle(&mut self, Put { shelf, sku }: Put, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        cx.create(&Id::new(slot(shelf, &sku)), Stock { count: 1 });
        Ok(())
    }
}

#[test]
fn objects_with_derived_keys_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Engine::<Warehouse>::open(Directory::open(directory.path()).unwrap(), Settings::default()).unwrap();
    let mut engine = open();
    let put = Put { shelf: 7, sku: "a/b".into() };
    engine.send(&Id::<Warehouse>::new(()), put, Time::from_secs(1)).unwrap();
    engine.sync().unwrap();
    drop(engine);

    let engine = open();
    let id = Id::new(slot(7, "a/b"));
    assert_eq!(engine.node().stock.get(&id), Some(&Stock { count: 1 }));
    assert_eq!(id.to_string(), "stock 7/a~1b");
    assert_eq!(to_json(&id).unwrap(), r#""7/a~1b""#);
}

#[test]
fn an_id_takes_whatever_a_key_is_made_of() {
    #[derive(Clone, Serializable)]
    #[amiko(key = i8)]
    struct Narrow {}

    #[derive(Clone, Serializable)]
    #[amiko(key = u128)]
    struct Wide {}

    #[derive(Clone, Serializable)]
    #[amiko(key = Arc<str>)]
    struct Shared {}

    assert_eq!((Id::<Narrow>::new(-1).key(), Id::<Wide>::new(1).key()), (&-1, &1));
    let (text, key) = ("top".to_owned(), Sku::from("top"));
    let ids = [Id::<Shelf>::new("top"), Id::new(text.as_str()), Id::new(&key), Id::new(key.clone())];
    assert!(ids.iter().all(|id| *id.key() == key));
    assert_eq!(Id::<Shared>::new("top"), Id::new(Cow::Borrowed("top")));
    let slot = slot(7, "nuts");
    assert_eq!(Id::<Stock>::new(&slot), Id::new(slot.clone()));
}

proptest! {
    #[test]
    fn derived_keys_are_read_back(text in any::<String>(), other in "[!~/x0-1ä\u{7f}\n]{0,6}", number in any::<u64>()) {
        comes_back(Sku(text.clone()));
        comes_back(slot(number, &text));
        comes_back(slot(number, &other));
        comes_back(Painted(Colour::Türkis, slot(number, &text), (number as u8, Id::new(other.as_str()))));
        comes_back((slot(number, &other), Sku(text)));
    }

    /// Whatever is taken for a key is the text that it is written as, or the hex of it.
    #[test]
    fn a_composite_has_no_second_form(text in "[0-3]{1,2}/[!~/x0-3a-f]{0,6}") {
        if let Ok(slot) = Slot::decode(&text) {
            prop_assert_eq!(slot.encode(), text);
        }
    }
}
