use amiko_core::prelude::*;

#[derive(Serializable)]
struct Skipped {
    #[amiko(skip, rename = "other")]
    field: u64,
}

fn main() {}
