//! What a handler does to the tables of its node: all of it is undone and written, or the engine says that it can't be.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use amiko_core::Version;
use amiko_core::engine::EventError;
use amiko_core::prelude::*;
use amiko_core::store::Memory;
use std::cell::RefCell;
use std::mem;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Item {
    value: u64,
}

#[derive(Clone, Serializable)]
enum Act {
    /// Everything that a table is for.
    Change,
    Assign,
    CloneIt,
    Swap,
    Take,
    /// Taken out, and put back: it is the table that it was.
    TakeAndPutBack,
    /// The whole node becomes another one.
    Whole,
    /// The table of whatever engine did this before.
    Exchange,
    Own,
    Timer,
}

#[derive(Clone, Serializable)]
struct Say {
    act: Act,
    reject: bool,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Root {
    #[amiko(objects)]
    items: Table<Item>,
    /// A table that is a field like any other: nobody else undoes what happens in it.
    nested: Vec<Table<Item>>,
}

thread_local!(static ELSEWHERE: RefCell<Option<Table<Item>>> = const { RefCell::new(None) });

impl StateMachine for Root {
    type Node = Self;
    type Message = Say;

    fn handle(&mut self, Say { act, reject }: Say, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        match act {
            Act::Change => {
                self.items.insert(&Id::new("y"), Item { value: 2 });
                self.items.get_mut(&Id::new("x")).unwrap().value += 1;
                self.items.remove(&Id::new("z"));
            }
            Act::Assign => self.items = Table::new(),
            Act::CloneIt => self.items = self.items.clone(),
            Act::Swap => {
                let mut other = [(Id::new("x"), Item { value: 7 })].into_iter().collect();
                mem::swap(&mut self.items, &mut other);
                drop(other);
            }
            Act::Take => drop(mem::take(&mut self.items)),
            Act::TakeAndPutBack => {
                let mut items = mem::take(&mut self.items);
                items.get_mut(&Id::new("x")).unwrap().value += 1;
                self.items = items;
            }
            Act::Whole => *self = self.clone(),
            Act::Exchange => ELSEWHERE.with_borrow_mut(|elsewhere| {
                let mine = mem::take(&mut self.items);
                self.items = elsewhere.replace(mine).unwrap_or_default();
            }),
            Act::Own => {
                if self.nested.is_empty() {
                    self.nested.push(Table::new());
                }
                let number = self.nested[0].len().to_string();
                self.nested[0].insert(&Id::new(number), Item { value: 1 });
            }
            Act::Timer => cx.timer("t", Time::from_secs(9), Say { act: Act::Own, reject: false }),
        }
        if reject { Err(Rejection::new("the test said so")) } else { Ok(()) }
    }
}

fn engine() -> Engine<Root, Memory> {
    let items = || ["x", "z"].map(|key| (Id::new(key), Item { value: 1 })).into_iter().collect();
    Engine::open_with(Memory::new(), Settings::default(), || Root { items: items(), ..Root::default() }).unwrap()
}

fn tell(engine: &mut Engine<Root, Memory>, act: Act, reject: bool) -> Result<Version, EventError> {
    engine.send(&Id::<Root>::new(()), Say { act, reject }, Time::from_secs(1))
}

fn reopened(engine: Engine<Root, Memory>) -> Engine<Root, Memory> {
    Engine::open(engine.into_store().crash(), Settings::default()).unwrap()
}

#[test]
fn another_table_in_the_place_of_one_ends_the_engine_and_nothing_of_it_is_on_disk() {
    for act in [Act::Assign, Act::CloneIt, Act::Swap, Act::Take, Act::Whole] {
        for reject in [false, true] {
            let mut engine = engine();
            tell(&mut engine, Act::Change, false).unwrap();
            engine.sync().unwrap();
            let before = engine.document().unwrap();
            let outcome = tell(&mut engine, act.clone(), reject);
            assert!(matches!(outcome, Err(EventError::Poisoned { .. })), "{outcome:?}");
            assert!(engine.sync().is_err());
            assert_eq!(reopened(engine).document().unwrap(), before);
        }
    }
}

#[test]
fn the_table_of_another_engine_is_another_table() {
    let (mut one, mut other) = (engine(), engine());
    // The first one leaves its table, and is over; the second would take it for its own.
    assert!(matches!(tell(&mut one, Act::Exchange, false), Err(EventError::Poisoned { .. })));
    assert!(matches!(tell(&mut other, Act::Exchange, false), Err(EventError::Poisoned { .. })));
    assert_eq!(reopened(other).document().unwrap(), engine().document().unwrap());
}

#[test]
fn a_table_that_comes_back_to_its_place_is_undone_and_written_like_any_other() {
    for act in [Act::Change, Act::TakeAndPutBack] {
        let mut engine = engine();
        let before = engine.document().unwrap();
        tell(&mut engine, act.clone(), true).unwrap_err();
        assert_eq!(engine.document().unwrap(), before);
        tell(&mut engine, act, false).unwrap();
        engine.sync().unwrap();
        let after = engine.document().unwrap();
        assert_ne!(after, before);
        assert_eq!(reopened(engine).document().unwrap(), after);
    }
}

#[test]
fn a_table_inside_a_field_is_a_value_like_any_other() {
    let mut engine = engine();
    for _ in 0..3 {
        let before = engine.document().unwrap();
        tell(&mut engine, Act::Own, true).unwrap_err();
        assert_eq!(engine.document().unwrap(), before);
        tell(&mut engine, Act::Own, false).unwrap();
    }
    engine.sync().unwrap();
    let after = engine.document().unwrap();
    assert_eq!(reopened(engine).document().unwrap(), after);
}

#[test]
fn an_edit_that_is_refused_is_undone_also_when_it_is_the_first_event() {
    let mut engine = engine();
    tell(&mut engine, Act::Timer, false).unwrap();
    engine.sync().unwrap();
    let before = engine.document().unwrap();
    // No record is short enough.
    let mut limited = Settings::default();
    limited.limits.record = 10;
    let mut small = Engine::<Root, _>::open(engine.into_store().crash(), limited).unwrap();
    let edited = before.replace(r#""at":9000"#, r#""at":8000"#);
    small.edit(&edited, Time::from_secs(2), |_| true).unwrap_err();
    assert_eq!(small.document().unwrap(), before);
    assert_eq!(small.next_due(), Some(Time::from_secs(9)));
    assert_eq!(reopened(small).document().unwrap(), before);
}
