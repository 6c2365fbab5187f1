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
    #[amiko(default(five))]
    third: u64,
    #[amiko(rename("name"), secret(), default = "five")]
    fourth: u64,
    #[amiko(with, alias)]
    fifth: u64,
    #[amiko(default skip)]
    sixth: u64,
    #[amiko(a::b)]
    seventh: u64,
    #[amiko("name")]
    eighth: u64,
}

#[derive(Serializable)]
#[amiko(key, kind = 5, rename_all, unknown, transparent = true)]
struct NoTypes {}

#[derive(Serializable)]
#[amiko(version, migrate)]
struct NoNumber {}

#[derive(Serializable)]
#[amiko(version = "2", migrate = "lift")]
struct Text {}

#[derive(Serializable)]
#[amiko(version = -1)]
struct Negative {}

#[derive(Serializable)]
#[amiko(implements, implements = Shape, implements(), implements("Shape"))]
struct NoTrait {}

#[derive(Serializable)]
#[amiko]
struct NoList {}

#[derive(Serializable)]
#[amiko = "Account"]
struct NoEqual {}

fn main() {}
