use amiko_core::prelude::*;

#[derive(Serializable)]
#[amiko(transparent)]
struct Two(u64, u64);

#[derive(Serializable)]
#[amiko(transparent)]
struct None;

#[derive(Serializable)]
enum Variant {
    #[amiko(transparent)]
    Two { a: u64, b: u64 },
}

fn main() {}
