use amiko_core::prelude::*;

#[derive(Serializable)]
union Union {
    a: u64,
    b: i64,
}

fn main() {}
