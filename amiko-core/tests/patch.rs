//! Differences: what leads from one version of a value to another, as JSON Patch that others understand as well.

// Helpers of tests fail like tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use amiko_core::prelude::*;
use amiko_core::{Patch, Reader, apply_patch};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Serializable)]
#[amiko(key = String)]
struct Account {
    balance: u64,
    #[amiko(rename = "a/b~c")]
    odd: Option<Box<Account>>,
    holds: Map<u8, u64>,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
enum State {
    Idle,
    Waiting {
        since: u64,
        by: Option<Mode>,
    },
    Failed(String, Vec<u8>),
    #[amiko(transparent)]
    Inner(Account),
}

#[derive(Debug, Clone, Copy, PartialEq, Serializable)]
enum Mode {
    Fast,
    Slow,
}

#[derive(Debug, Clone, PartialEq, Serializable)]
struct World {
    accounts: BTreeMap<String, Account>,
    shared: Map<Id<Account>, Arc<Account>>,
    state: State,
    list: Vec<Option<State>>,
    pair: (u8, String),
    grid: [i8; 3],
    number: f64,
    #[amiko(skip)]
    cache: u64,
}

fn patch<T: Serializable>(old: &T, new: &T) -> Patch {
    let mut patch = Patch::new();
    new.difference(old, &mut patch).unwrap();
    patch
}

fn account() -> Account {
    Account { balance: 1, odd: None, holds: Map::from_iter([(1, 1)]) }
}

fn world() -> World {
    World {
        accounts: ["alice", "a/b~c", "~1", ""].map(|name| (name.to_owned(), account())).into(),
        shared: Map::from_iter([(Id::new("!x"), Arc::new(account()))]),
        state: State::Waiting { since: 1, by: None },
        list: vec![None, Some(State::Idle)],
        pair: (1, "one".into()),
        grid: [1, 2, 3],
        number: 0.0,
        cache: 0,
    }
}

/// What changed in the world is this one operation, and leads there.
fn one(change: impl FnOnce(&mut World), expected: &str) {
    let (mut old, mut new) = (world(), world());
    change(&mut new);
    let patch = patch(&old, &new);
    assert_eq!(patch.to_json(), format!("[{expected}]"));
    assert_eq!(patch.operations(), 1);
    apply_patch(&mut old, &mut Reader::new(&patch.to_json())).unwrap();
    assert_eq!(old, new);
}

fn named<'w>(world: &'w mut World, name: &str) -> &'w mut Account {
    world.accounts.get_mut(name).unwrap()
}

#[test]
fn one_changed_field_is_one_operation_at_its_path() {
    one(|world| named(world, "alice").balance = 7, r#"{"op":"replace","path":"/accounts/alice/balance","value":7}"#);
    one(|world| named(world, "a/b~c").balance = 7, r#"{"op":"replace","path":"/accounts/a~1b~0c/balance","value":7}"#);
    one(|world| named(world, "~1").balance = 7, r#"{"op":"replace","path":"/accounts/~01/balance","value":7}"#);
    one(|world| named(world, "").balance = 7, r#"{"op":"replace","path":"/accounts//balance","value":7}"#);
    one(
        |world| _ = named(world, "alice").holds.insert(1, 2),
        r#"{"op":"replace","path":"/accounts/alice/holds/1","value":2}"#,
    );
    one(
        |world| _ = named(world, "alice").holds.insert(2, 2),
        r#"{"op":"add","path":"/accounts/alice/holds/2","value":2}"#,
    );
    one(|world| _ = named(world, "alice").holds.remove(&1), r#"{"op":"remove","path":"/accounts/alice/holds/1"}"#);
    one(|world| drop(world.accounts.remove("a/b~c")), r#"{"op":"remove","path":"/accounts/a~1b~0c"}"#);
    one(
        |world| named(world, "alice").odd = Some(Box::new(Account { holds: Map::new(), ..account() })),
        r#"{"op":"replace","path":"/accounts/alice/a~1b~0c","value":{"_class":"Account","balance":1,"a/b~c":null,"holds":{}}}"#,
    );
    let shared = |world: &mut World| Arc::make_mut(world.shared.get_mut(&Id::new("!x")).unwrap()).balance = 3;
    one(shared, r#"{"op":"replace","path":"/shared/!!x/balance","value":3}"#);
    one(
        |world| world.state = State::Waiting { since: 2, by: None },
        r#"{"op":"replace","path":"/state/since","value":2}"#,
    );
    one(
        |world| world.state = State::Waiting { since: 1, by: Some(Mode::Slow) },
        r#"{"op":"replace","path":"/state/by","value":"Slow"}"#,
    );
    one(|world| world.state = State::Idle, r#"{"op":"replace","path":"/state","value":{"_class":"Idle"}}"#);
    one(|world| world.list[1] = None, r#"{"op":"replace","path":"/list/1","value":null}"#);
    one(|world| world.list.push(None), r#"{"op":"add","path":"/list/-","value":null}"#);
    one(|world| drop(world.list.pop()), r#"{"op":"replace","path":"/list","value":[null]}"#);
    one(|world| world.pair.1 = "two".into(), r#"{"op":"replace","path":"/pair","value":[1,"two"]}"#);
    one(|world| world.grid[2] = 0, r#"{"op":"replace","path":"/grid/2","value":0}"#);
    one(|world| world.number = -0.0, r#"{"op":"replace","path":"/number","value":-0.0}"#);
}

#[test]
fn what_is_the_same_or_not_written_is_no_operation() {
    assert_eq!(patch(&world(), &world()).to_json(), "[]");
    assert_eq!(patch(&world(), &World { cache: 9, ..world() }).operations(), 0);
    // Copies that share nothing are compared by what is in them.
    let copied = from_json::<World>(&to_json(&world()).unwrap()).unwrap();
    assert_eq!(patch(&world(), &copied).operations(), 0);
}

/// What is said to be the same has no difference.
fn same_is_no_difference<T: Serializable>(old: &T, new: &T) {
    if new.same(old) {
        assert_eq!(patch(old, new).to_json(), "[]");
        assert_eq!(to_json(old), to_json(new));
    }
}

/// Two values of one type, which are often equal.
fn two<T: Clone + std::fmt::Debug>(values: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = (T, T)> {
    let equal = values.clone().prop_map(|value| (value.clone(), value));
    prop_oneof![equal, (values.clone(), values)]
}

macro_rules! same {
    ($($name:ident: $values:expr;)*) => {
        proptest! {
            $(#[test]
            fn $name((old, new) in two($values)) {
                same_is_no_difference(&old, &new);
                same_is_no_difference(&Some(old.clone()), &Some(new.clone()));
                same_is_no_difference(&None, &Some(new.clone()));
                same_is_no_difference(&Box::new(old.clone()), &Box::new(new.clone()));
                same_is_no_difference(&Secret::new(old.clone()), &Secret::new(new.clone()));
                same_is_no_difference(&vec![old.clone(), new.clone()], &vec![new.clone(), old.clone()]);
                same_is_no_difference(&[old.clone(), new.clone()], &[new.clone(), old.clone()]);
                let shared = Arc::new(old.clone());
                same_is_no_difference(&shared, &Arc::clone(&shared));
                same_is_no_difference(&shared, &Arc::new(new.clone()));
                let map = Map::from_iter([(1_u8, old), (2, new.clone())]);
                let mut changed = map.clone();
                same_is_no_difference(&map, &changed);
                changed.insert(1, new);
                same_is_no_difference(&map, &changed);
            })*
        }
    };
}

same! {
    the_same_integer: any::<i64>();
    the_same_byte: any::<u8>();
    the_same_large_integer: any::<u128>();
    the_same_boolean: any::<bool>();
    the_same_number: prop_oneof![Just(0.0), Just(-0.0), any::<f64>().prop_filter("is written", |number| number.is_finite())];
    the_same_text: "[ab!]{0,2}";
    the_same_character: any::<char>();
    the_same_bytes: prop::collection::vec(any::<u8>(), 0..3);
    the_same_time: any::<u64>().prop_map(Time::from_millis);
    the_same_address: any::<std::net::IpAddr>();
    the_same_id: "[ab!]{0,2}".prop_map(|key| Id::<Account>::new(key.as_str()));
    the_same_number_but_zero: (1..3_u64).prop_filter_map("isn't 0", std::num::NonZeroU64::new);
    the_same_entries: prop::collection::btree_map("[ab]", 0..2_u8, 0..3);
    the_same_pair: (0..2_u8, "[ab]");
    the_same_class: any_account().boxed();
    the_same_variant: any_state().boxed();
}

#[test]
fn nothing_is_the_same_as_nothing() {
    assert!(().same(&()) && None::<u64>.same(&None));
    // `Some` of what is written as `null` is refused, not skipped.
    assert!(!Some(()).same(&Some(())));
    let mode = Mode::Fast;
    same_is_no_difference(&mode, &mode);
}

#[test]
fn a_patch_that_doesnt_fit_is_an_error_that_names_the_path() {
    let cases = [
        (
            r#"[{"op":"replace","path":"/accounts/eve/balance","value":1}]"#,
            "/accounts/eve/balance: expected a path that exists, found nothing at \"eve\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"/accounts/alice/pin","value":1}]"#,
            "/accounts/alice/pin: expected a path that exists, found nothing at \"pin\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"/accounts/alice/balance/x","value":1}]"#,
            "/accounts/alice/balance/x: expected a path that exists, found nothing at \"x\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"/state/by/x","value":1}]"#,
            "/state/by/x: expected a path that exists, found nothing at \"x\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"/state/0","value":1}]"#,
            "/state/0: expected a path that exists, found nothing at \"0\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"remove","path":"/accounts/eve"}]"#,
            "/accounts/eve: expected a path that exists, found nothing at \"eve\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"remove","path":"/accounts/alice/holds/9"}]"#,
            "/accounts/alice/holds/9: expected a path that exists, found nothing at \"9\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"remove","path":"/accounts/alice/holds/01"}]"#,
            "/accounts/alice/holds/01: expected a path that exists, found nothing at \"01\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"remove","path":"/state"}]"#,
            "/state: expected an entry of a map, a table or an array to remove, found a field (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"/list/2","value":null}]"#,
            "/list/2: expected a path that exists, found nothing at \"2\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"add","path":"/list/01","value":null}]"#,
            "/list/01: expected a path that exists, found nothing at \"01\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"add","path":"/list/3","value":null}]"#,
            "/list/3: expected a path that exists, found nothing at \"3\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"/cache","value":1}]"#,
            "/cache: expected a path that exists, found nothing at \"cache\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"number","value":1}]"#,
            "expected a path that begins with \"/\" (line 1, column 2)",
        ),
        (
            r#"[{"op":"move","path":"/number","from":"/pair"}]"#,
            "expected the operation add, replace or remove (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","value":1,"path":"/number"}]"#,
            "expected \"path\": an operation has \"op\", \"path\" and \"value\" in this order, found 1 (line 1, column 26)",
        ),
        (
            r#"[{"path":"/number","op":"replace","value":1}]"#,
            "expected \"op\": an operation has \"op\", \"path\" and \"value\" in this order, found \"/number\" (line 1, column 10)",
        ),
        (
            r#"[{"op":"replace","path":"/number"}]"#,
            "expected an operation with \"op\", \"path\" and \"value\" in this order, found an object (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"/number","value":1,"more":1}]"#,
            "expected an operation with nothing after its value, found an object (line 1, column 2)",
        ),
        (
            r#"[{"op":"replace","path":"/accounts/alice","value":{"_class":"Account","balance":"x"}}]"#,
            "/accounts/alice.balance: expected an unsigned integer of 64 bits, found \"x\" (line 1, column 81)",
        ),
    ];
    for (text, expected) in cases {
        let error = apply_patch(&mut world(), &mut Reader::new(text)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    assert!(apply_patch(&mut world(), &mut Reader::new("{}")).is_err());
}

#[test]
fn operations_apply_one_after_the_other() {
    let mut world = world();
    let text = r#"[{"op":"add","path":"/accounts/bob","value":{"_class":"Account","balance":1,"holds":{}}},
        {"op":"replace","path":"/accounts/bob/balance","value":2},
        {"op":"add","path":"/list/0","value":{"_class":"Idle"}},
        {"op":"remove","path":"/list/1"}]"#;
    apply_patch(&mut world, &mut Reader::new(text)).unwrap();
    assert_eq!(named(&mut world, "bob").balance, 2);
    assert_eq!(world.list, [Some(State::Idle), Some(State::Idle)]);
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[ab/~01!x-]{0,2}", "[a-c]"]
}

fn any_account() -> impl Strategy<Value = Account> {
    let holds = || prop::collection::btree_map(0..4u8, 0..3u64, 0..4).prop_map(|holds| holds.into_iter().collect());
    let leaf = (0..3u64, holds()).prop_map(|(balance, holds)| Account { balance, odd: None, holds });
    leaf.prop_recursive(2, 3, 1, move |inner| {
        (0..3u64, holds(), prop::option::of(inner.prop_map(Box::new))).prop_map(|(balance, holds, odd)| Account {
            balance,
            odd,
            holds,
        })
    })
}

fn any_state() -> impl Strategy<Value = State> {
    let mode = prop_oneof![Just(Mode::Fast), Just(Mode::Slow)];
    prop_oneof![
        Just(State::Idle),
        (0..2u64, prop::option::of(mode)).prop_map(|(since, by)| State::Waiting { since, by }),
        (key(), prop::collection::vec(0..2u8, 0..2)).prop_map(|(text, bytes)| State::Failed(text, bytes)),
        any_account().prop_map(State::Inner),
    ]
}

fn any_world() -> impl Strategy<Value = World> {
    let accounts = prop::collection::btree_map(key(), any_account(), 0..4);
    let shared = prop::collection::btree_map(key(), any_account(), 0..4);
    let list = prop::collection::vec(prop::option::of(any_state()), 0..4);
    let number = prop_oneof![Just(0.0), Just(-0.0), Just(1e300), Just(0.1)];
    (accounts, shared, any_state(), list, (0..2u8, key()), prop::array::uniform3(0..2i8), number).prop_map(
        |(accounts, shared, state, list, pair, grid, number)| World {
            accounts,
            shared: shared.into_iter().map(|(key, account)| (Id::new(key), Arc::new(account))).collect(),
            state,
            list,
            pair,
            grid,
            number,
            cache: 0,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_difference_leads_from_any_value_to_any_other(old in any_world(), new in any_world()) {
        let (before, after) = (to_json(&old).unwrap(), to_json(&new).unwrap());
        let patch = patch(&old, &new);
        prop_assert_eq!(patch.operations() == 0, before == after);

        let mut ours = old;
        apply_patch(&mut ours, &mut Reader::new(&patch.to_json())).unwrap();
        prop_assert_eq!(to_json(&ours).unwrap(), after.clone(), "byte for byte");

        // As RFC 6902 is understood elsewhere.
        let mut theirs: serde_json::Value = serde_json::from_str(&before).unwrap();
        let operations: json_patch::Patch = serde_json::from_str(&patch.to_json()).unwrap();
        prop_assert_eq!(operations.0.len(), patch.operations());
        json_patch::patch(&mut theirs, &operations).unwrap();
        prop_assert_eq!(theirs, serde_json::from_str::<serde_json::Value>(&after).unwrap());
    }

    #[test]
    fn no_patch_makes_the_value_panic(world in any_world(), path in "(/(accounts|list|state|grid|pair|-|0|1|[ab~/]{0,2})){0,4}", op in "add|replace|remove", value in "null|0|\"a\"|\\{\\}|\\[\\]") {
        let value = if op == "remove" { String::new() } else { format!(r#","value":{value}"#) };
        let text = format!(r#"[{{"op":"{op}","path":"{path}"{value}}}]"#);
        let mut changed = world;
        if apply_patch(&mut changed, &mut Reader::new(&text)).is_ok() {
            prop_assert_eq!(from_json::<World>(&to_json(&changed).unwrap()).unwrap(), changed);
        }
    }
}
