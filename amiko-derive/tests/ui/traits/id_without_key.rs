use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
struct Account {
    balance: u64,
}

fn find(_: Id<Account>) {}

fn main() {}
