// In a table of machines, and as a node, without a handler.
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

#[derive(Clone, Default, Serializable, Node)]
struct Root {
    #[amiko(machines)]
    items: Table<Item>,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(machine)]
struct Other {
    value: u64,
}

fn main() {}
