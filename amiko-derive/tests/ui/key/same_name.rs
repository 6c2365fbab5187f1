use amiko_core::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Key)]
#[amiko(rename_all = "lowercase")]
enum Colour {
    Red,
    #[amiko(rename = "red")]
    Rouge,
    #[amiko(alias = "red")]
    Rosso,
}

fn main() {}
