use amiko_core::prelude::*;

#[derive(Serializable)]
struct Inner {
    value: u64,
}

#[derive(Serializable)]
struct Outer {
    #[amiko(flatten)]
    inner: Inner,
}

fn main() {}
