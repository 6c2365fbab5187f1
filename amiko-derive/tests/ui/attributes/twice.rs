use amiko_core::prelude::*;

#[derive(Serializable)]
#[amiko(class = "A", class = "B")]
struct OneAttribute {
    #[amiko(default, default)]
    field: u64,
}

#[derive(Serializable)]
#[amiko(key = String)]
#[amiko(key = u64)]
struct TwoAttributes {
    field: u64,
}

fn main() {}
