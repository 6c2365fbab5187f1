use amiko_core::prelude::*;

#[derive(Clone, Copy, Key)]
union Either {
    number: u64,
    other: i64,
}

fn main() {}
