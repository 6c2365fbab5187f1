use amiko_core::prelude::*;

#[derive(Serializable)]
struct Fields {
    first: u64,
    #[amiko(rename = "first")]
    second: u64,
    #[amiko(alias = "second", alias = "first")]
    third: u64,
}

#[derive(Serializable)]
#[amiko(rename_all = "camelCase")]
struct ByCase {
    two_words: u64,
    #[amiko(alias = "fine")]
    twoWords: u64,
}

#[derive(Serializable)]
enum Variants {
    First,
    #[amiko(rename = "First")]
    Second,
    #[amiko(alias = "Second", alias = "First")]
    Third { _class: u64 },
}

fn main() {}
