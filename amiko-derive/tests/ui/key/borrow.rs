use amiko_core::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
struct Sku<'a>(&'a str);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
struct Slot {
    shelf: u64,
    sku: &'static str,
}

fn main() {}
