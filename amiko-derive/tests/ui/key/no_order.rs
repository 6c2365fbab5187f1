use amiko_core::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, Key)]
struct Sku(String);

fn main() {}
