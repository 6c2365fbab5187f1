use amiko_core::prelude::*;

#[derive(Clone, Default, Serializable, Node)]
struct Root<T> {
    value: T,
}

fn main() {}
