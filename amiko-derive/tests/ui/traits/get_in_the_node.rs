// The node reads through `self`: its own handler has it borrowed.
use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Item {
    value: u64,
}

#[derive(Clone, Serializable)]
enum ItemMessage {
    Add { amount: u64 },
}

impl StateMachine for Item {
    type Node = Root;
    type Message = ItemMessage;

    fn handle(&mut self, _: ItemMessage, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Root {
    #[amiko(machines)]
    items: Table<Item>,
}

impl StateMachine for Root {
    type Node = Self;
    type Message = ItemMessage;

    fn handle(&mut self, _: ItemMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        cx.get(&Id::<Item>::new("one"));
        Ok(())
    }
}

fn main() {}
