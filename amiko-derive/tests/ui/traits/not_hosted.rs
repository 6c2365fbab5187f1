// A message to a class that the node doesn't host.
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

    fn handle(&mut self, _: ItemMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let guest = Id::<Guest>::new("guest");
        cx.send(&guest, 7);
        cx.create(&guest, Guest { value: 7 });
        cx.get(&guest);
        Ok(())
    }
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Guest {
    value: u64,
}

impl StateMachine for Guest {
    type Node = Root;
    type Message = u64;

    fn handle(&mut self, _: u64, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[derive(Clone, Serializable)]
#[amiko(key = u64)]
struct Other {
    value: u64,
}

impl StateMachine for Other {
    type Node = Root;
    type Message = u64;

    fn handle(&mut self, _: u64, _: &mut Context<'_, Self>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Root {
    #[amiko(machines)]
    others: Table<Other>,
    #[amiko(machines)]
    items: Table<Item>,
}

fn main() {}
