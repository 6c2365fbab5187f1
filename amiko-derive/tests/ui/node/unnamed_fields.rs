use amiko_core::prelude::*;

#[derive(Clone, Default, Serializable, Node)]
struct Root(u64, String);

fn main() {}
