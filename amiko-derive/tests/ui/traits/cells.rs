// What stays on one thread, and changes through a shared reference: not even in a field that isn't written.
use amiko_core::prelude::*;
use std::cell::Cell;

#[derive(Serializable)]
struct Skipped {
    #[amiko(skip)]
    cache: Cell<u64>,
    value: u64,
}

fn main() {}
