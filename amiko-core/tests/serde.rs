//! serde on both sides of a class, and the traps that serde has for whoever keeps data with it.

#![allow(missing_docs, clippy::unwrap_used)]

use amiko_core::prelude::*;
use amiko_core::{Patch, Reader, WriteError};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

/// A type that only serde knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mood {
    VeryHappy { since: u32 },
    Sad,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Person {
    name: String,
    mood: Mood,
    moods: Vec<Mood>,
    patience: Duration,
    home: Option<PathBuf>,
    scores: HashMap<String, i8>,
}

fn person() -> Person {
    Person {
        name: "!ann".into(),
        mood: Mood::VeryHappy { since: 7 },
        moods: vec![Mood::Sad],
        patience: Duration::from_millis(1500),
        home: Some("/home/ann".into()),
        scores: [("golf".to_owned(), -3)].into(),
    }
}

const PERSON: &str = r#"{"_class":"Person","name":"!!ann","mood":{"very-happy":{"since":7}},"moods":["sad"],"patience":{"nanos":500000000,"secs":1},"home":"/home/ann","scores":{"golf":-3}}"#;

#[test]
fn a_type_of_serde_is_a_field_without_further_ado() {
    assert_eq!(to_json(&person()).unwrap(), PERSON);
    assert_eq!(from_json::<Person>(PERSON), Ok(person()));
    let wrong = PERSON.replace("very-happy", "bored");
    let error = from_json::<Person>(&wrong).unwrap_err().to_string();
    assert!(error.starts_with("mood: unknown variant `bored`"), "{error}");

    let mut calm = person();
    calm.mood = Mood::Sad;
    let mut patch = Patch::new();
    calm.difference(&person(), &mut patch).unwrap();
    assert_eq!(patch.to_json(), r#"[{"op":"replace","path":"/mood","value":"sad"}]"#);
    let mut patched = person();
    amiko_core::apply_patch(&mut patched, &mut Reader::new(&patch.to_json())).unwrap();
    assert_eq!(patched, calm);
}

#[test]
fn the_order_of_a_hash_never_reaches_a_text() {
    #[derive(Debug, Clone, PartialEq, Serializable)]
    struct Hashed {
        ours: HashMap<u64, Option<Vec<u8>>>,
        of_serde: HashMap<char, Mood>,
        set: std::collections::HashSet<String>,
    }

    let numbers = || (0..50).rev();
    let hashed = Hashed {
        ours: numbers().map(|number| (number, Some(vec![1]))).collect(),
        of_serde: ('a'..='z').map(|letter| (letter, Mood::Sad)).collect(),
        set: numbers().map(|number| number.to_string()).collect(),
    };
    let text = to_json(&hashed).unwrap();
    let read: Hashed = from_json(&text).unwrap();
    assert_eq!(read, hashed);
    assert_eq!(to_json(&read).unwrap(), text);
    let mut patch = Patch::new();
    read.difference(&hashed, &mut patch).unwrap();
    assert_eq!(patch.operations(), 0);
    let keys: Vec<u64> = numbers().rev().collect();
    assert!(text.starts_with(&format!(r#"{{"_class":"Hashed","ours":{{"{}":"!x01","{}""#, keys[0], keys[1])), "{text}");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Envelope {
    people: Vec<Person>,
    id: u128,
}

#[test]
fn a_class_is_a_type_of_serde_in_formats_for_people_and_for_machines() {
    let envelope = Envelope { people: vec![person()], id: u128::MAX };
    let text = serde_json::to_string(&envelope).unwrap();
    assert!(text.contains(PERSON), "{text}");
    assert_eq!(serde_json::from_str::<Envelope>(&text).unwrap(), envelope);
    let value = serde_json::to_value(person()).unwrap();
    assert_eq!(serde_json::from_value::<Person>(value).unwrap(), person());
    let error = serde_json::from_str::<Person>(r#"{"_class":"Person"}"#).unwrap_err().to_string();
    assert!(error.contains(r#"expected the field "name" of class Person"#), "{error}");

    let bytes = postcard::to_stdvec(&person()).unwrap();
    assert_eq!(postcard::from_bytes::<Person>(&bytes).unwrap(), person());
}

/// Holds one trap each.
#[derive(Debug, Clone, PartialEq, Serializable)]
struct Holder<T> {
    value: T,
}

/// Either it comes back exactly, or it was refused.
fn trap<T>(value: T) -> Result<(), WriteError>
where
    T: Clone + std::fmt::Debug + PartialEq + Serialize + serde::de::DeserializeOwned + 'static,
{
    use amiko_core::serializable::{Codec, Serde};
    let mut out = amiko_core::Writer::new();
    Serde.write(&value, &mut out)?;
    let read: T = Serde.read(&mut Reader::new(out.as_str())).unwrap();
    assert_eq!(read, value, "changed in silence: {}", out.as_str());
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Big { number: u128 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    a: u8,
    #[serde(flatten)]
    rest: Inner,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inner {
    wide: u128,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FlattenedKeys {
    #[serde(flatten)]
    by_number: BTreeMap<u64, bool>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    list: Vec<u8>,
}

fn deep(levels: usize) -> Vec<Vec<u8>> {
    vec![vec![0; levels]]
}

#[test]
fn numbers_that_json_has_no_text_for_are_refused() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(to_json(&value), Err(WriteError::NotFinite { .. })));
        assert!(matches!(to_json(&Some(value)), Err(WriteError::NotFinite { .. })));
        assert!(matches!(trap(value), Err(WriteError::NotFinite { .. })));
        assert!(
            matches!(trap(Some(value)), Err(WriteError::NotFinite { .. })),
            "an infinite Option becomes None in serde"
        );
        let error = trap(vec![(1u8, value as f32)]).unwrap_err();
        assert!(matches!(error.problem(), WriteError::NotFinite { .. }), "{error}");
        assert_eq!(error.path(), "[0][1]");
    }
}

#[test]
fn some_that_would_be_read_as_none_is_refused() {
    assert!(matches!(trap(Some(None::<u8>)), Err(WriteError::NullInSome)));
    assert!(matches!(trap(Some(())), Err(WriteError::NullInSome)));
    assert_eq!(trap(Some(Some(1u8))), Ok(()));
    assert_eq!(trap(None::<Option<u8>>), Ok(()));
}

#[test]
fn what_serde_writes_and_cannot_read_is_refused_or_comes_back() {
    // Wide numbers behind a tag or flattened: serde_json can't read them back in every build.
    for outcome in [trap(Tagged::Big { number: u128::MAX }), trap(Flattened { a: 1, rest: Inner { wide: u128::MAX } })]
    {
        assert!(matches!(outcome, Ok(()) | Err(WriteError::Unreadable { .. })), "{outcome:?}");
    }
    let keys = trap(FlattenedKeys { by_number: [(1, true)].into() });
    assert!(matches!(keys, Ok(()) | Err(WriteError::Unreadable { .. })), "{keys:?}");
    assert!(matches!(trap(Skipping { list: vec![] }), Err(WriteError::Unreadable { .. })));
    assert_eq!(trap(Skipping { list: vec![1] }), Ok(()));
    assert!(
        matches!(trap(BTreeMap::from([(vec![1u8], 1u8)])), Err(WriteError::Unreadable { .. })),
        "keys that aren't text"
    );
    assert_eq!(trap(deep(3)), Ok(()));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Metres {
    length: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Miles {
    length: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Small(u8),
    Large(u64),
    Metres(Metres),
    Miles(Miles),
}

#[test]
fn an_untagged_value_that_would_be_read_as_another_variant_is_refused() {
    assert_eq!(trap(Untagged::Small(5)), Ok(()));
    assert_eq!(trap(Untagged::Large(500)), Ok(()), "too large for the variant before it");
    assert!(matches!(trap(Untagged::Large(5)), Err(WriteError::Unreadable { .. })));
    assert_eq!(trap(Untagged::Metres(Metres { length: 1 })), Ok(()));
    assert!(matches!(trap(Untagged::Miles(Miles { length: 1 })), Err(WriteError::Unreadable { .. })));
    assert!(matches!(trap(vec![Untagged::Large(5)]), Err(WriteError::Unreadable { .. })));
}

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Nest {
    inner: Option<Box<Nest>>,
}

#[test]
fn nesting_beyond_what_a_reader_takes_is_refused_on_writing() {
    let nest = |levels: usize| (1..levels).fold(Nest { inner: None }, |inner, _| Nest { inner: Some(Box::new(inner)) });
    assert_eq!(from_json::<Nest>(&to_json(&nest(128)).unwrap()), Ok(nest(128)));
    let error = to_json(&nest(129)).unwrap_err();
    assert!(matches!(error.problem(), WriteError::TooDeep { limit: 128 }), "{error}");
}

#[test]
fn json_is_strict_where_serde_json_is_not() {
    // A duplicate key: in a Value the last one wins.
    let twice = r#"{"a":1,"a":2}"#;
    assert!(amiko_core::serializable::Json::parse(twice).is_err());
    // 2^64: in a Value it becomes a float.
    let wide = amiko_core::serializable::Json::parse("18446744073709551616").unwrap();
    assert_eq!(wide.to_string(), "18446744073709551616");
}

proptest! {
    #[test]
    fn ordinary_values_come_back_whichever_way_they_go(
        name in any::<String>(), number in any::<i64>(), wide in any::<u128>(), float in any::<f64>().prop_filter("finite", |float| float.is_finite()),
        list in prop::collection::vec(any::<Option<u16>>(), 0..5), bytes in any::<Vec<u8>>(),
    ) {
        let value = (name, number, (wide, float.to_bits()), list);
        prop_assert_eq!(trap(value.clone()), Ok(()));
        prop_assert_eq!(from_json::<(String, i64, (u128, u64), Vec<Option<u16>>)>(&to_json(&value).unwrap()), Ok(value));
        let holder = Holder { value: (bytes, float) };
        prop_assert_eq!(from_json::<Holder<(Vec<u8>, f64)>>(&to_json(&holder).unwrap()), Ok(holder));
    }
}
