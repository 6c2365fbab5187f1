use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
#[amiko(kind = "account")]
struct Account {
    balance: u64,
}

fn main() {}
