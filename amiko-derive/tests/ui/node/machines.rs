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
struct Root {
    // Not a table.
    #[amiko(machines)]
    map: Map<String, Item>,
    // A table without the attribute.
    items: Table<Item>,
}

fn main() {}
