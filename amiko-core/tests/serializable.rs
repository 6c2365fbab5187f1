//! Objects as text: what each shape looks like, what each attribute does, and what is said about text that is wrong.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use amiko_core::prelude::*;
use amiko_core::serializable::{ReadLimits, Unknown};
use amiko_core::{Reader, WriteError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Default, Serializable)]
struct Named {
    number: i64,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Tuple(u8, String);

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(rename_all = "kebab-case")]
enum Color {
    Red,
    DarkBlue,
    #[amiko(rename = "!grey", alias = "gray")]
    Grey,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(rename_all_fields = "camelCase")]
enum Shape {
    Empty,
    Circle {
        radius_in_mm: u64,
    },
    Pair(Box<Shape>, Option<Box<Shape>>),
    #[amiko(transparent)]
    Label(Named),
    #[amiko(rename = "Colored", alias = "Coloured")]
    WithColor {
        color: Color,
    },
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(transparent)]
struct Meters(f64);

#[derive(Debug, Clone, PartialEq, Serializable)]
struct Both<A, B> {
    a: A,
    b: B,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String)]
struct Account {
    balance: u64,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(class = "tree", rename_all = "camelCase")]
struct Tree {
    some_shapes: Vec<Shape>,
    by_name: BTreeMap<String, Both<u128, Option<i8>>>,
    accounts: Map<Id<Account>, Meters>,
    raw: Vec<u8>,
    digest: [u8; 4],
    grid: [[i16; 2]; 2],
    tuple: (bool, (), String),
    r#type: Option<Color>,
}

fn seven() -> u64 {
    7
}

#[derive(Debug, PartialEq, Serializable)]
struct Options {
    #[amiko(default)]
    plain: u64,
    #[amiko(default = seven)]
    seven: u64,
    #[amiko(rename = "new name", alias = "old name", alias = "older name")]
    renamed: u64,
    #[amiko(skip)]
    skipped: u64,
    #[amiko(skip, default = seven)]
    skipped_seven: u64,
    optional: Option<u64>,
}

/// The text is exactly this one, and comes back as the value.
fn is<T: Serializable + PartialEq + Debug>(value: T, text: &str) {
    assert_eq!(to_json(&value).unwrap(), text);
    assert_eq!(from_json::<T>(text).unwrap(), value);
    serde_json::from_str::<serde_json::Value>(text).unwrap();
}

fn error<T: Serializable>(text: &str) -> String {
    from_json::<T>(text).err().unwrap().to_string()
}

#[test]
fn structs_are_objects_of_their_class() {
    is(Named { number: -1, text: "a".into() }, r#"{"_class":"Named","number":-1,"text":"a"}"#);
    is(Tuple(7, "b".into()), r#"{"_class":"Tuple","0":7,"1":"b"}"#);
    is(Unit, r#"{"_class":"Unit"}"#);
    is(Meters(1.5), "1.5");
    is(Both { a: Unit, b: vec![(1u8,)] }, r#"{"_class":"Both","a":{"_class":"Unit"},"b":[[1]]}"#);
}

#[test]
fn enums_of_units_are_strings_and_others_objects_of_a_class_for_each_variant() {
    is(vec![Color::Red, Color::DarkBlue, Color::Grey], r#"["red","dark-blue","!grey"]"#);
    assert_eq!(from_json::<Color>(r#""gray""#).unwrap(), Color::Grey);
    is(Shape::Empty, r#"{"_class":"Empty"}"#);
    is(Shape::Circle { radius_in_mm: 3 }, r#"{"_class":"Circle","radiusInMm":3}"#);
    is(Shape::WithColor { color: Color::Red }, r#"{"_class":"Colored","color":"red"}"#);
    let pair = Shape::Pair(Box::new(Shape::Empty), None);
    is(pair, r#"{"_class":"Pair","0":{"_class":"Empty"},"1":null}"#);
    // A transparent variant has the class of what is in it.
    is(Shape::Label(Named::default()), r#"{"_class":"Named","number":0,"text":""}"#);
    let other_name = from_json::<Shape>(r#"{"_class":"Coloured","color":"red"}"#).unwrap();
    assert_eq!(other_name, Shape::WithColor { color: Color::Red });
}

#[test]
fn values_of_the_standard_library_look_as_json_users_expect() {
    is(vec![Some(1), None], "[1,null]");
    is((1u8, "x".to_owned(), [true, false]), r#"[1,"x",[true,false]]"#);
    is(BTreeMap::from([(3, "c".to_owned()), (-20, "d".to_owned())]), r#"{"-20":"d","3":"c"}"#);
    is(VecDeque::from([1, 2]), "[1,2]");
    is(BTreeSet::from([2, 1]), "[1,2]");
    is((Box::new(1), Arc::new(())), "[1,null]");
    is(Map::from_iter([("b".to_owned(), 1), ("a".to_owned(), 2)]), r#"{"a":2,"b":1}"#);
    is(Secret::new([1u8, 255]), r#""!x01ff""#);
    is(Time::from_secs(2), "2000");
    is(vec![0.5, -0.0, 1e300, 5e-324, 1.0], "[0.5,-0.0,1e300,5e-324,1.0]");
    assert!(from_json::<Vec<f64>>("[-0.0]").unwrap()[0].is_sign_negative());
}

#[test]
fn bytes_are_hex_and_text_that_could_be_taken_for_it_is_doubled() {
    is(vec![0u8, 0xab], r#""!x00ab""#);
    is(Vec::<u8>::new(), r#""!x""#);
    is("!".to_owned(), r#""!!""#);
    is("!xab".to_owned(), r#""!!xab""#);
    is("a!x".to_owned(), r#""a!x""#);
    // Text can stand for its own bytes, and upper-case hex for the same bytes.
    assert_eq!(from_json::<Vec<u8>>(r#""ab""#).unwrap(), b"ab");
    assert_eq!(from_json::<[u8; 1]>(r#""!xAB""#).unwrap(), [0xab]);
    assert_eq!(from_json::<String>(r#""!x6162""#).unwrap(), "ab");
    let bad = "line 1, column 1)";
    assert_eq!(
        error::<Vec<u8>>(r#""!x0""#),
        format!("expected \"!x\" and an even number of hex digits, found \"!x0\" ({bad}")
    );
    for text in [r#""!x0g""#, r#""!x0x12""#, r#""!x+1""#, r#""!X00""#, r#""!""#, r#""!a""#] {
        assert!(error::<Vec<u8>>(text).starts_with("expected \"!x\" and"), "{text}");
        assert!(error::<String>(text).starts_with("expected \"!x\" and"), "{text}");
    }
    assert_eq!(error::<[u8; 2]>(r#""!x00""#), format!("expected 2 elements or bytes, found 1 ({bad}"));
    assert_eq!(error::<String>(r#""!xff""#), format!("expected text, not binary, found \"!xff\" ({bad}"));
}

#[test]
fn the_escapes_of_json_are_undone_and_others_refused() {
    let text = r#""\"\\\/\b\f\n\r\t\u0000\u00e4\uD7FF\uE000\uFFFF\ud83d\uDE00""#;
    let expected = "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{e4}\u{d7ff}\u{e000}\u{ffff}\u{1f600}";
    assert_eq!(from_json::<String>(text).unwrap(), expected);
    let half = [r#""\ud83d""#, r#""\ude00""#, r#""\ud83d\ud83d""#, r#""\ud83dx""#, r#""\ud83d\n""#];
    let other = [r#""\x41""#, r#""\u12""#, r#""\u+123""#, r#""\u12ä4""#, r#""\""#, "\"a\nb\"", "\"\u{0}\""];
    for text in half.iter().chain(&other) {
        assert!(from_json::<String>(text).is_err(), "{text}");
    }
}

#[test]
fn ids_and_numbers_and_bytes_are_keys() {
    is(BTreeMap::from([(Id::<Account>::new("!a"), 1)]), r#"{"!!a":1}"#);
    is(Map::from_iter([([1u8, 2], 1)]), r#"{"!x0102":1}"#);
    is(BTreeMap::from([(u64::MAX, 1)]), r#"{"18446744073709551615":1}"#);
    type Numbers = BTreeMap<u8, u8>;
    assert_eq!(
        error::<Numbers>(r#"{"07":1}"#),
        "expected an integer without leading zeros or plus as a key, found \"07\" (line 1, column 7)"
    );
    assert_eq!(error::<Numbers>(r#"{"1":1,"1":2}"#), "expected each field once, found \"1\" twice (line 1, column 13)");
    // One key, though two texts.
    assert!(error::<BTreeMap<String, u8>>(r#"{"a":1,"!x61":2}"#).contains("twice"));
}

#[test]
fn integers_are_exact_to_their_last_digit() {
    is(9_007_199_254_740_993u64, "9007199254740993");
    is((u128::MAX, i128::MIN), "[340282366920938463463374607431768211455,-170141183460469231731687303715884105728]");
    is((u64::MAX, i64::MIN), "[18446744073709551615,-9223372036854775808]");
    for text in ["256", "-1", "1.0", "1e1", "01", "+1", "\"1\"", ""] {
        assert!(error::<u8>(text).starts_with("expected an unsigned integer of 8 bits, found"), "{text}");
    }
}

#[test]
fn numbers_without_a_text_are_refused_on_writing_and_beyond_the_range_on_reading() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let found = number.to_string();
        let error = to_json(&vec![Meters(number)]).unwrap_err();
        assert_eq!((error.path(), error.problem()), ("[0]", &WriteError::NotFinite { found }));
    }
    assert_eq!(error::<f64>("1e999"), "expected a number within the range of 64 bits, found 1e999 (line 1, column 1)");
    for text in ["NaN", "Infinity", "1.", ".5", "1e", "-", "1e+"] {
        assert!(error::<f64>(text).starts_with("expected a number"), "{text}");
    }
}

#[test]
fn missing_fields_have_their_defaults_and_other_names_are_read() {
    let least = from_json::<Options>(r#"{"older name":1,"_class":"Options"}"#).unwrap();
    let expected = Options { plain: 0, seven: 7, renamed: 1, skipped: 0, skipped_seven: 7, optional: None };
    assert_eq!(least, expected);
    let all = Options { plain: 1, seven: 2, renamed: 3, skipped: 4, skipped_seven: 5, optional: Some(6) };
    let text = r#"{"_class":"Options","plain":1,"seven":2,"new name":3,"optional":6}"#;
    assert_eq!(to_json(&all).unwrap(), text);
    assert_eq!(from_json::<Options>(text).unwrap(), Options { skipped: 0, skipped_seven: 7, ..all });
    assert_eq!(
        error::<Options>(r#"{"_class":"Options","old name":1,"new name":2}"#),
        "expected each field once, found \"new name\" twice (line 1, column 45)"
    );
    assert!(error::<Options>(r#"{"_class":"Options","new name":1,"skipped":1}"#).contains("found \"skipped\""));
}

/// A tree with one of everything.
fn tree() -> Tree {
    Tree {
        some_shapes: vec![Shape::Empty, Shape::Pair(Box::new(Shape::Circle { radius_in_mm: 1 }), None)],
        by_name: BTreeMap::from([("ä".to_owned(), Both { a: u128::MAX, b: Some(-1) })]),
        accounts: Map::from_iter([(Id::new("alice"), Meters(0.5))]),
        raw: vec![1, 2],
        digest: [0; 4],
        grid: [[1, 2], [3, 4]],
        tuple: (true, (), "\u{1}\"\\/😀".into()),
        r#type: Some(Color::Red),
    }
}

const TREE: &str = "{\"_class\":\"tree\",\n \"someShapes\":[{\"_class\":\"Empty\"},\n  {\"_class\":\"Pair\",\"0\":{\"_class\":\"Circle\",\"radiusInMm\":1},\"1\":null}],\n \"byName\":{\"ä\":{\"_class\":\"Both\",\"a\":340282366920938463463374607431768211455,\"b\":-1}},\n \"accounts\":{\"alice\":0.5},\"raw\":\"!x0102\",\"digest\":\"!x00000000\",\n \"grid\":[[1,2],[3,4]],\"tuple\":[true,null,\"\\u0001\\\"\\\\/😀\"],\"type\":\"red\"}";

#[test]
fn an_error_names_the_path_the_line_and_the_column() {
    is(tree(), &TREE.replace("\n ", "").replace(" ", ""));
    assert_eq!(from_json::<Tree>(TREE).unwrap(), tree());
    let cases = [
        (
            "\"radiusInMm\":1",
            "\"radiusInMm\":\"1\"",
            "someShapes[1].0.radiusInMm: expected an unsigned integer of 64 bits, found \"1\" (line 3, column 56)",
        ),
        (
            "\"radiusInMm\":1",
            "\"radius\":1",
            "someShapes[1].0: expected a field of class Circle (radiusInMm), found \"radius\" (line 3, column 52)",
        ),
        (
            ",\"radiusInMm\":1",
            "",
            "someShapes[1].0: expected the field \"radiusInMm\" of class Circle, found none (line 3, column 43)",
        ),
        (
            "\"radiusInMm\":1",
            "\"radiusInMm\":1,\"radiusInMm\":1",
            "someShapes[1].0: expected each field once, found \"radiusInMm\" twice (line 3, column 71)",
        ),
        (
            "Circle",
            "Square",
            "someShapes[1].0: expected the class Empty or Circle or Pair or Named or Colored, found \"Square\" (line 3, column 24)",
        ),
        (
            "\"_class\":\"Both\",",
            "",
            "byName.ä: expected the field \"_class\" of class Both, found none (line 4, column 68)",
        ),
        ("Both", "Other", "byName.ä: expected the class Both, found \"Other\" (line 4, column 26)"),
        ("0.5", "true", "accounts.alice: expected a number, found true (line 5, column 22)"),
        ("!x00000000", "!x00", "digest: expected 4 elements or bytes, found 1 (line 5, column 51)"),
        ("[3,4]", "[3]", "grid[1]: expected 2 elements or bytes, found 1 (line 6, column 16)"),
        ("[3,4]", "[3,40000]", "grid[1][1]: expected an integer of 16 bits, found 40000 (line 6, column 19)"),
        ("[true,null,", "[true,{},", "tuple[1]: expected null, found an object (line 6, column 37)"),
        (":\"red\"", ":\"pink\"", "type: expected one of red, dark-blue, !grey, found \"pink\" (line 6, column 65)"),
        (
            "\"type\":\"red\"}",
            "\"type\":\"red\"",
            "expected a comma or the end of the object, found the end of the text (line 6, column 70)",
        ),
        ("\"type\":\"red\"}", "\"type\":\"red\"} x", "expected the end of the text, found x (line 6, column 72)"),
    ];
    for (good, bad, expected) in cases {
        assert_ne!(TREE.replacen(good, bad, 1), TREE, "{good}");
        assert_eq!(error::<Tree>(&TREE.replacen(good, bad, 1)), expected);
    }
    let place = from_json::<Vec<u8>>("\n ä").unwrap_err().place();
    assert_eq!((place.line, place.column, place.byte), (2, 2, 2));
}

#[test]
fn what_is_shown_of_bad_text_is_short_and_without_control_characters() {
    let long = error::<u8>(&format!("\"{}\"", "x".repeat(1_000)));
    assert!(long.len() < 150, "{long}");
    let field = error::<Named>(&format!("{{\"{}\":1}}", "x".repeat(1_000)));
    assert!(field.len() < 250, "{field}");
    assert!(!error::<u8>("\"\u{1b}[2J\"").contains('\u{1b}'));
    assert!(!error::<Unit>("{\"\\u001b[2J\":1}").contains('\u{1b}'));
}

#[test]
fn keys_come_in_any_order_with_the_class_last() {
    let shape =
        from_json::<Shape>(r#"{"1":{"radiusInMm":1,"_class":"Circle"},"0":{"_class":"Empty"},"_class":"Pair"}"#);
    let circle = Box::new(Shape::Circle { radius_in_mm: 1 });
    assert_eq!(shape.unwrap(), Shape::Pair(Box::new(Shape::Empty), Some(circle)));
    assert_eq!(
        from_json::<Named>(r#" { "text" : "" , "number" : 0 , "_class" : "Named" } "#).unwrap(),
        Named::default()
    );
}

#[test]
fn unknown_fields_are_passed_over_in_messages_from_a_network() {
    let text = r#"{"_class":"Pair","new":[{"x":"]"},1e5,true,null],"0":{"_class":"Empty","more":{}},"1":null}"#;
    assert!(error::<Shape>(text).contains("expected a field of class Pair (0, 1), found \"new\""));
    let network = |text: &str| Shape::read(&mut Reader::new(text).with_unknown(Unknown::Ignore));
    assert_eq!(network(text).unwrap(), Shape::Pair(Box::new(Shape::Empty), None));
    // What is passed over must still be JSON, and what is known must still be right.
    assert!(network(&text.replace("1e5", "1e")).is_err());
    assert!(network(&text.replace("\"1\":null", "\"1\":2")).is_err());
}

#[test]
fn nesting_and_sizes_are_limited() {
    let deep = |levels: usize| {
        format!("{}null{}", r#"{"_class":"Pair","0":{"_class":"Empty"},"1":"#.repeat(levels), "}".repeat(levels))
    };
    assert!(from_json::<Shape>(&deep(127)).is_ok());
    let error = from_json::<Shape>(&deep(128)).unwrap_err();
    assert!(error.reason().ends_with("expected at most 128 levels of nesting, found more"), "{error}");
    // Passed over, a value has the same limits; no depth overflows the stack.
    let skipped = format!(r#"{{"_class":"Unit","x":{}"#, "[".repeat(1_000_000));
    let error = Unit::read(&mut Reader::new(&skipped).with_unknown(Unknown::Ignore)).unwrap_err();
    assert!(error.reason().contains("at most 128 levels"), "{error}");
    let small = ReadLimits { depth: 2, number: 3, string: 4 };
    let limited = |text: &str| {
        Vec::<Vec<String>>::read(&mut Reader::new(text).with_limits(small)).map_err(|error| error.to_string())
    };
    assert!(limited(r#"[["four"]]"#).is_ok());
    assert_eq!(
        limited(r#"[["fives"]]"#).unwrap_err(),
        "[0][0]: expected at most 4 bytes in a string, found more (line 1, column 9)"
    );
    let number = u64::read(&mut Reader::new("1000").with_limits(small)).unwrap_err();
    assert_eq!(number.to_string(), "expected at most 3 bytes in a number, found more (line 1, column 1)");
}

#[test]
fn an_object_deeper_than_can_be_read_back_is_refused_on_writing() {
    let shape = |levels| {
        (1..levels).fold(Shape::Pair(Box::new(Shape::Empty), None), |inner, _| Shape::Pair(Box::new(inner), None))
    };
    let written = to_json(&shape(127)).unwrap();
    assert_eq!(from_json::<Shape>(&written).unwrap(), shape(127));
    assert_eq!(to_json(&shape(128)).unwrap_err().problem(), &WriteError::TooDeep { limit: 128 });
}

#[test]
fn every_beginning_of_a_document_is_an_error() {
    for (end, _) in TREE.char_indices() {
        assert!(from_json::<Tree>(&TREE[..end]).is_err(), "{}", &TREE[..end]);
    }
}

#[test]
fn a_secret_is_written_but_not_shown() {
    let secret = Both { a: Secret::new("hunter2".to_owned()), b: 1 };
    assert_eq!(to_json(&secret).unwrap(), r#"{"_class":"Both","a":"hunter2","b":1}"#);
    assert_eq!(format!("{secret:?}"), "Both { a: Secret(…), b: 1 }");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,8}", "!?x?[0-9a-f]{0,4}", any::<String>()]
}

fn shape() -> impl Strategy<Value = Shape> {
    let color = prop_oneof![Just(Color::Red), Just(Color::DarkBlue), Just(Color::Grey)];
    let leaf = prop_oneof![
        Just(Shape::Empty),
        any::<u64>().prop_map(|radius_in_mm| Shape::Circle { radius_in_mm }),
        (any::<i64>(), text()).prop_map(|(number, text)| Shape::Label(Named { number, text })),
        color.prop_map(|color| Shape::WithColor { color }),
    ];
    leaf.prop_recursive(4, 8, 2, |inner| {
        (inner.clone(), prop::option::of(inner)).prop_map(|(a, b)| Shape::Pair(Box::new(a), b.map(Box::new)))
    })
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let finite = any::<f64>().prop_filter("only these have a text", |number| number.is_finite());
    let maps = (
        prop::collection::btree_map(text(), (any::<u128>(), any::<Option<i8>>()), 0..4),
        prop::collection::btree_map(text(), finite, 0..4),
    );
    (prop::collection::vec(shape(), 0..3), maps, any::<Vec<u8>>(), any::<[u8; 4]>(), any::<[[i16; 2]; 2]>(), text())
        .prop_map(|(some_shapes, (by_name, accounts), raw, digest, grid, text)| Tree {
            some_shapes,
            by_name: by_name.into_iter().map(|(key, (a, b))| (key, Both { a, b })).collect(),
            accounts: accounts.into_iter().map(|(key, value)| (Id::new(key), Meters(value))).collect(),
            digest,
            grid,
            tuple: (raw.len() % 2 == 0, (), text),
            r#type: (raw.len() > 3).then_some(Color::Grey),
            raw,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_json_and_comes_back(tree in any_tree()) {
        let text = to_json(&tree).unwrap();
        let back = from_json::<Tree>(&text).unwrap();
        prop_assert_eq!(to_json(&back).unwrap(), text.clone(), "bit for bit, -0.0 too");
        prop_assert_eq!(&back, &tree);
        // Another reader agrees, also about the strings, and a text of its own making is read alike.
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let spaced = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(from_json::<Tree>(&spaced).unwrap(), tree);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,60}") {
        let _ = from_json::<Tree>(&text);
        let _ = Shape::read(&mut Reader::new(&text).with_unknown(Unknown::Ignore));
    }

    #[test]
    fn no_mutation_of_a_document_makes_the_reader_panic(
        tree in any_tree(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
        noise in "[\\[\\]{}\",:!xu\\\\0-9eE.+-tfn ]{0,3}|\\PC{0,2}",
    ) {
        let mut text: Vec<char> = to_json(&tree).unwrap().chars().collect();
        for (from, length) in cuts {
            let from = from.index(text.len());
            let to = (from + length.index(6)).min(text.len());
            text.splice(from..to, noise.chars());
            if text.is_empty() {
                break;
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(read) = from_json::<Tree>(&text) {
            // Accepted as it is: then it is JSON for others as well, and has an exact text of its own.
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            prop_assert_eq!(from_json::<Tree>(&to_json(&read).unwrap()).unwrap(), read);
        }
        let _ = Shape::read(&mut Reader::new(&text).with_unknown(Unknown::Ignore));
    }
}
