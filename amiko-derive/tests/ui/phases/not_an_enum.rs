use amiko_core::prelude::*;

#[derive(Clone, Copy, PartialEq, Phases)]
struct Door {
    open: bool,
}

#[derive(Clone, Copy, Phases)]
union Either {
    one: u64,
    other: i64,
}

#[derive(Clone, Copy, PartialEq, Phases)]
enum Nothing {}

fn main() {}
