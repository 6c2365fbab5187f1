//! Timers and whose they are: no kind, key or name makes one owner's look like another's.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::Memory;

#[derive(Clone, Serializable)]
enum Say {
    Set { names: Vec<String>, at: u64 },
    Cancel { name: String },
    Fire { name: String },
}

#[derive(Clone, Serializable)]
enum Order {
    Remove { slashed: String },
}

/// Machines that differ in their kinds, and do what they are told.
macro_rules! machine {
    ($class:ident, $kind:literal) => {
        #[derive(Clone, Default, Serializable)]
        #[amiko(key = String, kind = $kind)]
        struct $class {
            fired: Vec<String>,
        }

        impl StateMachine for $class {
            type Node = Owners;
            type Message = Say;

            fn handle(&mut self, say: Say, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
                match say {
                    Say::Set { names, at } => names
                        .into_iter()
                        .for_each(|name| cx.timer(&name, Time::from_secs(at), Say::Fire { name: name.clone() })),
                    Say::Cancel { name } => cx.cancel(&name),
                    Say::Fire { name } => self.fired.push(name),
                }
                Ok(())
            }
        }
    };
}

machine!(Slashed, "a/b");
machine!(Escaped, "a~1b");
machine!(Plain, "a");
machine!(Tilde, "a~");

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Owners {
    #[amiko(machines)]
    slashed: Table<Slashed>,
    #[amiko(machines)]
    escaped: Table<Escaped>,
    #[amiko(machines)]
    plain: Table<Plain>,
    #[amiko(machines)]
    tilde: Table<Tilde>,
}

impl StateMachine for Owners {
    type Node = Self;
    type Message = Order;

    fn handle(&mut self, Order::Remove { slashed }: Order, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        cx.remove::<Slashed>(&Id::new(slashed));
        Ok(())
    }
}

const KEYS: [&str; 7] = ["", "b", "b/c", "c", "/", "~1", "!x"];

fn names() -> Vec<String> {
    let short = ["", "/", "n", "c/n", "/n", "~", "~1", "\0", "\n\u{7f}", "\"\\", "!x00", "\u{1F980}"];
    short.into_iter().map(str::to_owned).chain(["x/".repeat(2_000)]).collect()
}

/// Owners of each kind under each key, each with a timer of each name.
fn with_timers() -> Engine<Owners, Memory> {
    fn all<T: amiko_core::Object<Key = String> + Default>() -> Table<T> {
        KEYS.map(|key| (Id::new(key), T::default())).into_iter().collect()
    }
    let first = || Owners { slashed: all(), escaped: all(), plain: all(), tilde: all() };
    let mut engine = Engine::open_with(Memory::new(), Settings::default(), first).unwrap();
    let now = Time::from_secs(1);
    for key in KEYS {
        let set = || Say::Set { names: names(), at: 5 };
        engine.send(&Id::<Slashed>::new(key), set(), now).unwrap();
        engine.send(&Id::<Escaped>::new(key), set(), now).unwrap();
        engine.send(&Id::<Plain>::new(key), set(), now).unwrap();
        engine.send(&Id::<Tilde>::new(key), set(), now).unwrap();
    }
    engine
}

/// What fired at each owner of a kind, in order of the keys.
macro_rules! fired {
    ($engine:expr, $table:ident) => {
        $engine.node().$table.iter().map(|(_, owner)| owner.fired.len()).collect::<Vec<_>>()
    };
}

#[test]
fn timers_of_different_owners_are_different_whatever_their_kinds_keys_and_names() {
    let mut engine = with_timers();
    assert_eq!(engine.timers().count(), 4 * KEYS.len() * names().len());
    engine.sync().unwrap();
    let mut engine = Engine::<Owners, _>::open(engine.into_store().crash(), Settings::default()).unwrap();
    engine.tick(Time::from_secs(9)).unwrap();
    let once_each = vec![names().len(); KEYS.len()];
    assert_eq!(fired!(engine, slashed), once_each);
    assert_eq!(fired!(engine, escaped), once_each);
    assert_eq!(fired!(engine, plain), once_each);
    assert_eq!(fired!(engine, tilde), once_each);
}

#[test]
fn an_owner_that_is_removed_takes_its_own_timers_with_it_and_no_others() {
    for key in KEYS {
        let mut engine = with_timers();
        let before = engine.timers().count();
        engine.send(&Id::<Owners>::new(()), Order::Remove { slashed: key.into() }, Time::from_secs(1)).unwrap();
        assert_eq!(engine.timers().count(), before - names().len(), "{key:?}");
        engine.tick(Time::from_secs(9)).unwrap();
        assert_eq!(fired!(engine, slashed), vec![names().len(); KEYS.len() - 1], "{key:?}");
        assert_eq!(fired!(engine, plain), vec![names().len(); KEYS.len()], "{key:?}");
    }
}

#[test]
fn a_timer_of_any_name_is_cancelled_by_that_name_alone() {
    for name in names() {
        let mut engine = with_timers();
        let before = engine.timers().count();
        let cancel = || Say::Cancel { name: name.clone() };
        engine.send(&Id::<Slashed>::new("c"), cancel(), Time::from_secs(1)).unwrap();
        engine.send(&Id::<Slashed>::new("c"), cancel(), Time::from_secs(1)).unwrap();
        assert_eq!(engine.timers().count(), before - 1, "{name:?}");
        engine.tick(Time::from_secs(9)).unwrap();
        let fired = &engine.node().slashed.get(&Id::new("c")).unwrap().fired;
        assert!(fired.len() == names().len() - 1 && !fired.contains(&name), "{name:?}");
    }
}

#[test]
fn the_key_of_a_timer_is_kind_key_and_name_as_the_format_says() -> Result<(), EventError> {
    let first =
        || Owners { slashed: [(Id::new("c/d"), Slashed::default())].into_iter().collect(), ..Owners::default() };
    let mut engine = Engine::open_with(Memory::new(), Settings::default(), first).unwrap();
    engine.send(&Id::<Slashed>::new("c/d"), Say::Set { names: vec!["n/~".into()], at: 5 }, Time::from_secs(1))?;
    let ids: Vec<_> = engine.timers().map(|(id, _)| id.key().clone()).collect();
    assert_eq!(ids, ["a~1b/c~1d/n/~"]);
    Ok(())
}
