use amiko_core::prelude::*;

#[derive(Serializable)]
#[amiko(class = Account)]
struct NoString {}

#[derive(Serializable)]
#[amiko(class)]
struct NoValue {}

#[derive(Serializable)]
#[amiko(rename_all = "camel")]
struct NoCase {}

#[derive(Serializable)]
struct NoPath {
    #[amiko(default = 5)]
    field: u64,
    #[amiko(skip = true)]
    other: u64,
}

#[derive(Serializable)]
#[amiko]
struct NoList {}

#[derive(Serializable)]
#[amiko = "Account"]
struct NoEqual {}

fn main() {}
