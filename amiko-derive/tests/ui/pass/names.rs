//! What the derives write means the same whatever names its surroundings have.

#![allow(dead_code, non_camel_case_types)]

use amiko_core::{Node, Serializable, StateMachine};

type Option = ();
type Result = ();
type Vec = ();
type String = ();
struct Some;
struct None;
struct Ok;
struct Err;
mod core {}
mod std {}
mod amiko_derive {}

#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Item {
    out: u8,
    input: u8,
    patch: u8,
    old: u8,
    class: u8,
    key: u8,
    segment: u8,
    rest: u8,
    change: u8,
    pointer: u8,
    field_0: u8,
    r#type: u8,
}

#[derive(Clone, Serializable)]
enum ItemMessage {
    Self_ { value: u8 },
    Ok(u8),
    None,
}

impl StateMachine for Item {
    type Node = Root;
    type Message = ItemMessage;

    fn handle(
        &mut self,
        _: ItemMessage,
        _: &mut amiko_core::Context<'_, Self>,
    ) -> ::std::result::Result<(), amiko_core::Rejection> {
        ::std::result::Result::Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Root {
    #[amiko(machines)]
    undo: amiko_core::Table<Item>,
}

fn main() {}
