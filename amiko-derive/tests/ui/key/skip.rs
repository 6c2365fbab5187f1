use amiko_core::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
struct Slot {
    shelf: u64,
    #[amiko(skip)]
    sku: String,
}

fn main() {}
