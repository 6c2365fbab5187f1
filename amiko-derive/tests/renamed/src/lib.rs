//! What the derives write, where there is no crate `amiko_core`: `#[amiko(crate = path)]` says where the library is.

#![cfg(test)]

use states::prelude::*;
use states::serializable::{UnknownFields, schema};

#[derive(Clone, Debug, PartialEq, Serializable)]
#[amiko(crate = states, key = u64, version = 2, migrate = lift, unknown = "keep", implements(Shape))]
struct Item {
    #[amiko(strong)]
    next: Option<Id<Item>>,
    #[amiko(default)]
    list: Vec<u64>,
    rest: UnknownFields,
}

fn lift(_: u32, _: &mut states::serializable::Json) -> Result<(), String> {
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Serializable)]
#[amiko(crate = states)]
enum Message<T> {
    Take {
        all: T,
    },
    Give(u64),
    #[amiko(transparent)]
    Item(Item),
}

#[derive(Clone, Copy, Debug, PartialEq, Serializable, Phases)]
#[amiko(crate = states)]
enum Phase {
    #[amiko(next(Closed))]
    Open,
    Closed,
}

#[amiko(polymorphic, crate = states)]
trait Shape: Serializable {}

impl Shape for Item {}

impl StateMachine for Item {
    type Node = Root;
    type Message = Message<u64>;

    fn handle(&mut self, _: Message<u64>, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(crate = states, check = check)]
struct Root {
    #[amiko(machines)]
    items: Table<Item>,
    count: u64,
}

fn check(_: &Root, _: &RootUndo) -> Result<(), Rejection> {
    Ok(())
}

#[test]
fn the_library_is_found_under_another_name() {
    let item = Item { next: None, list: vec![1], rest: UnknownFields::default() };
    let text = r#"{"_class":"Item","_version":2,"next":null,"list":[1]}"#;
    assert_eq!(to_json(&item), Ok(text.into()));
    assert_eq!(from_json::<Message<u64>>(text), Ok(Message::Item(item)));
    assert_eq!(from_json::<Box<dyn Shape>>(text).map(|shape| to_json(&shape) == Ok(text.into())), Ok(true));
    assert_eq!(Phase::CHART.phases[Phase::INITIAL.place()].next, [Phase::Closed.place()]);
    let mut engine = Engine::<Root, _>::open(states::store::Memory::new(), Settings::default()).ok();
    let refused =
        engine.as_mut().map(|engine| engine.send(&Id::new(1_u64), Message::Give(1), Time::from_secs(1)).is_err());
    assert_eq!(refused, Some(true));
    assert!(schema::describe::<Root>().contains("class Item, version 2"));
}
