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

#[derive(Clone, Default, Serializable)]
struct Root {
    items: Table<Item>,
}

fn main() {
    let _ = Engine::<Root>::open(Directory::open("nowhere").unwrap(), Settings::default());
}
