use amiko_core::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
enum Place {
    Nowhere,
    Shelf { number: u64 },
    Box(u64),
    Floor(),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
enum Nothing {}

fn main() {}
