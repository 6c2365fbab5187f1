use amiko_core::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
struct Unit;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
struct Braces {}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
struct Parentheses();

fn main() {}
