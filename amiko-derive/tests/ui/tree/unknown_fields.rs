use amiko_core::prelude::*;
use amiko_core::serializable::UnknownFields;

#[derive(Serializable)]
#[amiko(unknown = "sometimes")]
struct Sometimes {}

#[derive(Serializable)]
#[amiko(unknown = "keep")]
struct NoPlace {
    known: u64,
}

#[derive(Serializable)]
struct NoAttribute {
    known: u64,
    rest: UnknownFields,
}

#[derive(Serializable)]
#[amiko(unknown = "deny")]
struct OtherAttribute {
    rest: UnknownFields,
}

#[derive(Serializable)]
#[amiko(unknown = "keep")]
enum Several {
    One { rest: UnknownFields },
    Two { known: u64 },
}

fn main() {}
