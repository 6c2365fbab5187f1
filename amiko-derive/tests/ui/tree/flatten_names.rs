use amiko_core::prelude::*;

#[derive(Serializable)]
struct Deep {
    #[amiko(rename = "far")]
    deep: u64,
}

#[derive(Serializable)]
struct Inner {
    #[amiko(alias = "amount")]
    value: u64,
    #[amiko(flatten)]
    deep: Deep,
}

#[derive(Serializable)]
struct Other {
    amount: u64,
}

#[derive(Serializable)]
struct Outer {
    amount: u64,
    #[amiko(alias = "value")]
    other: u64,
    #[amiko(flatten)]
    inner: Inner,
    far: u64,
    // These are none of its names.
    inner_: u64,
    deep: u64,
}

#[derive(Serializable)]
struct Two {
    #[amiko(flatten)]
    one: Inner,
    #[amiko(flatten)]
    other: Other,
}

#[derive(Serializable)]
enum Choice {
    One {
        #[amiko(flatten)]
        inner: Other,
        amount: u64,
    },
    Other(u64),
}

fn main() {}
