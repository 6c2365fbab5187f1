use amiko_core::prelude::*;
use amiko_core::serializable::UnknownFields;

#[derive(Serializable)]
struct Inner {
    value: u64,
}

#[derive(Serializable)]
struct Outer {
    #[amiko(flatten, rename = "other")]
    one: Inner,
    #[amiko(flatten, alias = "other", default)]
    two: Inner,
    #[amiko(flatten, skip)]
    three: Inner,
    #[amiko(flatten, with = Way)]
    four: Inner,
    #[amiko(flatten, strong)]
    five: Inner,
    #[amiko(flatten, secret)]
    six: Secret<Inner>,
}

#[derive(Serializable)]
#[amiko(unknown = "keep")]
struct Keeps {
    #[amiko(flatten)]
    rest: UnknownFields,
}

#[derive(Serializable)]
#[amiko(transparent)]
struct Whole(#[amiko(flatten)] Inner);

fn main() {}
