use amiko_core::prelude::*;

#[derive(Clone, Serializable, Node)]
enum Root {
    One,
    Two,
}

fn main() {}
