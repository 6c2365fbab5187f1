use amiko_core::prelude::*;

struct Opaque;

#[derive(Serializable)]
struct Account {
    opaque: Opaque,
    several: Vec<Opaque>,
}

fn main() {}
