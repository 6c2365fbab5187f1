use amiko_core::prelude::*;

#[derive(Clone, Default, Serializable)]
#[amiko(reply = u64)]
struct Part {
    value: u64,
}

#[derive(Clone, Default, Serializable, Node)]
#[amiko(reply = u64)]
struct Root {
    value: u64,
}

fn main() {}
