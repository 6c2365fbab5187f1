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

#[derive(Clone, Serializable)]
enum OtherMessage {
    Add { amount: u64 },
}

impl StateMachine for Item {
    type Node = Root;
    type Message = ItemMessage;

    fn handle(&mut self, _: ItemMessage, cx: &mut Context<'_, Self>) -> Result<(), Rejection> {
        let other: Id<Item> = Id::new("other");
        cx.send(&other, OtherMessage::Add { amount: 1 });
        cx.timer("later", cx.now(), OtherMessage::Add { amount: 1 });
        Ok(())
    }
}

#[derive(Clone, Default, Serializable, Node)]
struct Root {
    #[amiko(machines)]
    items: Table<Item>,
}

fn main() {}
