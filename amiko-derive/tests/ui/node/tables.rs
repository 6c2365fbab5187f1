use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Item {
    value: u64,
}

#[derive(Clone, Default, Serializable, Node)]
struct Root {
    // A table that says nothing.
    first: Table<Item>,
    // What is no table.
    #[amiko(machines)]
    map: Map<String, Item>,
    #[amiko(objects)]
    list: Vec<Item>,
    // One that says too much.
    #[amiko(machines, objects)]
    both: Table<Other>,
}

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Other {
    value: u64,
}

fn main() {}
