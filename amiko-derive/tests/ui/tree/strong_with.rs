use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(key = String)]
struct Owner {}

#[derive(Serializable)]
struct Ship {
    #[amiko(strong, with = amiko_core::serializable::Native)]
    owner: Id<Owner>,
}

fn main() {}
