use amiko_core::prelude::*;

#[derive(Clone, Serializable)]
struct Account {
    balance: u64,
}

#[derive(Clone, Default, Serializable, Node)]
struct Bank {
    #[amiko(objects)]
    accounts: Table<Account>,
}

fn main() {}
