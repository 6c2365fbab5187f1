use amiko_core::prelude::*;

#[derive(Serializable)]
#[amiko(clas = "A")]
struct Struct {
    #[amiko(skipp, default)]
    field: u64,
}

#[derive(Serializable)]
#[amiko(class = "A")]
enum Enum {
    #[amiko(default)]
    One,
    Two,
}

#[derive(Serializable)]
struct Path {
    #[amiko(serde::default)]
    field: u64,
}

fn main() {}
