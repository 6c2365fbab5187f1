use amiko_core::prelude::*;

#[derive(Serializable)]
struct Borrowed<'a> {
    name: &'a str,
}

#[derive(Serializable)]
struct Static {
    name: &'static str,
}

fn main() {}
