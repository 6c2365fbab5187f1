use amiko_core::prelude::*;

#[derive(Clone, Default, Serializable, Node)]
#[amiko(transparent)]
struct Root {
    value: u64,
}

fn main() {}
