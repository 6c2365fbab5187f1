use amiko_core::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
#[amiko(rename_all = "loud")]
enum Colour {
    #[amiko(name = "red")]
    Red,
    #[amiko(skip)]
    Green,
}

fn main() {}
