//! `#[amiko(flatten)]`: the fields of one class in the object of another, in every way as if that one had them.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic)]

use amiko_core::prelude::*;
use amiko_core::serializable::{Json, Kept, Problem, Unknown, UnknownFields, apply, diff, schema, summary};
use amiko_core::store::Memory;
use amiko_core::{ReadError, Reader};
use proptest::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Serializable)]
#[amiko(rename_all = "camelCase", class = "Purse")]
pub struct Money {
    #[amiko(alias = "cash")]
    pub in_hand: u64,
    #[amiko(rename = "owed", default)]
    pub debts: Vec<u64>,
    #[amiko(skip)]
    looked_at: u64,
    note: Option<String>,
}

mod flat {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serializable)]
    pub struct Account {
        pub name: String,
        #[amiko(flatten)]
        pub money: Money,
        #[amiko(default = seven)]
        pub rank: u64,
    }
}

/// The same, declared in place.
mod plain {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serializable)]
    pub struct Account {
        pub name: String,
        #[amiko(rename = "inHand", alias = "cash")]
        pub in_hand: u64,
        #[amiko(rename = "owed", default)]
        pub debts: Vec<u64>,
        #[amiko(skip)]
        looked_at: u64,
        pub note: Option<String>,
        #[amiko(default = seven)]
        pub rank: u64,
    }

    impl From<flat::Account> for Account {
        fn from(flat::Account { name, money, rank }: flat::Account) -> Self {
            let Money { in_hand, debts, looked_at, note } = money;
            Self { name, in_hand, debts, looked_at, note, rank }
        }
    }
}

fn seven() -> u64 {
    7
}

fn account() -> flat::Account {
    let money = Money { in_hand: 5, debts: vec![1, 2], looked_at: 9, note: None };
    flat::Account { name: "ann".into(), money, rank: 3 }
}

const TEXT: &str = r#"{"_class":"Account","name":"ann","inHand":5,"owed":[1,2],"note":null,"rank":3}"#;

fn told<T>(outcome: Result<T, ReadError>) -> String {
    outcome.err().map(|error| format!("{error}; {:?}", error.class())).unwrap_or_default()
}

#[test]
fn the_fields_stand_where_the_field_stands_and_there_is_no_second_class() {
    assert_eq!(to_json(&account()).unwrap(), TEXT);
    let mut read = account();
    read.money.looked_at = 0;
    assert_eq!(from_json(TEXT), Ok(read));
}

#[test]
fn any_order_aliases_and_what_is_missing_are_read_as_in_place() {
    let texts = [
        r#"{"_class":"Account","rank":3,"note":"x","owed":[1],"inHand":5,"name":"ann"}"#,
        r#"{"cash":5,"name":"ann","_class":"Account"}"#,
        r#"{"_class":"Account","name":"ann","inHand":5}"#,
        r#"{ "_class" : "Account", "name" : "ann", "inHand" : 5 }"#,
    ];
    for text in texts {
        let (flat, plain) = (from_json::<flat::Account>(text).unwrap(), from_json::<plain::Account>(text).unwrap());
        assert_eq!(plain::Account::from(flat), plain);
    }
}

#[test]
fn errors_are_those_of_the_class_that_has_the_fields() {
    let texts = [
        r#"{"_class":"Account","name":"ann"}"#,
        r#"{"_class":"Account","name":"ann","inHand":"x"}"#,
        r#"{"_class":"Account","name":"ann","inHand":1,"owed":[1,-2]}"#,
        r#"{"_class":"Account","name":"ann","inHand":1,"inHand":2}"#,
        r#"{"_class":"Account","name":"ann","inHand":1,"cash":2}"#,
        r#"{"_class":"Account","cash":1,"inHand":2,"name":"ann"}"#,
        r#"{"_class":"Account","name":"ann","inHand":1,"money":{}}"#,
        r#"{"_class":"Account","name":"ann","inHand":1,"looked_at":2}"#,
        r#"{"_class":"Purse","name":"ann","inHand":1}"#,
        r#"{"name":"ann","inHand":1}"#,
    ];
    for text in texts {
        let (flat, plain) = (told(from_json::<flat::Account>(text)), told(from_json::<plain::Account>(text)));
        assert_eq!(flat, plain);
        assert_ne!(flat, "", "{text}");
    }
    let error = from_json::<flat::Account>(r#"{"_class":"Account","colour":1}"#).unwrap_err();
    let Problem::UnknownField { known, .. } = error.problem() else { panic!("{error}") };
    assert_eq!(*known, ["name", "inHand", "owed", "note", "rank"]);
}

#[test]
fn a_flattened_class_is_still_a_class() {
    let money = Money { in_hand: 1, ..Money::default() };
    let text = r#"{"_class":"Purse","inHand":1,"owed":[],"note":null}"#;
    assert_eq!(to_json(&money).unwrap(), text);
    assert_eq!(from_json(text), Ok(money));
}

#[test]
fn summary_weight_and_schema_have_no_second_class() {
    assert_eq!(
        summary(&account()),
        "Account\n  name: ann\n  inHand: 5\n  owed: 2\n    1\n    2\n  note: none\n  rank: 3"
    );
    let plain = plain::Account::from(account());
    assert_eq!(summary(&account()), summary(&plain));
    assert_eq!(account().weight(Kept::Alone), plain.weight(Kept::Alone));
    assert!(plain.weight(Kept::Alone) > 0);
    assert_eq!(schema::describe::<flat::Account>(), schema::describe::<plain::Account>());
    assert_eq!(schema::fingerprint::<flat::Account>(), schema::fingerprint::<plain::Account>());
    assert!(!schema::describe::<flat::Account>().contains("Purse"));
}

#[test]
fn a_new_field_of_the_inner_class_changes_the_schema_of_the_outer_one() {
    #[derive(Serializable)]
    struct Wider {
        #[amiko(flatten)]
        money: Money,
        more: u64,
    }
    #[derive(Serializable)]
    #[amiko(class = "Account")]
    struct Account {
        name: String,
        #[amiko(flatten)]
        money: Wider,
        #[amiko(default)]
        rank: u64,
    }
    let text = schema::describe::<Account>();
    assert_eq!(
        text,
        schema::describe::<flat::Account>().replace("  rank:", "  more: unsigned integer of 64 bits\n  rank:")
    );
}

#[test]
fn differences_point_at_the_fields() {
    let (old, mut new) = (account(), account());
    new.money.in_hand = 6;
    new.money.debts.push(3);
    new.rank = 4;
    let patch = diff(&old, &new).unwrap();
    let expected = r#"[{"op":"replace","path":"/inHand","value":6},{"op":"add","path":"/owed/-","value":3},{"op":"replace","path":"/rank","value":4}]"#;
    assert_eq!(patch, expected);
    assert_eq!(apply(&old, &patch), Ok(new));
    for path in ["/money/inHand", "/cash", "/looked_at", "/_class", "/inHand/x", "/owed/7", "/nothing"] {
        let patch = format!(r#"[{{"op":"replace","path":"{path}","value":1}}]"#);
        let plain = apply(&plain::Account::from(old.clone()), &patch);
        assert_eq!(told(apply(&old, &patch)), told(plain));
        assert!(apply(&old, &patch).is_err(), "{path}");
    }
}

#[test]
fn the_summary_of_each_class_is_its_own_choice() {
    #[derive(Serializable)]
    struct Inner {
        #[amiko(summary)]
        shown: u64,
        hidden: u64,
    }
    #[derive(Serializable)]
    struct All {
        own: u64,
        #[amiko(flatten)]
        inner: Inner,
    }
    #[derive(Serializable)]
    struct Chosen {
        #[amiko(summary)]
        own: u64,
        #[amiko(flatten)]
        inner: Inner,
    }
    #[derive(Serializable)]
    struct Both {
        own: u64,
        #[amiko(flatten, summary)]
        inner: Inner,
    }
    #[derive(Serializable)]
    struct Without {
        own: u64,
        #[amiko(flatten, skip_summary)]
        inner: Inner,
    }
    let inner = || Inner { shown: 1, hidden: 2 };
    assert_eq!(summary(&All { own: 3, inner: inner() }), "All\n  own: 3\n  shown: 1");
    assert_eq!(summary(&Chosen { own: 3, inner: inner() }), "Chosen\n  own: 3");
    assert_eq!(summary(&Both { own: 3, inner: inner() }), "Both\n  shown: 1");
    assert_eq!(summary(&Without { own: 3, inner: inner() }), "Without\n  own: 3");
}

mod deeper {
    use super::*;

    /// Around a type of another visibility.
    #[derive(Clone, Debug, PartialEq, Serializable)]
    struct Hidden {
        deep: u64,
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    pub struct Middle {
        before: u64,
        #[amiko(flatten)]
        hidden: Hidden,
        after: Vec<Self>,
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    pub struct Pair<A, B = u64, const N: usize = 1> {
        #[amiko(flatten)]
        first: A,
        second: B,
        numbers: [u64; N],
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    pub struct Outer {
        #[amiko(flatten)]
        middle: Middle,
        #[amiko(flatten)]
        pair: Pair<Money, String>,
        #[amiko(flatten)]
        nothing: Nothing,
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    pub struct Nothing {}

    pub fn outer() -> Outer {
        let middle = |after| Middle { before: 1, hidden: Hidden { deep: 2 }, after };
        let pair = Pair { first: Money::default(), second: "b".into(), numbers: [4] };
        Outer { middle: middle(vec![middle(vec![])]), pair, nothing: Nothing {} }
    }

    const TEXT: &str = r#"{"_class":"Outer","before":1,"deep":2,"after":[{"_class":"Middle","before":1,"deep":2,"after":[]}],"inHand":0,"owed":[],"note":null,"second":"b","numbers":[4]}"#;

    #[test]
    fn flattened_classes_flatten_others_and_take_parameters() {
        assert_eq!(to_json(&outer()).unwrap(), TEXT);
        assert_eq!(from_json(TEXT), Ok(outer()));
        let Json::Object(mut fields) = Json::parse(TEXT).unwrap() else { panic!() };
        fields.reverse();
        assert_eq!(from_json(&to_json(&Json::Object(fields)).unwrap()), Ok(outer()));
        let mut new = outer();
        new.middle.hidden.deep = 3;
        new.middle.after[0].hidden.deep = 4;
        new.pair.first.in_hand = 5;
        let patch = diff(&outer(), &new).unwrap();
        let expected = r#"[{"op":"replace","path":"/deep","value":3},{"op":"replace","path":"/after/0/deep","value":4},{"op":"replace","path":"/inHand","value":5}]"#;
        assert_eq!(patch, expected);
        assert_eq!(apply(&outer(), &patch), Ok(new));
        let error = from_json::<Outer>(r#"{"_class":"Outer","x":1}"#).unwrap_err().to_string();
        let known = "(before, deep, after, inHand, owed, note, second, numbers)";
        assert!(error.contains(known), "{error}");
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    enum Order {
        Pay {
            #[amiko(flatten)]
            money: Money,
            to: String,
        },
        Tuple(#[amiko(flatten)] Nothing, u64, #[amiko(flatten)] Hidden),
        None,
    }

    #[test]
    fn variants_and_tuples_take_fields_in_as_well() {
        let pay = Order::Pay { money: Money::default(), to: "bob".into() };
        let texts = [
            (pay.clone(), r#"{"_class":"Pay","inHand":0,"owed":[],"note":null,"to":"bob"}"#),
            (Order::Tuple(Nothing {}, 1, Hidden { deep: 2 }), r#"{"_class":"Tuple","1":1,"deep":2}"#),
            (Order::None, r#"{"_class":"None"}"#),
        ];
        for (order, text) in texts {
            assert_eq!(to_json(&order).unwrap(), text);
            assert_eq!(from_json(text), Ok(order));
        }
        let other = Order::Pay { money: Money { in_hand: 1, ..Money::default() }, to: "bob".into() };
        assert_eq!(diff(&pay, &other).unwrap(), r#"[{"op":"replace","path":"/inHand","value":1}]"#);
    }
}

mod unknown {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serializable)]
    #[amiko(unknown = "deny")]
    struct Inner {
        #[amiko(alias = "b")]
        a: u64,
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    #[amiko(unknown = "keep")]
    struct Keeps {
        #[amiko(flatten)]
        inner: Inner,
        rest: UnknownFields,
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    #[amiko(unknown = "ignore")]
    struct Ignores {
        #[amiko(flatten)]
        inner: Inner,
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    #[amiko(unknown = "deny")]
    struct Denies {
        #[amiko(flatten)]
        inner: Inner,
    }

    #[derive(Clone, Debug, PartialEq, Serializable)]
    struct Asks {
        #[amiko(flatten)]
        inner: Inner,
    }

    fn read<T: Serializable>(unknown: Unknown) -> Result<T, ReadError> {
        let class = std::any::type_name::<T>().rsplit("::").next().unwrap();
        T::read(&mut Reader::new(&format!(r#"{{"_class":"{class}","x":[1],"a":7,"y":2}}"#)).with_unknown(unknown))
    }

    #[test]
    fn what_becomes_of_other_fields_is_said_by_the_outer_class() {
        for unknown in [Unknown::Deny, Unknown::Ignore] {
            let kept = read::<Keeps>(unknown).unwrap();
            assert_eq!(to_json(&kept).unwrap(), r#"{"_class":"Keeps","a":7,"x":[1],"y":2}"#);
            assert_eq!(read::<Ignores>(unknown).unwrap().inner.a, 7);
            assert!(told(read::<Denies>(unknown)).contains(r#"expected a field of class Denies (a), found "x""#));
        }
        assert!(told(read::<Asks>(Unknown::Deny)).contains(r#"expected a field of class Asks (a), found "x""#));
        assert_eq!(read::<Asks>(Unknown::Ignore).unwrap().inner.a, 7);
    }

    #[test]
    fn what_is_kept_changes_beside_the_flattened_fields() {
        let old = read::<Keeps>(Unknown::Deny).unwrap();
        let patch = r#"[{"op":"replace","path":"/a","value":8},{"op":"add","path":"/x/-","value":2},{"op":"remove","path":"/y"}]"#;
        let new = apply(&old, patch).unwrap();
        assert_eq!(to_json(&new).unwrap(), r#"{"_class":"Keeps","a":8,"x":[1,2]}"#);
        assert_eq!(diff(&old, &new).unwrap().matches("\"op\"").count(), 3);
        // What is read as the field is no field of its own.
        assert!(apply(&old, r#"[{"op":"add","path":"/b","value":8}]"#).is_err());
    }
}

mod lifted {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Serializable)]
    #[amiko(version = 2, migrate = lift)]
    struct Account {
        #[amiko(flatten)]
        money: Money,
    }

    fn lift(_: u32, old: &mut Json) -> Result<(), String> {
        old.rename("amount", "inHand");
        Ok(())
    }

    #[test]
    fn the_outer_class_has_versions_and_lifts_the_fields() {
        let account: Account = from_json(r#"{"_class":"Account","amount":7}"#).unwrap();
        let text = to_json(&account).unwrap();
        assert_eq!(text, r#"{"_class":"Account","_version":2,"inHand":7,"owed":[],"note":null}"#);
        assert_eq!(from_json(&text), Ok(account));
    }
}

mod polymorphic {
    use super::*;

    #[amiko(polymorphic)]
    trait Thing: Serializable {}

    #[derive(Clone, Serializable)]
    #[amiko(implements(Thing))]
    struct Wallet {
        #[amiko(flatten)]
        money: Money,
        #[amiko(flatten)]
        lock: Lock,
    }

    #[derive(Clone, Debug, Serializable)]
    struct Lock {
        #[amiko(secret)]
        pin: Secret<u64>,
    }

    impl Thing for Wallet {}

    #[test]
    fn behind_a_trait_the_fields_are_flat_and_secrets_hidden() {
        let thing: Box<dyn Thing> =
            Box::new(Wallet { money: Money::default(), lock: Lock { pin: Secret::new(777_777) } });
        let text = r#"{"_class":"Wallet","inHand":0,"owed":[],"note":null,"pin":777777}"#;
        assert_eq!(to_json(&thing).unwrap(), text);
        let again: Box<dyn Thing> = from_json(text).unwrap();
        assert_eq!(to_json(&again).unwrap(), text);
        assert_eq!(format!("{thing:?}"), "Wallet\n  inHand: 0\n  owed: 0\n  note: none\n  pin: (secret)");
    }
}

mod node {
    use super::*;
    use amiko_core::engine::EventError;

    #[derive(Clone, Serializable)]
    #[amiko(key = String)]
    struct Owner {}

    #[derive(Clone, Default, Serializable)]
    struct Held {
        #[amiko(strong)]
        owner: Option<Id<Owner>>,
        number: u64,
    }

    #[derive(Clone, Serializable)]
    #[amiko(key = u64)]
    struct Ship {
        #[amiko(flatten)]
        held: Held,
    }

    #[derive(Clone, Default, Serializable, Node)]
    #[amiko(machine)]
    struct Harbour {
        name: String,
        #[amiko(flatten)]
        held: Held,
        #[amiko(objects)]
        owners: Table<Owner>,
        #[amiko(objects)]
        ships: Table<Ship>,
    }

    #[derive(Clone, Serializable)]
    enum Act {
        Hire { owner: String },
        Own { owner: String },
        Launch { owner: String },
        Fire { owner: String },
    }

    impl StateMachine for Harbour {
        type Node = Self;
        type Message = Act;

        fn handle(&mut self, act: Act, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
            match act {
                Act::Hire { owner } => drop(self.owners.insert(&Id::new(owner), Owner {})),
                Act::Own { owner } => self.held = Held { owner: Some(Id::new(owner)), number: self.held.number + 1 },
                Act::Launch { owner } => {
                    let held = Held { owner: Some(Id::new(owner)), number: 1 };
                    self.ships.insert(&Id::new(1), Ship { held });
                }
                Act::Fire { owner } => drop(self.owners.remove(&Id::new(owner))),
            }
            Ok(())
        }
    }

    fn act(harbour: &mut Engine<Harbour, Memory>, act: Act) -> Result<(), String> {
        harbour.send(&Id::new(()), act, Time::from_secs(1)).map(drop).map_err(|error| match error {
            EventError::Rejected(reason) => reason.to_string(),
            other => panic!("{other}"),
        })
    }

    #[test]
    fn own_fields_of_a_node_and_strong_references_are_seen() {
        let mut settings = Settings::default();
        settings.check_records = true;
        let mut harbour = Engine::<Harbour, _>::open(Memory::new(), settings).unwrap();
        let (ann, bob) = (|| "ann".to_owned(), || "bob".to_owned());
        let missing = Err("expected owner ann, to which node refers, found none".into());
        assert_eq!(act(&mut harbour, Act::Own { owner: ann() }), missing);
        let missing = Err("expected owner ann, to which ship 1 refers, found none".into());
        assert_eq!(act(&mut harbour, Act::Launch { owner: ann() }), missing);
        for owner in [ann(), bob()] {
            act(&mut harbour, Act::Hire { owner }).unwrap();
        }
        act(&mut harbour, Act::Own { owner: ann() }).unwrap();
        act(&mut harbour, Act::Own { owner: bob() }).unwrap();
        act(&mut harbour, Act::Launch { owner: ann() }).unwrap();
        assert!(act(&mut harbour, Act::Fire { owner: bob() }).is_err());
        assert!(act(&mut harbour, Act::Fire { owner: ann() }).is_err());
        assert_eq!(harbour.referrers(&Id::<Owner>::new("ann")).len(), 1);
        let record = harbour.history().nth(3).unwrap().record.clone();
        assert!(record.contains(r#"{"op":"replace","path":"/state/owner","value":"bob"}"#), "{record}");
        harbour.sync().unwrap();
        let document = harbour.document().unwrap();
        assert!(document.contains(r#""name":"","owner":"bob","number":2,"owners":{"#), "{document}");
        let again = Engine::<Harbour, _>::open(harbour.into_store().crash(), Settings::default()).unwrap();
        assert_eq!(again.document().unwrap(), document);
    }
}

#[test]
fn the_library_may_stand_elsewhere() {
    mod mine {
        pub use amiko_core as core;
    }
    #[derive(Serializable)]
    #[amiko(crate = mine::core)]
    struct Inner {
        a: u64,
    }
    #[derive(Serializable)]
    #[amiko(crate = mine::core)]
    struct Outer {
        #[amiko(flatten)]
        inner: Inner,
        b: u64,
    }
    let outer = Outer { inner: Inner { a: 1 }, b: 2 };
    assert_eq!(to_json(&outer).unwrap(), r#"{"_class":"Outer","a":1,"b":2}"#);
}

/// Some object's fields in any order, with and without some of them, and with others.
fn object() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec!["1", "[1]", "[]", "null", "\"a\""]);
    let good = r#""name":"ann" "inHand":5 "cash":5 "owed":[1] "note":null "rank":2 "_class":"Account""#;
    let good = prop::sample::select(good.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let names = vec!["_class", "_version", "name", "inHand", "cash", "owed", "note", "rank", "money", "x"];
    let any = (prop::sample::select(names), value).prop_map(|(name, value)| format!("\"{name}\":{value}"));
    let blank = prop_oneof![9 => Just(""), 1 => Just(" ")];
    let field = (blank, prop_oneof![9 => good, 1 => any]).prop_map(|(blank, field)| blank.to_owned() + &field);
    prop::collection::vec(field, 0..8).prop_map(|fields| {
        let begin = if fields.len() % 2 == 0 { "{" } else { r#"{"_class":"Account","name":"bob","inHand":1"# };
        let comma = if begin.len() > 1 && !fields.is_empty() { "," } else { "" };
        format!("{begin}{comma}{}}}", fields.join(","))
    })
}

proptest! {
    #[test]
    fn nothing_tells_a_flattened_class_from_one_that_has_the_fields(one in object(), other in object()) {
        let read = |text: &str| {
            let (flat, plain) = (from_json::<flat::Account>(text), from_json::<plain::Account>(text));
            prop_assert_eq!(flat.as_ref().err().map(ToString::to_string), plain.as_ref().err().map(ToString::to_string));
            if let (Ok(flat), Ok(plain)) = (&flat, &plain) {
                prop_assert_eq!(to_json(flat).unwrap(), to_json(plain).unwrap());
            }
            Ok(flat.ok().zip(plain.ok()))
        };
        if let (Some(old), Some(new)) = (read(&one)?, read(&other)?) {
            let patch = diff(&old.0, &new.0).unwrap();
            prop_assert_eq!(&patch, &diff(&old.1, &new.1).unwrap());
            prop_assert_eq!(to_json(&apply(&old.0, &patch).unwrap()), to_json(&new.0));
        }
    }
}
